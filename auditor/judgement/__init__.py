"""Judgement of the stored values by the audit criteria. The class `Judgement`, its outcome, is in audit/examine.py."""
