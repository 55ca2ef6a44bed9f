"""kine's table outside SQLite's files: dumps in SQL, and archives of pg_dump."""
