"""An earlier report beside a run: what is new, still there and gone, of the same evidence and of another."""

import json as json_module
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Options
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.table import COLUMNS, Table, findings
from auditor.model.vocabulary import Severity
from auditor.reports import csv, json, seals, words
from tests.helpers import sealing
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION, PLAINTEXT, REWRITTEN
from tests.helpers.objects import StoredObject

COMPACTED = MIGRATION / "4-compacted.db"
STAGES = sorted(MIGRATION.glob("*.db"))


def report(folder: Path, audit: Audit, name: str = "earlier.json") -> str:
    path = folder / name
    with path.open("w") as out:
        json.write(audit, Severity.MEDIUM, out)
    return str(path)


def states(audit: Audit) -> Counter[str]:
    return Counter(mark.baseline.label if mark.baseline else "" for marks in audit.rows.findings for mark in marks)


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_report_of_the_same_evidence_has_it_all(path: Path, tmp_path: Path) -> None:
    first = auditor.scan(path)
    audit = auditor.scan(path, Options(baseline=report(tmp_path, first)))
    assert audit.baseline is not None
    assert audit.baseline.same_evidence
    assert (audit.baseline.new, audit.baseline.unchanged, audit.baseline.absent) == (0, len(first.findings), ())
    # a report that was made beside a baseline is a baseline too
    again = auditor.scan(path, Options(baseline=report(tmp_path, audit, "second.json")))
    assert again.baseline is not None
    assert (again.baseline.new, again.baseline.absent) == (0, ())


@pytest.mark.parametrize("redact", [False, True], ids=["names", "redacted"])
@pytest.mark.parametrize("form", ["hunt", "carve"])
def test_a_copy_under_another_name_is_the_same_evidence(form: str, redact: bool, tmp_path: Path) -> None:
    """Copies of values and what is carved have no name of their own in the evidence either."""
    secret = StoredObject(name=b"db", data={b"password": b"Tr0ub4dor&3-x"})
    config_map = StoredObject(name=b"app", kind=b"ConfigMap", data={b"dsn": b"p=Tr0ub4dor&3-x"})
    sealed = sealing.seal("secretbox", "key1", sealing.KEY, secret, random.Random(3))
    pairs = [(secret.key, secret.protobuf()), (secret.key, sealed), (config_map.key, config_map.protobuf())]
    evidence = sealing.database(tmp_path / "evidence.db", pairs)
    config = sealing.configuration(tmp_path / "config.json", sealing.provider("secretbox", ("key1", sealing.KEY)))
    options = Options(hunt=True, encryption_configs=(config,)) if form == "hunt" else Options(carve=True)
    if redact:
        key = tmp_path / "redaction-key"
        key.write_bytes(b"a key of 32 bytes for pseudonyms")
        options = replace(options, redact_names=True, redact_key=str(key))
    first = auditor.scan(evidence, options)
    assert {"plaintext", "copied-value"} - set(first.findings.finding) == (
        set() if form == "hunt" else {"copied-value"}
    )
    evidence.rename(tmp_path / "renamed.db")
    audit = auditor.scan(tmp_path / "renamed.db", replace(options, baseline=report(tmp_path, first)))
    assert audit.baseline is not None
    assert audit.baseline.same_evidence
    assert (audit.baseline.new, audit.baseline.absent) == (0, ())
    assert list(audit.findings.id) == list(first.findings.id)


@pytest.mark.parametrize(("before", "after"), list(pairwise(STAGES)), ids=lambda path: path.stem)
def test_the_stages_of_a_migration(before: Path, after: Path, tmp_path: Path) -> None:
    """Counted by hand from both reports: a finding by its object, its place and, of leftovers, its revision."""
    first, second = auditor.scan(before), auditor.scan(after)

    def known(audit: Audit) -> Counter[tuple[Any, ...]]:
        rows = audit.findings
        return Counter(
            (finding, place, key, 0 if place == "latest" else revision)
            for finding, place, key, revision in zip(rows.finding, rows.place, rows.key, rows.mod_revision, strict=True)
        )

    old, new = known(first), known(second)
    audit = auditor.scan(after, Options(baseline=report(tmp_path, first)))
    assert audit.baseline is not None
    assert not audit.baseline.same_evidence
    assert audit.baseline.new == (new - old).total() == states(audit)["new"]
    assert audit.baseline.unchanged == (new & old).total() == states(audit)["still there"]
    assert Counter((gone.finding, gone.place, gone.key) for gone in audit.baseline.absent) == Counter(
        key[:3] for key in (old - new).elements()
    )


