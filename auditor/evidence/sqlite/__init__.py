"""SQLite files read page by page, as far as kine writes them: never by SQLite, which would change them."""
