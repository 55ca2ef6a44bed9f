"""One audit, many reports: CSV, inventory, Parquet, JSON, SARIF, the Python API and the terminal say the same."""

import csv as csv_module
import io
import json as json_module
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

import auditor
from auditor import Options
from auditor.model.audit import Audit
from auditor.model.findings import Cell
from auditor.model.table import COLUMNS, NUMBERS, Table, findings, inventory, is_value
from auditor.model.vocabulary import FindingKind, Severity
from auditor.reports import csv, json, parquet, sarif, terminal, words
from tests.helpers import hostile
from tests.helpers.etcd import snapshot_after
from tests.helpers.fixtures import FIXTURES, MIGRATION, PLAINTEXT, PROVIDERS, REWRITTEN
from tests.helpers.packing import DATA_FILTER

FAIL_ON = Severity.MEDIUM
COMPACTED = MIGRATION / "4-compacted.db"
IGNORE = """\
accepted:
- {finding: plaintext, namespace: payments, reason: "rotated, see [RISK-17]", expires: 2999-01-01}
- {finding: weak-provider, reason: CIS accepts it, expires: 2999-01-01}
"""


def stage_options(path: Path, **more: Any) -> Options:
    return Options(encryption_configs=(str(path.with_suffix(".encryption.json")),), **more)


def earlier(folder: Path) -> str:
    path = folder / "earlier.json"
    with path.open("w") as out:
        json.write(auditor.scan(REWRITTEN, stage_options(REWRITTEN)), FAIL_ON, out)
    return str(path)


def ignore_file(folder: Path) -> str:
    path = folder / "ignore.yaml"
    path.write_text(IGNORE)
    return str(path)


def data_directory(folder: Path) -> Path:
    with tarfile.open(MIGRATION / "data-dir.tar.gz") as archive:
        archive.extractall(folder, **DATA_FILTER)
    return folder / "etcd"


GROUPED = "weak-provider"
"""The finding with one row for many values."""
AUDITS: dict[str, Callable[[Path], Audit]] = {
    "plaintext": lambda _: auditor.scan(PLAINTEXT),
    "every resource": lambda _: auditor.scan(REWRITTEN, Options(resources=("*",))),
    "several findings of one value": lambda _: auditor.scan(
        PROVIDERS / "2-kek-rotated.db", stage_options(PROVIDERS / "2-kek-rotated.db", compromised_keys=("aescbc:key1",))
    ),
    "a configuration's findings": lambda _: auditor.scan(
        COMPACTED, Options(encryption_configs=(str(FIXTURES / "providers" / "1-every-provider.encryption.json"),))
    ),
    "a hunt": lambda _: auditor.scan(
        PROVIDERS / "3-wildcards.db", stage_options(PROVIDERS / "3-wildcards.db", hunt=True)
    ),
    "a data directory": lambda folder: auditor.scan(data_directory(folder)),
    "quick": lambda _: auditor.scan(REWRITTEN, Options(quick=True)),
    "a baseline, accepted": lambda folder: auditor.scan(
        COMPACTED, stage_options(COMPACTED, baseline=earlier(folder), ignore=ignore_file(folder))
    ),
    "redacted": lambda folder: auditor.scan(
        REWRITTEN, stage_options(REWRITTEN, baseline=earlier(folder), ignore=ignore_file(folder), redact_names=True)
    ),
    "hostile names": lambda folder: auditor.scan(snapshot_after(folder, hostile.work)),
    "nothing found": lambda _: auditor.scan(REWRITTEN, Options(resources=("nosuch",))),
}


@pytest.fixture(scope="module", params=AUDITS)
def audit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return AUDITS[request.param](tmp_path_factory.mktemp("together"))


def from_csv(table: Table) -> list[dict[str, str]]:
    """As a reader of the file gets it, with the apostrophes before formulas dropped again."""
    out = io.StringIO()
    csv.write(table, out)
    rows = csv_module.DictReader(io.StringIO(out.getvalue(), newline=""))
    return [{name: re.sub(r"(^|[,;|\t\n\r])'", r"\1", cell) for name, cell in row.items()} for row in rows]


def as_text(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(cell) for name, cell in row.items()}


def rows_of(table: Table) -> list[dict[str, Cell]]:
    return [dict(zip(COLUMNS, cells, strict=True)) for cells in table.rows()]


def test_every_format_holds_the_same_findings(audit: Audit) -> None:
    rows = rows_of(findings(audit.rows, audit.evidence))
    texts = list(map(as_text, rows))
    assert from_csv(findings(audit.rows, audit.evidence)) == texts
    out = io.StringIO()
    json.write(audit, FAIL_ON, out)
    document = json_module.loads(out.getvalue())
    assert document["findings"] == rows
    results = list(sarif.results(audit))
    present = [each for each in results if each.get("baselineState") != "absent"]
    assert [each["properties"] for each in present] == [
        {name: cell for name, cell in row.items() if name not in {"valid_until", "used_by"}} for row in rows
    ]
    frame = audit.findings.astype(object).where(audit.findings.notna(), None).to_dict("records")
    for shown, row in zip(frame, rows, strict=True):
        known = {name: cell for name, cell in row.items() if name not in NUMBERS or isinstance(cell, int)}
        assert {name: shown[name] for name in known} == known
    gone = audit.baseline.absent if audit.baseline is not None else ()
    assert [each["properties"]["id"] for each in results[len(present) :]] == [each.id for each in gone]


