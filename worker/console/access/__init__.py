"""Who may use the console: users with roles in a file, and the sessions of browsers."""
