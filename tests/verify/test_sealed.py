"""The JSON of diff and keys held to its own hashes, and the evidence to it."""

import json
import tarfile
from pathlib import Path

import pytest

from auditor.reports import seals
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION

SIX, SEVEN = MIGRATION / "6-rotating.db", MIGRATION / "7-rotated.db"
COMMANDS = {"diff": ("diff", SIX, SEVEN), "keys": ("keys", SEVEN)}
EVIDENCE = {"diff": (SIX, SEVEN), "keys": (SEVEN,)}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    folder = tmp_path_factory.mktemp("sealed")
    for name, arguments in COMMANDS.items():
        run(*arguments, "--json", folder / f"{name}.json")
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in COMMANDS}


def verified(folder: Path, document: dict[str, object], *evidence: Path) -> tuple[int, str]:
    path = folder / "r.json"
    path.write_text(json.dumps(document))
    done = run("verify", path, *evidence)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_held_to_itself_and_to_its_evidence(
    name: str, documents: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    code, text = verified(tmp_path, documents[name], *EVIDENCE[name])
    assert (code, "ALL AS REPORTED" in text) == (0, True), text
    assert "its SHA-256 is that of 7-rotated.db" in text
    code, text = verified(tmp_path, documents[name], MIGRATION / "1-plaintext.db")
    assert (code, "none of what was given has its SHA-256" in text) == (1, True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_file_of_a_directory_is_held_to_it(name: str, tmp_path: Path) -> None:
    """The log is evidence too: values of it stand in the report."""
    with tarfile.open(MIGRATION / "data-dir.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (directory,) = (path for path in tmp_path.iterdir() if path.is_dir())
    items = (SEVEN, directory) if name == "diff" else (directory,)
    run(name, *items, "--json", tmp_path / "d.json")
    document = json.loads((tmp_path / "d.json").read_text())
    code, text = verified(tmp_path, document, *items)
    assert (code, "member/wal/" in text) == (0, True), text
    segment = next(directory.rglob("*.wal"))
    with segment.open("r+b") as log:
        log.seek(5000)
        log.write(b"X")
    code, text = verified(tmp_path, document, *items)
    assert code == 1
    assert f"{segment.name}: none of what was given has its SHA-256" in text.replace("  ", "")
    # a report of an earlier version names the database alone
    for part in (document, *(document.get(side) for side in ("before", "after"))):
        if isinstance(part, dict):
            part.pop("sources", None)
    sections = {part: section for part, section in document.items() if part not in {"hashes", "objects"}}
    hashes = document["hashes"] | seals.seal_sections(sections)
    own = {part: value for part, value in hashes.items() if part != "own"}
    document["hashes"] = own | {"own": seals.section(own)}
    code, text = verified(tmp_path, document, *items)
    assert (code, "NOT CHECKED" in text, "the report holds no SHA-256 of it" in text) == (1, True, True), text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_change_of_a_section_is_noticed(
    name: str, documents: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    document = documents[name]
    for section in document:
        without = {part: value for part, value in document.items() if part != section}
        assert verified(tmp_path, without)[0] in {1, 2}, section
        changed = {**document, section: ["else"] if section not in {"format", "version"} else document[section]}
        if changed != document:
            assert verified(tmp_path, changed)[0] == 1, section


def test_a_changed_object_is_numbered(documents: dict[str, dict[str, object]], tmp_path: Path) -> None:
    document = json.loads(json.dumps(documents["diff"]))
    document["objects"][2]["form"] = "vanished"
    code, text = verified(tmp_path, document)
    assert (code, "object 3 of 34 is not what it was" in text) == (1, True)
    document["objects"].pop()
    assert "the number of its objects is not what it was" in verified(tmp_path, document)[1]


def test_another_audit_is_of_a_scans_report_alone(documents: dict[str, dict[str, object]], tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(documents["keys"]))
    done = run("verify", path, SEVEN, "--again")
    assert (done.returncode, "only what `scan` writes is compared" in done.stdout) == (1, True)
