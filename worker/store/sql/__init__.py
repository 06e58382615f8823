"""Read and write many rows in one statement, on PostgreSQL and SQLite."""
