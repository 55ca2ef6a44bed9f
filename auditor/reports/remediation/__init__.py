"""The script that would remove the findings: its plan by the audit, and the templates that it is made of."""
