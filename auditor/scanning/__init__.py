"""From paths to one Audit."""
