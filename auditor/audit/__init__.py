"""The audit of one exhibit."""
