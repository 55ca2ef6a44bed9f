"""The JSON report against its published schema, and the schema against what it describes."""

import hashlib
import io
import json as json_module
import tarfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import auditor
from auditor import Options, Severity
from auditor.model.audit import Audit
from auditor.model.table import COLUMNS, NUMBERS, findings
from auditor.model.vocabulary import Place, Provider
from auditor.reports import csv, json, seals
from auditor.reports.format_version import VERSION
from tests.helpers import hostile
from tests.helpers.etcd import snapshot_after
from tests.helpers.fixtures import FIXTURES, PLAINTEXT, REWRITTEN, SNAPSHOTS
from tests.helpers.packing import DATA_FILTER

FAIL_ON = Severity.MEDIUM
VALIDATOR = jsonschema.Draft202012Validator(json.schema())


def document_of(audit: Audit) -> dict[str, Any]:
    out = io.StringIO()
    json.write(audit, FAIL_ON, out)
    loaded: dict[str, Any] = json_module.loads(out.getvalue())
    return loaded


def faults(document: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(document)]


def stage_options(path: Path) -> Options:
    file = path.with_suffix(".encryption.json")
    return Options(encryption_configs=(str(file),) if file.exists() else (), resources=("*",))


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return document_of(auditor.scan(REWRITTEN, stage_options(REWRITTEN)))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.schema())
    assert json.schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.schema()["$id"] == json.SCHEMA
    assert json.schema()["properties"]["version"] == {"const": VERSION}


