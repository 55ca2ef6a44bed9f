"""A snapshot that went through a terminal: its cause is named, and nothing is said that nobody can know."""

from pathlib import Path

import auditor
from auditor.reports import verdict, words

CASE = Path(__file__).parents[3] / "fixtures" / "cases" / "snapshot-through-a-terminal" / "snapshot.db"


def test_the_cause_is_named_and_the_revision_unknown() -> None:
    audit = auditor.scan(CASE)
    assert any("went through a terminal; copy it again without -t" in gap.reason for gap in audit.gaps)
    assert words.kind(audit).startswith("raw database file; revision unknown")
    assert "compacted" not in words.kind(audit)
    assert not any("0 credentials" in step for step in verdict.next_steps(audit))


def test_every_database_without_a_valid_root_too(tmp_path: Path) -> None:
    raw = bytearray(CASE.read_bytes())
    raw[16:80] = bytes(64)
    raw[4096:4300] = bytes(204)
    (tmp_path / "a.db").write_bytes(raw)
    audit = auditor.scan(tmp_path / "a.db")
    assert any("went through a terminal" in gap.reason for gap in audit.gaps)
    assert "revision unknown" in words.kind(audit)
