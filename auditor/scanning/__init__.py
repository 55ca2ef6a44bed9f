"""The scan of one path or of several: paths -> one Audit."""