def objects(schema: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield path, schema
        for name, part in schema.items():
            yield from objects(part, f"{path}/{name}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from objects(part, f"{path}/{number}")


def test_the_schema_leaves_nothing_open() -> None:
    """No member that it does not name, and none that may be missing but a column's closed list."""
    for path, schema in objects(json.schema()):
        assert schema["additionalProperties"] is False, path
        assert schema["properties"].keys() - set(schema["required"]) <= {"values", "settings"}, path


def test_the_schema_is_that_of_the_columns() -> None:
    defs = json.schema()["$defs"]
    assert list(defs["row"]["properties"]) == list(COLUMNS)
    assert {name for name, cell in defs["row"]["properties"].items() if cell == {"$ref": "#/$defs/cell"}} == NUMBERS
    for name, values in json.VALUES.items():
        cell: dict[str, Any] = {"$ref": f"#/$defs/{name}"}
        if name in {"place", "provider"}:  # a row of no stored value has none
            cell, values = {"anyOf": [cell, {"description": "of no stored value", "const": ""}]}, values[1:]
        assert defs[name] == {"enum": list(values)}
        assert defs["row"]["properties"][name] == cell
    assert defs["place"]["enum"] == [place.label for place in Place]
    assert set(json.schema()["properties"]["pages"]["properties"]["kinds"]["properties"]) == set(json.KINDS.values())


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_fixtures_report_validates(path: Path) -> None:
    audits = [auditor.scan(path), auditor.scan(path, stage_options(path)), auditor.scan(path, Options(quick=True))]
    for audit in audits:
        assert faults(document_of(audit)) == []


def test_other_reports_validate(tmp_path: Path) -> None:
    with tarfile.open(FIXTURES / "migration-aescbc" / "data-dir.tar.gz") as archive:
        archive.extractall(tmp_path, **DATA_FILTER)
    (member,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert faults(document_of(auditor.scan(member))) == []
    (member / "member" / "snap" / "db").unlink()
    assert faults(document_of(auditor.scan(member))) == []
    cut = tmp_path / "cut.db"
    cut.write_bytes(bytes(8192) + PLAINTEXT.read_bytes()[8192:100_000])
    assert faults(document_of(auditor.scan(cut))) == []
    nothing = Options(resources=("nosuch",), rows=False, expect="aescbc:key1")
    assert faults(document_of(auditor.scan(REWRITTEN, nothing))) == []


def test_hostile_names_validate(tmp_path: Path) -> None:
    document = document_of(auditor.scan(snapshot_after(tmp_path, hostile.work)))
    assert faults(document) == []
    assert any("<img" in row["name"] for row in document["findings"])


BREAKING = {
    "a member missing": lambda document: document.pop("gaps"),
    "a member too many": lambda document: document.update(clean=True),
    "a bare word": lambda document: document.update(verdict="clean"),
    "another version": lambda document: document.update(version=VERSION + 1),
    "a cell missing": lambda document: document["findings"][0].pop("offset"),
    "a cell too many": lambda document: document["findings"][0].update(value="x"),
    "text for a number": lambda document: document["findings"][0].update(offset="12"),
    "a place that is none": lambda document: document["findings"][0].update(place="disk"),
    "no hash": lambda document: document["evidence"].update(sha256="0"),
    "no time": lambda document: document["run"].update(started="today"),
    "a count below zero": lambda document: document["counts"].update(findings=-1),
    "an exit code of ours": lambda document: document.update(exit_code=2),
}


@pytest.mark.parametrize("breaking", BREAKING)
def test_the_schema_refuses(breaking: str, document: dict[str, Any]) -> None:
    broken = deepcopy(document)
    assert faults(broken) == []
    BREAKING[breaking](broken)
    assert faults(broken)


def test_columns_are_defined_in_the_document(document: dict[str, Any]) -> None:
    for name, said in document["columns"].items():
        assert said["meaning"] == COLUMNS[name]
        assert said["type"] == ("number" if name in NUMBERS else "text")
        for row in document["findings"]:
            assert "values" not in said or row[name] in said["values"]
            if said["type"] == "number":
                assert isinstance(row[name], int) or row[name] in {"", "unknown"}


def test_counts_keys_pages_and_sources_are_those_of_the_audit() -> None:
    audit = auditor.scan(REWRITTEN, stage_options(REWRITTEN))
    document = document_of(audit)
    assert document["counts"]["findings"] == len(document["findings"]) == len(audit.findings)
    assert document["counts"]["inventory"] == len(audit.inventory)
    assert document["counts"]["stored_values"] == sum(row["values"] for row in document["coverage"])
    (written,) = (key for key in document["keys"] if key["provider"] == Provider.AESCBC.label)
    assert (written["key_name"], written["values"], written["decrypted"]) == ("key1", 36, 36)
    assert written["needed"] == "needed by 36 values"
    assert sum(document["pages"]["kinds"].values()) == document["pages"]["pages"] == len(audit.pages.kinds)
    assert document["pages"]["kinds"]["meta"] == 2
    assert document["pages"]["kinds"]["freed"] == audit.pages.kinds.count(0)
    (source,) = document["evidence"]["sources"]
    assert source["sha256"] == hashlib.sha256(REWRITTEN.read_bytes()).hexdigest()
    assert source["before"] == source["after"]


# hashes


def test_the_findings_hash_is_that_of_the_csv() -> None:
    audit = auditor.scan(REWRITTEN)
    text = io.StringIO()
    csv.write(findings(audit.rows, audit.evidence), text)
    expected = hashlib.sha256(text.getvalue().encode()).hexdigest()
    assert seals.findings(audit) == document_of(audit)["hashes"]["findings"] == expected
    again = auditor.scan(REWRITTEN, Options(case="another"))
    assert seals.findings(again) == expected


def test_every_section_is_sealed(document: dict[str, Any]) -> None:
    """By hand, as a reader without this program would."""

    def hashed(part: Any) -> str:
        return hashlib.sha256(json_module.dumps(part, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    sealed = {name: hashed(part) for name, part in document.items() if name not in seals.UNSEALED}
    assert document["hashes"]["sections"] == sealed
    run = dict(document["run"])
    assert run.pop("sha256") == hashed(run)
    assert document.keys() - sealed.keys() == {"findings", "hashes", "run"}


def test_the_document_and_the_file_are_the_same() -> None:
    audit = auditor.scan(REWRITTEN)
    plain = json_module.loads(json_module.dumps(json.document(audit, FAIL_ON)))
    assert plain == document_of(audit)
    nothing = auditor.scan(REWRITTEN, Options(resources=("nosuch",)))
    assert document_of(nothing)["findings"] == []
