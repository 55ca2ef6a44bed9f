"""The known answers: every store and place is among them, they are what was written, and a wrong one is noticed."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.model.vocabulary import Place, Provider
from auditor.self_check import known_answers
from auditor.self_check.check import check
from auditor.self_check.known_answers import COLUMNS, Case
from auditor.text import printable
from tests.evidence.dqlite.test_folder import truth
from tests.evidence.sql.test_dumps import expected
from tests.helpers import oracle
from tests.self_check import stores
from tests.self_check.maker import ITEMS, TARGET
from tests.system.test_oracle import PROVIDERS, SECRETS
from tests.validation.history import BLOCK

Evidence = tuple[Path, dict[str, Case]]
SNAPSHOTS = [item.name for item in ITEMS if item.path.endswith(".db") and "SQLite" not in item.name]


@pytest.fixture(scope="module")
def unpacked() -> Iterator[Evidence]:
    with known_answers.unpacked() as (folder, cases):
        yield folder, {case.name: case for case in cases}


def cells(case: Case, *names: str) -> list[tuple[str | int, ...]]:
    return [tuple(row[COLUMNS.index(name)] for name in names) for row in case.rows]


def test_every_place_provider_and_item_is_among_them(unpacked: Evidence) -> None:
    _, cases = unpacked
    assert set(cases) == {item.name for item in ITEMS}
    places = {place for case in cases.values() for (place,) in cells(case, "place")}
    assert places == {place.label for place in Place}
    providers = {provider for case in cases.values() for (provider,) in cells(case, "provider")}
    assert providers == {provider.label for provider in Provider}


def test_the_pack_is_small() -> None:
    assert TARGET.stat().st_size < 300_000


def test_every_answer_is_the_known_one() -> None:
    result = check()
    assert [answer.differences for answer in result.answers] == [()] * len(ITEMS)


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_rows_of_snapshots_are_those_of_the_second_reader(unpacked: Evidence, name: str) -> None:
    folder, cases = unpacked
    stored = oracle.database((folder / cases[name].path).read_bytes())
    expected = {
        (each.offset, each.size, each.place, (each.key or b"unknown").decode(), PROVIDERS.get(each.prefix, "unknown"))
        for each in stored
        if not each.tombstone and (each.key is None or each.key.startswith(SECRETS))
    }
    assert set(cells(cases[name], "offset", "size", "place", "key", "provider")) == expected


def test_rows_of_kine_are_those_that_sqlite_shows(unpacked: Evidence, tmp_path: Path) -> None:
    folder, cases = unpacked
    case = next(case for case in cases.values() if case.path == "kine/state.db")
    for name in ("state.db", "state.db-wal"):
        (tmp_path / name).write_bytes((folder / "kine" / name).read_bytes())
    with closing(sqlite3.connect(tmp_path / "state.db")) as base:
        newest = base.execute(
            "SELECT name, id, length(value) FROM kine WHERE id IN (SELECT max(id) FROM kine GROUP BY name) "
            "AND deleted = 0 AND name LIKE '/registry/secrets/%'"
        ).fetchall()
    latest = {row[1:] for row in cells(case, "place", "key", "mod_revision", "size") if row[0] == "latest"}
    assert latest == set(newest)


@pytest.mark.parametrize(
    "path", ["postgres/plain.sql", "postgres/custom.dump", "mariadb/dump.sql", "sqlite-dump/dump.sql"]
)
def test_rows_of_dumps_are_those_that_were_written(unpacked: Evidence, path: str) -> None:
    _, cases = unpacked
    (case,) = (case for case in cases.values() if case.path == path)
    written = expected([row for row in stores.history() if row.name.startswith(SECRETS)])
    known = {(place, key, revision) for place, key, revision in cells(case, "place", "key", "mod_revision")}
    assert known == {
        (Place(place).label, printable(key), revision if revision >= 0 else "unknown")
        for _, key, revision, _, place in written
    }
    assert len(case.rows) == len(written)


def test_current_rows_of_dqlite_are_what_the_node_answered(unpacked: Evidence) -> None:
    _, cases = unpacked
    (case,) = (case for case in cases.values() if case.path.startswith("dqlite/"))
    written = expected([row for row in truth() if row.name.startswith(SECRETS)])
    latest = {(printable(key), revision, len(value)) for _, key, revision, value, place in written if not place}
    known = {row[1:] for row in cells(case, "place", "key", "mod_revision", "size") if row[0] == "latest"}
    assert {(key, revision) for key, revision, _ in known} == {(key, revision) for key, revision, _ in latest}


@pytest.mark.parametrize("folder", ["velero", "objects", "image"])
def test_each_object_is_a_row(unpacked: Evidence, folder: str) -> None:
    _, cases = unpacked
    (case,) = (case for case in cases.values() if case.path.startswith(f"{folder}/"))
    things = (*stores.OBJECTS, stores.BARE) if folder == "image" else stores.OBJECTS
    names = [name for finding, name in cells(case, "finding", "name") if finding == "plaintext"]
    assert sorted(names) == sorted(thing.name.decode() for thing in things)


def test_every_readable_part_of_the_databases_lies_in_a_row(unpacked: Evidence) -> None:
    folder, cases = unpacked
    for name in SNAPSHOTS:
        raw = (folder / cases[name].path).read_bytes()
        spans = [(int(at), int(at) + int(size)) for at, size in cells(cases[name], "offset", "size")]
        parts = [match.start() for match in BLOCK.finditer(raw)]
        assert len(parts) > 20
        assert [at for at in parts if not any(start <= at < end for start, end in spans)] == []


def test_a_row_too_many_too_few_and_another_exit_code_are_differences(unpacked: Evidence) -> None:
    folder, cases = unpacked
    case = cases[SNAPSHOTS[0]]
    moved = tuple(cell + 1 if name == "offset" else cell for name, cell in zip(COLUMNS, case.rows[0], strict=True))  # type: ignore[operator]

    def differences(changed: Case) -> tuple[str, ...]:
        return known_answers.answer(changed, folder).differences

    assert len(differences(replace(case, rows=case.rows[1:]))) == 1
    assert len(differences(replace(case, rows=(moved, *case.rows[1:])))) == 2
    assert len(differences(replace(case, rows=(*case.rows, case.rows[0])))) == 1
    assert differences(replace(case, exit_code=0)) == (f"the exit code is {case.exit_code}, not 0",)
    assert "the audit failed" in differences(replace(case, path="answers.json"))[0]


def test_without_room_for_the_evidence_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--work-dir"):
        check(str(tmp_path / "none"))


def test_the_pack_holds_no_more_than_its_evidence(unpacked: Evidence) -> None:
    folder, _ = unpacked
    document = json.loads((folder / known_answers.ANSWERS).read_text())
    assert {case["path"].split("/")[0] for case in document["cases"]} | {
        known_answers.ANSWERS,
        "encryption.json",
        "kine-keys.json",
    } == {path.name for path in folder.iterdir()}
