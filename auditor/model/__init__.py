"""The words of the audit."""
