"""The sentences of terminal and HTML: what is concluded, of how much, and what to do next."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind, Place, Provider, Severity, Verdict
from auditor.options import Options
from auditor.reports import tables, verdict, words
from tests.helpers import sealing
from tests.helpers.fixtures import DEFRAGMENTED, MIGRATION, PROVIDERS, REWRITTEN

FAIL_ON = Severity.MEDIUM


@pytest.fixture(scope="module")
def rewritten() -> Audit:
    return auditor.scan(REWRITTEN, Options(quick=True))


def audit_with(**changes: Any) -> Audit:
    """A real audit with other counts."""
    audit = auditor.scan(DEFRAGMENTED, Options(quick=True, accept_partial=True))
    return replace(audit, tally=replace(audit.tally, **changes))


PLAIN = {
    "findings": ((FindingKind.PLAINTEXT, Severity.CRITICAL, 1),),
    "readable": 1,
    "objects": 1,
    "contents": 1,
    "readable_places": (Place.LATEST,),
}


def test_a_verdict_of_findings(rewritten: Audit) -> None:
    lines = verdict.sentences(rewritten, FAIL_ON)
    assert (
        lines[0]
        == "FINDINGS: 29 readable values of 28 Secrets, in history and deleted, and inconclusive: 3 gaps (exit 1)"
    )
    assert lines[1] == "The result is weakened by --quick."
    assert "29 of them" in lines[2]
    assert "unknown" in lines[2]


def test_one_is_singular() -> None:
    line, weakened = verdict.sentences(audit_with(**PLAIN), FAIL_ON)
    assert weakened == "The result is weakened by --accept-partial, --quick."
    assert line == "FINDINGS: 1 readable value of 1 Secret, all in latest (exit 1)"


def test_what_is_current_is_said_with_its_revision_and_time() -> None:
    lines = verdict.sentences(audit_with(**{**PLAIN, "current_holders": 1, "readable_places": (Place.FREED,)}), FAIL_ON)
    assert "freed pages" in lines[0]
    assert lines[2].startswith("1 of them holds what is current in this snapshot (revision 155, newest object time 20")


def test_findings_other_than_plaintext() -> None:
    audit = audit_with(
        findings=((FindingKind.WEAK_PROVIDER, Severity.LOW, 2), (FindingKind.UNRECOGNISED, Severity.MEDIUM, 1))
    )
    line, _ = verdict.sentences(audit, FAIL_ON)
    assert line == "FINDINGS: 2 values weak-provider (low), 1 value unrecognised (medium) (exit 1)"


@pytest.mark.parametrize("complete", [True, False])
def test_a_verdict_without_findings_keeps_its_scope(*, complete: bool) -> None:
    audit = audit_with(findings=())
    if not complete:
        audit = replace(audit, unexamined=(replace(audit.unexamined[0], decisive=True),))
    line, _ = verdict.sentences(audit, FAIL_ON)
    assert audit.verdict() is (Verdict.NONE if complete else Verdict.INCONCLUSIVE)
    assert "no findings in what was examined" in line.lower()
    assert line.endswith("(exit 0)" if complete else "(exit 3)")
    assert "clean" not in line.lower()


@pytest.mark.parametrize(
    ("resources", "noun"),
    [(("secrets",), "Secret"), (("configmaps",), "ConfigMap"), (("*",), "object"), (("a", "b"), "object")],
)
def test_objects_are_called_what_they_are(resources: tuple[str, ...], noun: str) -> None:
    audit = replace(audit_with(**PLAIN), resources=resources)
    assert f"of 1 {noun}," in verdict.sentences(audit, FAIL_ON)[0]


def test_next_steps_follow_the_places(rewritten: Audit) -> None:
    steps = verdict.next_steps(rewritten)
    assert steps[0] == "preserve this evidence"
    assert steps[1].startswith("rotate the credentials of 28 Secret")
    assert steps[2] == "compact the history"
    assert steps[3].startswith("defragment every member")
    assert "new backups" in steps[-1]
    assert len(steps) == len(set(steps)) == 4


def test_no_steps_without_readable_values() -> None:
    assert verdict.next_steps(audit_with(readable=0)) == []


def test_current_plaintext_is_rewritten_first() -> None:
    steps = verdict.next_steps(audit_with(**PLAIN))
    assert steps[2].startswith("rewrite what is readable in latest")


@pytest.mark.parametrize(
    ("resources", "encrypts"), [(("secrets",), True), (("*",), False), (("secrets", "configmaps"), False)]
)
def test_what_a_configuration_has_is_not_asked_for(resources: tuple[str, ...], encrypts: bool) -> None:
    """Its write provider encrypts Secrets, and no rule of it is of anything else."""
    enabled = MIGRATION / "2-enabled.db"
    config = str(enabled.with_suffix(".encryption.json"))
    audit = auditor.scan(enabled, Options(encryption_configs=(config,), resources=resources))
    steps = verdict.next_steps(audit)
    assert (verdict.RUN_WITH_IT in steps, verdict.ENCRYPT_FIRST in steps) == (encrypts, not encrypts)


def test_of_several_configurations_each_must_encrypt(tmp_path: Path) -> None:
    enabled = MIGRATION / "2-enabled.db"
    config = enabled.with_suffix(".encryption.json")
    other = sealing.configuration(tmp_path / "other.json", {"identity": {}})
    audit = auditor.scan(enabled, Options(encryption_configs=(str(config), other)))
    assert verdict.ENCRYPT_FIRST in verdict.next_steps(audit)


def test_the_table_of_places_adds_up(rewritten: Audit) -> None:
    header, rows = tables.of_places(rewritten)
    assert header[:3] == ["place", "values", "readable"]
    assert header[3:-2] == ["aescbc/key1"]
    counts_by_place = {row[0]: row[1:4] for row in rows}
    assert counts_by_place == {"latest": ["34", "0", "34"], "history": ["28", "28", "0"], "deleted": ["1", "1", "0"]}


def test_the_table_of_coverage_adds_up(rewritten: Audit) -> None:
    header, rows = tables.of_coverage(rewritten)
    assert len({len(row) for row in [header, *rows]}) == 1
    total = sum(int(cell.replace(",", "")) for row in rows for cell in row[1:] if cell)
    assert total == sum(row.values for row in rewritten.coverage)
    assert any(row[0] == "masterleases (never encrypted)" for row in rows)


def test_labels() -> None:
    assert words.label(Provider.KMS_V2, "vault") == "kms v2/vault"
    assert words.label(Provider.IDENTITY, "") == "identity"


def test_under_a_wildcard_the_write_key_of_every_rule_is_named() -> None:
    config = str(PROVIDERS / "3-wildcards.encryption.json")
    snapshot = PROVIDERS / "3-wildcards.db"
    audit = auditor.scan(snapshot, Options(quick=True, resources=("*",), encryption_configs=(config,)))
    assert "write key aescbc/cbc32, aesgcm/gcm, secretbox/box (" in audit.policy
