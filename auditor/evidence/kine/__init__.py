"""kine's SQLite database."""
