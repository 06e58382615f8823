"""What each source sent, by the hour; its rhythm, alarms and past silences; its rejected documents."""