def test_what_compaction_moved_is_said_to_have_moved(tmp_path: Path) -> None:
    audit = auditor.scan(COMPACTED, Options(baseline=report(tmp_path, auditor.scan(REWRITTEN))))
    assert audit.baseline is not None
    assert (audit.baseline.new, audit.baseline.unchanged, audit.baseline.moved) == (29, 1, 29)
    assert words.baseline(audit).endswith(
        "29 new, 1 still there, 29 gone (29 of them to another place, where they are new)"
    )
    details = Counter(findings(audit.rows, audit.evidence).columns["detail"])
    assert sum(count for said, count in details.items() if "baseline: new" in str(said)) == 29


def test_an_update_in_latest_is_the_same_finding(tmp_path: Path) -> None:
    old, other = StoredObject(data={b"a": b"1"}), StoredObject(name=b"b", data={b"a": b"1"})
    first = sealing.database(tmp_path / "1.db", [(old.key, old.protobuf())])
    pod = (b"/registry/pods/a/b", StoredObject(kind=b"Pod").protobuf())
    later = [pod, (old.key, old.protobuf()), (other.key, other.protobuf())]
    second = sealing.database(tmp_path / "2.db", later)
    audit = auditor.scan(second, Options(baseline=report(tmp_path, auditor.scan(first))))
    assert audit.baseline is not None
    assert (audit.baseline.new, audit.baseline.unchanged, audit.baseline.absent) == (1, 1, ())


def test_other_options_are_named(tmp_path: Path) -> None:
    first = auditor.scan(PLAINTEXT, Options(resources=("*",)))
    audit = auditor.scan(PLAINTEXT, Options(baseline=report(tmp_path, first)))
    assert audit.baseline is not None
    assert audit.baseline.absent
    assert any("other options (resources)" in note for note in audit.notes)


def test_quick_has_no_hash_and_compares_by_name(tmp_path: Path) -> None:
    audit = auditor.scan(PLAINTEXT, Options(quick=True, baseline=report(tmp_path, auditor.scan(PLAINTEXT))))
    assert audit.baseline is not None
    assert (audit.baseline.new, audit.baseline.unchanged, len(audit.baseline.absent)) == (0, 29, 7)
    assert {gone.place for gone in audit.baseline.absent} == {"freed"}


def test_a_baseline_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = Path(report(tmp_path, auditor.scan(PLAINTEXT)))
    document = json_module.loads(path.read_text())
    del document["findings"][3]
    path.write_text(json_module.dumps(document))
    with pytest.raises(UsageError, match="not what they were"):
        auditor.scan(PLAINTEXT, Options(baseline=str(path)))
    for text in ("", "{}", "[1]", "\x00"):
        path.write_text(text)
        with pytest.raises(UsageError):
            auditor.scan(PLAINTEXT, Options(baseline=str(path)))
    with pytest.raises(UsageError, match="no such"):
        auditor.scan(PLAINTEXT, Options(baseline=str(tmp_path / "nosuch.json")))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("evidence"),
        lambda document: document.update(evidence=[1]),
        lambda document: document["run"].update(options="none"),
        lambda document: document["findings"][0].update(severity="dire"),
        lambda document: document["findings"][0].update(finding="<b>"),
        lambda document: document["findings"][0].update(place="elsewhere"),
    ],
)
def test_a_forged_baseline_whose_hashes_hold(change: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    """Whoever changes a report can make its hashes anew; what it then holds is refused, not run into."""
    path = Path(report(tmp_path, auditor.scan(PLAINTEXT)))
    document = json_module.loads(path.read_text())
    change(document)
    head = {name: part for name, part in document.items() if name not in seals.UNSEALED}
    table = Table({column: [row[column] for row in document["findings"]] for column in COLUMNS})
    document["hashes"] = seals.seal(head, csv.sheet(table))
    document["run"]["sha256"] = seals.seal_run(document["run"])
    path.write_text(json_module.dumps(document))
    with pytest.raises(UsageError, match=r"no report of ours|section \w+ is missing"):
        auditor.scan(PLAINTEXT, Options(baseline=str(path)))


def test_the_command(tmp_path: Path) -> None:
    run("scan", REWRITTEN, "--json", tmp_path / "a.json")
    done = run("scan", COMPACTED, "--baseline", tmp_path / "a.json", "--json", tmp_path / "b.json")
    assert done.returncode == 1
    assert "Baseline  a.json (other evidence): 29 new, 1 still there, 29 gone" in done.stdout
    assert "Gone: plaintext of secrets payments/old0 in history" in done.stdout
    document = json_module.loads((tmp_path / "b.json").read_text())
    assert document["baseline"]["new"] == 29
    refused = run("scan", COMPACTED, "--baseline", tmp_path / "a.json", "--json", tmp_path / "a.json", "--force")
    assert refused.returncode == 2
