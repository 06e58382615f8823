"""What each source sent and what became of it: losses, URLs that never came, activity."""