def test_the_inventory_holds_the_same_values(audit: Audit) -> None:
    rows = rows_of(inventory(audit.rows, audit.evidence))
    assert from_csv(inventory(audit.rows, audit.evidence)) == list(map(as_text, rows))
    out = io.BytesIO()
    parquet.write(inventory(audit.rows, audit.evidence), out)
    for shown, row in zip(pq.read_table(io.BytesIO(out.getvalue())).to_pylist(), rows, strict=True):
        for name, cell in row.items():
            assert shown[name] == (None if name in NUMBERS and not isinstance(cell, int) else cell)
    counts = Counter(
        (row["id"], finding)
        for row in rows
        for finding in str(row["finding"]).split(";")
        if finding not in {"", GROUPED}
    )
    values = [mark for marks in audit.rows.findings if is_value(marks) for mark in marks if not mark.grouped]
    assert counts == Counter(
        (row["id"], row["finding"])
        for row in rows_of(findings(audit.rows, audit.evidence))
        if FindingKind[str(row["finding"]).upper().replace("-", "_")] in {mark.kind for mark in values}
    )


def _values(row: dict[str, Cell]) -> int:
    """The values that a provider's row stands for."""
    return int(str(row["detail"]).split(" value")[0].replace(",", ""))


def test_the_counts_are_those_of_the_rows(audit: Audit) -> None:
    rows = rows_of(findings(audit.rows, audit.evidence))
    counted = Counter((row["finding"], row["severity"]) for row in rows if row["finding"] != GROUPED)
    for row in rows:
        if row["finding"] == GROUPED:
            counted[row["finding"], row["severity"]] += _values(row)
    assert counted == Counter(
        {(finding.label, severity.label): count for finding, severity, count in audit.tally.findings}
    )
    accepted = sum(
        _values(row) if row["finding"] == GROUPED else 1
        for row in rows
        if "accepted until 2999-01-01: " in str(row["detail"])
    )
    assert accepted == sum(count for *_, count in audit.tally.accepted)
    if audit.baseline is not None:
        assert audit.baseline.new == sum("baseline: new" in str(row["detail"]) for row in rows)
        assert audit.baseline.unchanged == sum("baseline: still there" in str(row["detail"]) for row in rows)


def test_the_terminal_counts_the_same(audit: Audit) -> None:
    out = io.StringIO()
    terminal.write(audit, FAIL_ON, Console(file=out, width=4000, highlight=False))
    output = out.getvalue()
    rows = rows_of(findings(audit.rows, audit.evidence))
    counted = Counter((str(row["finding"]), str(row["severity"])) for row in rows)
    for (finding, severity), count in counted.items():
        if finding not in {"plaintext", GROUPED}:
            assert f"{words.plural(count, 'value')} {finding} ({severity})" in output
    readable = sum(count for (finding, _), count in counted.items() if finding == "plaintext")
    assert (f"{words.plural(readable, 'readable value')} of " in output) == bool(readable)
    assert f"(exit {audit.exit_code(FAIL_ON)})" in output.splitlines()[0]
    noun = "object" if audit.resources == ("nosuch",) else "Secret"
    assert f"Self-test: passed, a planted plaintext {noun} was reported." in output


def test_accepted_and_known_findings_are_marked_in_sarif_too(tmp_path: Path) -> None:
    audit = AUDITS["a baseline, accepted"](tmp_path)
    assert audit.baseline is not None
    results = list(sarif.results(audit))
    states = Counter(each["baselineState"] for each in results)
    assert states == {"new": 29, "unchanged": 1, "absent": len(audit.baseline.absent)}
    accepted = [each for each in results if each.get("suppressions")]
    assert len(accepted) > 1
    assert {each["suppressions"][0]["status"] for each in accepted} == {"accepted"}
    assert all("suppressions" in each for each in results if each["baselineState"] != "absent")


# more than a spreadsheet holds


def test_more_rows_than_a_spreadsheet_holds_are_told() -> None:
    def rows(count: int) -> Table:
        return Table({name: [""] * count for name in COLUMNS})

    assert csv.too_long(rows(1_048_575), "a.csv") == ""
    assert "a.csv has 1,048,577 lines" in csv.too_long(rows(1_048_576), "a.csv")


def test_the_command_warns_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from auditor.cli import live_options, scan_request, scan_run

    monkeypatch.setattr(csv, "MOST_LINES", 20)
    absent = ("html", "json", "sarif", "remediation", "dataset", "rotation", "junit", "markdown", "metrics")
    nothing: dict[str, Any] = dict.fromkeys(absent)
    request = scan_request.ScanRequest(
        evidence=(str(PLAINTEXT),),
        jobs=0,
        live=live_options.LiveOptions(),
        options=Options(),
        fail_on=FAIL_ON,
        csv=tmp_path / "a.csv",
        inventory=tmp_path / "i.csv",
        force=False,
        verbose=False,
        names=False,
        split_by="",
        **nothing,
    )
    assert scan_run.run(request) == 1
    output = capsys.readouterr()
    assert "a.csv has 37 lines, and spreadsheets read no more than 20" in output.err
    assert "i.csv has 37 lines" in output.err
    assert "spreadsheets" not in output.out
    monkeypatch.setattr(csv, "MOST_LINES", 37)
    scan_run.run(replace(request, force=True))
    assert capsys.readouterr().err == ""
