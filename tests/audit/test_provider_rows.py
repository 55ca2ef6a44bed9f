"""weak-provider: one row for each source, resource, provider and key name, whatever the number of values."""

from pathlib import Path

import auditor
from auditor import Options
from auditor.model.vocabulary import FindingKind, Severity, Verdict
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, MIGRATION

COMPACTED = MIGRATION / "4-compacted.db"
RULE = """
accepted:
  - finding: weak-provider
    {more}
    reason: CIS accepts aescbc
    expires: 2999-01-01
"""


def test_one_row_stands_for_all_values_of_a_provider() -> None:
    audit = auditor.scan(COMPACTED)
    weak = audit.findings[audit.findings.finding == "weak-provider"]
    assert [*zip(weak.resource, weak.provider, weak.key_name, weak.name, weak.source, strict=True)] == [
        ("secrets", "aescbc", "key1", "", "4-compacted.db")
    ]
    assert weak.detail.iloc[0].startswith("34 values: ")
    assert len(audit.findings) == 30
    inventory = audit.inventory
    assert (inventory.finding == "weak-provider").sum() == 34
    assert len(inventory) == 63


def test_its_id_is_the_same_on_every_run() -> None:
    first, second = (auditor.scan(DEFRAGMENTED).findings.id.tolist() for _ in range(2))
    assert first == second
    assert len(first) == 1


def test_it_is_accepted_whole(tmp_path: Path) -> None:
    rules = tmp_path / "ignore.yaml"
    rules.write_text(RULE.format(more='namespace: "*"'))
    audit = auditor.scan(DEFRAGMENTED, Options(ignore=str(rules)))
    assert audit.tally.accepted == ((FindingKind.WEAK_PROVIDER, Severity.LOW, 34),)
    assert audit.exit_code(Severity.LOW) == 0


def test_a_rule_for_one_namespace_does_not_accept_it(tmp_path: Path) -> None:
    rules = tmp_path / "ignore.yaml"
    rules.write_text(RULE.format(more="namespace: payments"))
    audit = auditor.scan(DEFRAGMENTED, Options(ignore=str(rules)))
    assert not audit.tally.accepted
    assert audit.exit_code(Severity.LOW) == 1


def test_alone_it_leaves_no_findings_in_what_was_examined() -> None:
    audit = auditor.scan(DEFRAGMENTED)
    assert audit.verdict() is Verdict.NONE
    done = run("scan", DEFRAGMENTED)
    head, aside, *_ = done.stdout.splitlines()
    assert head == "NO FINDINGS in what was examined (exit 0)"
    assert aside == "Also: 34 values weak-provider (low)."
