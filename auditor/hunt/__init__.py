"""The hunt: copies of Secrets' values and of keys elsewhere in the evidence."""
