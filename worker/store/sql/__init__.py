"""Many rows in one statement, on PostgreSQL and SQLite."""
