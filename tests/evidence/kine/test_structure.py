"""What is structure to SQLite is no fragment: honest databases of kine's pass, and what is not structure is met."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import Audit, Options, Severity, scan
from tests.helpers import members_on_disk
from tests.helpers.members_on_disk import LEAK, kine, row, sealed


def fill(connection: sqlite3.Connection, name: str, count: int = 200) -> None:
    connection.execute("BEGIN")
    for number in range(count):
        row(connection, *sealed(f"{name}{number}".encode()))
    connection.execute("COMMIT")


def emptied(path: Path, *before: str) -> sqlite3.Connection:
    """A database with a freelist of zeroed pages."""
    connection = kine(path, *before)
    connection.execute("PRAGMA secure_delete=ON")
    fill(connection, "a")
    connection.execute("DELETE FROM kine WHERE id > 10")
    return connection


def freed(path: Path) -> None:
    emptied(path).close()


def freed_and_used_again(path: Path) -> None:
    connection = emptied(path)
    fill(connection, "b", 50)
    connection.execute("DELETE FROM kine WHERE id > 230")
    fill(connection, "c", 20)
    connection.close()


def analyzed(path: Path) -> None:
    connection = kine(path)
    fill(connection, "a")
    connection.execute("ANALYZE")
    connection.close()


def vacuumed(path: Path) -> None:
    connection = emptied(path, "PRAGMA auto_vacuum=FULL")
    fill(connection, "b")
    connection.close()


def vacuumed_in_steps(path: Path) -> None:
    connection = emptied(path, "PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA incremental_vacuum(5)").fetchall()
    connection.close()


def audit(path: Path) -> Audit:
    return scan(path, Options(encryption_configs=(members_on_disk.configuration(path.parent),)))


@pytest.mark.parametrize("make", [freed, freed_and_used_again, analyzed, vacuumed, vacuumed_in_steps])
def test_an_honest_database_passes(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "state.db")
    assert audit(tmp_path / "state.db").exit_code(Severity.MEDIUM) == 0


def page(path: Path, number: int, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek((number - 1) * 4096 + at)
        file.write(content)


def trunk(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[32:36], "big")


@pytest.mark.parametrize("at", [8, 400, 2048, 4096 - len(LEAK.protobuf())])
def test_a_value_in_a_trunk_page_or_a_pointer_map_is_met(at: int, tmp_path: Path) -> None:
    freed(tmp_path / "state.db")
    page(tmp_path / "state.db", trunk(tmp_path / "state.db"), at, LEAK.protobuf())
    assert audit(tmp_path / "state.db").exit_code(Severity.MEDIUM) == 1
    vacuumed(tmp_path / "other.db")
    page(tmp_path / "other.db", 2, at, LEAK.protobuf())
    assert audit(tmp_path / "other.db").exit_code(Severity.MEDIUM) == 1


def test_a_freelist_that_names_a_page_twice_is_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    freed(path)
    number = trunk(path)
    at = (number - 1) * 4096
    page(path, number, 12, path.read_bytes()[at + 8 : at + 12])
    assert any("twice" in gap.reason for gap in audit(path).gaps)


def test_statistics_that_are_none_are_searched(tmp_path: Path) -> None:
    analyzed(tmp_path / "state.db")
    connection = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    connection.execute("INSERT INTO sqlite_stat1 VALUES ('kine', 'kine_name_index', 'U2VjcmV0LWluLXN0YXRpc3RpY3M=')")
    connection.close()
    assert any("sqlite_stat1" in gap.reason for gap in audit(tmp_path / "state.db").gaps)


TEXT = "S3cr3t of no known beginning " * 9


def a_view(path: Path) -> None:
    connection = kine(path)
    connection.execute(f"CREATE VIEW v AS SELECT '{TEXT}'")
    connection.close()


def an_index_on_values(path: Path) -> None:
    connection = kine(path)
    connection.execute("CREATE INDEX kine_value ON kine (value)")
    connection.close()


def a_column_whose_default_is_a_value(path: Path) -> None:
    connection = kine(path)
    connection.execute(f"ALTER TABLE kine ADD COLUMN extra BLOB DEFAULT x'{LEAK.protobuf().hex()}'")
    connection.close()


def the_reserved_bytes_of_the_header(path: Path) -> None:
    kine(path).close()
    page(path, 1, 72, TEXT.encode()[:20])


@pytest.mark.parametrize(
    "make", [a_view, an_index_on_values, a_column_whose_default_is_a_value, the_reserved_bytes_of_the_header]
)
def test_structure_that_holds_something_else_is_searched(make: Callable[[Path], None], tmp_path: Path) -> None:
    kine(tmp_path / "honest.db").close()
    before = audit(tmp_path / "honest.db")
    make(tmp_path / "state.db")
    after = audit(tmp_path / "state.db")
    assert before.complete
    assert not after.complete or len(after.inventory) > len(before.inventory)


def test_a_value_that_is_overwritten_with_zeros_is_cut_and_not_one_that_no_key_opens(tmp_path: Path) -> None:
    key, value = sealed(b"gone")
    connection = kine(tmp_path / "state.db", "PRAGMA secure_delete=OFF")
    row(connection, key, value)
    fill(connection, "a", 3)
    connection.execute("DELETE FROM kine WHERE name LIKE '%gone'")
    connection.close()
    content = (tmp_path / "state.db").read_bytes()
    assert content.count(value) == 1
    (tmp_path / "state.db").write_bytes(content.replace(value, value[:-20] + bytes(20)))
    audit = scan(tmp_path / "state.db", Options(encryption_configs=(members_on_disk.configuration(tmp_path),)))
    assert audit.exit_code(Severity.MEDIUM) == 0
    (cut,) = audit.inventory[audit.inventory.place == "slack"].to_dict("records")
    assert cut["state"] == "tail-lost"
