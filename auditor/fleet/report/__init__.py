"""The questions across backups and clusters, asked of the data set with DuckDB, and their answers as files."""
