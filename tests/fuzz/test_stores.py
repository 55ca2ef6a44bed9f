"""Every store that holds Secrets, whole: each command answers, and a comparison with the etcd that it became holds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.diff.compare import Comparison, DiffOptions, compare
from auditor.evidence import readers
from auditor.evidence.discovery.exhibits import opened
from auditor.model.vocabulary import Place, Severity
from auditor.options import Options
from tests.fuzz import commands
from tests.fuzz.base import PLAIN
from tests.fuzz.conftest import DQLITE, IMAGES, STORES, Find
from tests.fuzz.images import ALONE
from tests.fuzz.oracle import Outcome
from tests.helpers import packing, sealing
from tests.helpers.command import run

NAME = PLAIN.key.decode().removeprefix("/registry/secrets/")
ENDLESS = tuple(place for place in STORES if place.endswith("without end"))
WHOLE = tuple(place for place in STORES if place not in ENDLESS)
CIRCLES = "dqlite log in circles"
"""Whole, but for what its other segments say."""
OF_KINE = ("dump of PostgreSQL", "archive of pg_dump", "dump of MySQL", "dump of SQLite", "dqlite log")


@pytest.mark.parametrize("place", [*STORES, *DQLITE, *IMAGES])
def test_hunt_and_rotation_name_the_readable_secret(place: str, find: Find, tmp_path: Path) -> None:
    path, options = find(place).lay(tmp_path, find(place).data)
    audit = auditor.scan(path, replace(options, hunt=True, rotation=True))
    assert audit.exit_code(Severity.MEDIUM) == 1
    assert audit.rotation is not None
    rows = [row for row in audit.rotation.rows if any(NAME in name for name in row.secrets)]
    assert len(rows) == 1
    if place in IMAGES:
        assert rows[0].status != "current"


@pytest.mark.parametrize("place", [each for each in (*STORES, *DQLITE, *IMAGES) if each != ALONE])
def test_show_and_keys_answer(place: str, find: Find, tmp_path: Path) -> None:
    """A value of which nothing but its own bytes is left has no key that it could be asked for by."""
    base = find(place)
    answer = Outcome.OPEN if place in {*ENDLESS, CIRCLES} else Outcome.ANSWERED
    for command in ("show", "keys"):
        folder = tmp_path / command
        folder.mkdir()
        assert commands.judge(command, base, base.data, folder, 3)[0] is answer, command


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_stores_in_one_folder_are_evidence_items_of_their_own(find: Find, tmp_path: Path, *, packed: bool) -> None:
    folder = tmp_path / "stores"
    for place in WHOLE:
        base = find(place)
        base.lay(folder / place.replace(" ", "-"), base.data)
    find("dqlite log").lay(folder / "node", find("dqlite log").data)
    evidence = packing.tar_folder(folder) if packed else folder
    report = tmp_path / "report.json"
    done = run("scan", evidence, "--encryption-config", find(WHOLE[0]).config, "--json", report)
    assert done.returncode == 1, done.stderr
    parts = json.loads(report.read_text())["parts"]
    assert len(parts) == len(WHOLE) + 1
    assert all(part["exit_code"] == 1 and part["readable"] and not part["gaps"] for part in parts)


@pytest.mark.parametrize("place", [*STORES, *DQLITE])
def test_a_store_is_what_it_is_compared_with_itself(place: str, find: Find, tmp_path: Path) -> None:
    base = find(place)
    path, options = base.lay(tmp_path, base.data)
    comparison = compare(path, path, DiffOptions(options, options, different_clusters=True))
    forms = [str(form) for form in comparison.columns["form"]]
    assert set(forms) <= {"unchanged", "still plaintext"}
    assert forms.count("still plaintext") <= 1


@pytest.mark.parametrize("place", OF_KINE)
def test_kine_and_the_etcd_that_it_became(place: str, find: Find, tmp_path: Path) -> None:
    """The same values at other revisions, whatever form kine's table is in; one that is lost is told."""
    path, options = find(place).lay(tmp_path, find(place).data)
    values = current(path)
    assert PLAIN.key in values
    etcd = sealing.database(tmp_path / "etcd.db", sorted(values.items()))
    both = DiffOptions(options, options, same_content=True)
    assert set(forms(compare(path, etcd, both)).values()) == {"unchanged", "still plaintext"}
    assert set(forms(compare(etcd, path, both))) == {key.decode() for key in values}
    lost = max(values)
    del values[lost]
    sealing.database(tmp_path / "etcd.db", sorted(values.items()))
    assert forms(compare(path, etcd, both))[lost.decode()] == "vanished"


def forms(comparison: Comparison) -> dict[str, str]:
    return dict(zip(map(str, comparison.columns["key"]), map(str, comparison.columns["form"]), strict=True))


def current(path: Path) -> dict[bytes, bytes]:
    """The values of the newest state, by key."""
    found = {}
    for _, opener in opened(str(path), Options()):
        with opener() as exhibit:
            for batch in readers.read(exhibit, quick=False).batches:
                latest = np.flatnonzero((batch.place == Place.LATEST) & (batch.key_at >= 0)).tolist()
                found.update({batch.key(row): batch.value(row) for row in latest})
    return found
