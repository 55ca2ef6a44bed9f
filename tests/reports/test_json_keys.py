"""The keys of documents are written out, not taken from the names of the model's fields."""

from dataclasses import fields
from pathlib import Path

from auditor.audit import baseline
from auditor.options import Options, settings


def test_every_option_is_reported() -> None:
    """All but those that say which reports are made, what a comparison decides, and which pipes no user named,
    what was confirmed, where a setting came from, and what a listing decides."""
    others = {"rows", "leading", "listed", "opening_only", "unnamed_pipes", "kms_confirmed", "origin", "neighbours"}
    others |= {"neighbour_keys"}
    others |= {"companion_configs", "beside_texts", "keeps_texts"}  # what a folder holds
    assert set(settings(Options())) == {field.name for field in fields(Options)} - others


def test_a_baseline_compares_options_that_are_reported() -> None:
    assert set(baseline.COMPARED_OPTIONS) <= set(settings(Options()))


def test_no_report_takes_keys_from_fields() -> None:
    package = Path(baseline.__file__).parents[1]
    for folder in ("reports", "audit"):
        for path in sorted((package / folder).rglob("*.py")):
            assert "asdict(" not in path.read_text(encoding="utf-8"), path.name
