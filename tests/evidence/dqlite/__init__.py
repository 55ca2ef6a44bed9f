"""Readers of dqlite's data directories."""
