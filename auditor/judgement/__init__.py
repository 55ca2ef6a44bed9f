"""Judgement of the stored values by the audit criteria."""
