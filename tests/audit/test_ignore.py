"""Accepted findings stay visible and counted, and have no say in the exit code, until their day."""

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import auditor
from auditor import Options
from auditor.audit import ignore
from auditor.encryption.strict_yaml import ConfigurationError
from auditor.model.table import findings
from auditor.model.vocabulary import FindingKind, Severity, Verdict
from auditor.reports import verdict
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, PLAINTEXT, REWRITTEN

ALL = "{finding: plaintext, reason: known, expires: 2999-12-31}"
WEAK = "{finding: weak-provider, reason: CIS accepts it, expires: 2999-12-31}"


def ignoring(folder: Path, *entries: str) -> str:
    path = folder / "ignore.yaml"
    path.write_text("accepted:\n" + "".join(f"  - {entry}\n" for entry in entries))
    return str(path)


def test_accepted_findings_stay_and_do_not_decide(tmp_path: Path) -> None:
    plain = auditor.scan(REWRITTEN)
    audit = auditor.scan(REWRITTEN, Options(ignore=ignoring(tmp_path, ALL)))
    assert (plain.verdict(), audit.verdict()) == (Verdict.FINDINGS, Verdict.ACCEPTED)
    assert audit.tally.findings == plain.tally.findings
    assert sum(count for *_, count in audit.tally.accepted) == 29
    assert plain.exit_code(Severity.MEDIUM) == 1
    assert audit.exit_code(Severity.MEDIUM) == 0
    assert audit.exit_code(Severity.LOW) == 1
    details = [str(said) for said in findings(audit.rows, audit.evidence).columns["detail"]]
    assert sum("accepted until 2999-12-31: known" in said for said in details) == 29
    assert [str(said) for said in findings(plain.rows, plain.evidence).columns["finding"]] == [
        str(said) for said in findings(audit.rows, audit.evidence).columns["finding"]
    ]
    assert set(findings(audit.rows, audit.evidence).columns["judged"]) == {"finding"}
    assert auditor.scan(REWRITTEN, Options(ignore=ignoring(tmp_path, ALL, WEAK))).exit_code(Severity.LOW) == 0


def test_as_of_ends_an_entry_earlier_and_never_later(tmp_path: Path) -> None:
    current = ignoring(tmp_path, ALL)
    assert auditor.scan(REWRITTEN, Options(ignore=current, as_of="2999-12-31")).exit_code(Severity.MEDIUM) == 0
    assert auditor.scan(REWRITTEN, Options(ignore=current, as_of="3000-01-01")).exit_code(Severity.MEDIUM) == 1
    expired = ignoring(tmp_path, "{finding: plaintext, reason: old, expires: 2020-01-31}")
    assert auditor.scan(REWRITTEN, Options(ignore=expired, as_of="2019-01-01")).exit_code(Severity.MEDIUM) == 1


def test_what_is_left_decides(tmp_path: Path) -> None:
    entry = "{finding: plaintext, namespace: payments, place: history, reason: a, expires: 2999-12-31}"
    audit = auditor.scan(REWRITTEN, Options(ignore=ignoring(tmp_path, entry)))
    rows = audit.findings
    mine = rows[(rows.finding == "plaintext") & (rows.namespace == "payments") & (rows.place == "history")]
    assert audit.acceptances[0].matches == len(mine) > 5
    assert audit.exit_code(Severity.MEDIUM) == 1


def test_an_incomplete_run_stays_incomplete(tmp_path: Path) -> None:
    audit = auditor.scan(DEFRAGMENTED, Options(ignore=ignoring(tmp_path, WEAK), quick=True))
    assert audit.exit_code(Severity.LOW) == 3
    quick = auditor.scan(REWRITTEN, Options(ignore=ignoring(tmp_path, ALL), quick=True))
    (head, *_) = verdict.sentences(quick, Severity.MEDIUM)
    assert head.endswith("accepted: 29 by --ignore; not everything was examined (exit 3)"), head


def test_expired_and_useless_entries_are_named(tmp_path: Path) -> None:
    audit = auditor.scan(REWRITTEN, Options(ignore=ignoring(
        tmp_path,
        "{finding: plaintext, reason: old, expires: 2020-01-31}",
        "{finding: plaintext, name: nosuch, reason: none, expires: 2999-01-31}",
    )))  # fmt: skip
    assert audit.exit_code(Severity.MEDIUM) == 1
    assert audit.tally.accepted == ()
    assert "ignore.yaml: accepted[0] expired on 2020-01-31 and accepts nothing; it fits 29 findings" in audit.notes
    assert "ignore.yaml: accepted[1] fits no finding" in audit.notes
    assert [(each.expired, each.matches) for each in audit.acceptances] == [(True, 29), (False, 0)]


def test_the_last_day_counts(tmp_path: Path) -> None:
    rows = auditor.scan(REWRITTEN).rows
    entries = ignore.load(Path(ignoring(tmp_path, "{finding: plaintext, reason: a, expires: 2026-03-01}")))
    assert ignore.apply(entries, rows, "x", date(2026, 3, 1)).accepted == ((FindingKind.PLAINTEXT, Severity.HIGH, 29),)
    assert ignore.apply(entries, rows, "x", date(2026, 3, 2)).accepted == ()


BROKEN = {
    "no reason": "{finding: plaintext, expires: 2999-01-01}",
    "an empty reason": "{finding: plaintext, reason: '  ', expires: 2999-01-01}",
    "no date": "{finding: plaintext, reason: a}",
    "no such date": "{finding: plaintext, reason: a, expires: 2026-02-30}",
    "a time": "{finding: plaintext, reason: a, expires: 2026-02-20T10:00:00Z}",
    "no finding": "{reason: a, expires: 2999-01-01}",
    "an unknown finding": "{finding: plaintxt, reason: a, expires: 2999-01-01}",
    "an unknown place": "{finding: plaintext, place: freeed, reason: a, expires: 2999-01-01}",
    "an unknown field": "{finding: plaintext, names: a, reason: a, expires: 2999-01-01}",
    "a list": "[plaintext]",
    "an alias": "&a {finding: plaintext, reason: a, expires: 2999-01-01}",
    "a field twice": "{finding: plaintext, finding: '*', reason: a, expires: 2999-01-01}",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_an_ignore_file_is_read_strictly(broken: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^ignore\.yaml: ") as raised:
        auditor.scan(PLAINTEXT, Options(ignore=ignoring(tmp_path, BROKEN[broken])))
    assert "kube-apiserver" not in str(raised.value)
    assert "plaintxt" not in str(raised.value)


@given(st.binary(max_size=300))
def test_arbitrary_files(tmp_path_factory: Any, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "arbitrary.yaml"
    path.write_bytes(b"accepted:\n- " + raw)
    with suppress(ConfigurationError):
        assert all(entry.reason.isprintable() for entry in ignore.load(path))


def test_the_command(tmp_path: Path) -> None:
    done = run("scan", REWRITTEN, "--ignore", ignoring(tmp_path, ALL))
    assert done.returncode == 0
    assert done.stdout.startswith("ACCEPTED FINDINGS: 29 readable values of 28 Secrets, in history and deleted; ")
    assert "Findings of 29 values are accepted by --ignore: counted, without effect on the exit code." in done.stdout
    assert run("scan", REWRITTEN, "--ignore", tmp_path / "nosuch.yaml").returncode == 2
