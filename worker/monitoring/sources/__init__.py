"""What each source sends: its rejected share, and its rhythm."""
