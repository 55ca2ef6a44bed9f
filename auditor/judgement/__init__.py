"""Judgement of the stored values by the audit criteria. Its outcome, `Judgement`, is in audit/judgement.py."""
