"""Verification of reports: against their own hashes, the files beside them, and the evidence."""
