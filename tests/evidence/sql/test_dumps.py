"""Dumps of real servers: what is read of them is what the server answers, and where it is said to stand."""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from auditor.evidence import readers
from auditor.evidence.discovery import exhibits
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from auditor.model.vocabulary import Place
from auditor.options import Options
from tests.fuzz import stores
from tests.fuzz.base import CANARY
from tests.helpers import members_on_disk, packing, sql_servers
from tests.helpers.command import run
from tests.helpers.sql_servers import Row, Server
from tests.helpers.tools import tool

POSTGRES = {
    "plain": (),
    "inserts": ("--inserts", "--rows-per-insert=3"),
    "inserts into what is there": ("--inserts", "--on-conflict-do-nothing"),
    "column inserts": ("--column-inserts", "-t", "kine"),
    "data only": ("--data-only",),
}
MARIADB = {
    "escaped": ("mariadb-dump",),
    "hex": ("mariadb-dump", "--hex-blob"),
    "mysqldump, a row a statement": ("mysqldump", "--skip-extended-insert", "--complete-insert"),
    "without quotation marks": ("mariadb-dump", "--compatible=ansi", "--skip-quote-names", "--single-transaction"),
}
LINE = ("mariadb-dump",)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with sql_servers.postgres() as server:
        server.fill("kubernetes", sql_servers.history())
        server.fill(
            "older", sql_servers.history(), wide=False, prepare="ALTER DATABASE older SET bytea_output = 'escape';"
        )
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    with sql_servers.mariadb() as server:
        server.fill("kubernetes", sql_servers.history())
        server.fill("older", sql_servers.history(), wide=False)
        yield server


def read(path: Path) -> Reading:
    with Exhibit.of_file(path.name, EvidenceFile.open(path, hashed=False)) as exhibit:
        return readers.read(exhibit, quick=False)


def told(reading: Reading) -> list[tuple[int, bytes, int, bytes, int]]:
    """Of every value: id of its row, key, revision, bytes, place."""
    return sorted(
        (int(batch.ordinal[row]), batch.key(row), int(batch.mod_revision[row]), batch.value(row), int(batch.place[row]))
        for batch in reading.batches
        for row in range(len(batch))
    )


def expected(rows: Sequence[Row]) -> list[tuple[int, bytes, int, bytes, int]]:
    """The same by what the server answers."""
    newest = {row.name: row for row in rows}
    values = []
    for row in rows:
        last = newest[row.name]
        place = Place.DELETED if last.deleted else Place.LATEST if last is row else Place.HISTORY
        previous = row.prev_revision or -1
        if row.value is not None:
            values.append((row.id, row.name, previous if row.deleted else row.id, row.value, place))
        if row.old_value:
            own = Place.OLD_VALUE if place is Place.LATEST else place
            values.append((row.id, row.name, previous, row.old_value, own))
    return sorted(values)


def spellings(value: bytes) -> set[bytes]:
    """How dumps may write a value: hex, MySQL's escapes, PostgreSQL's escape format in COPY."""
    mysql = re.sub(
        rb"[\0\n\r\\'\"\x1a]",
        lambda match: b"\\" + {0: b"0", 10: b"n", 13: b"r", 26: b"Z"}.get(match[0][0], match[0]),
        value,
    )
    plain = re.sub(rb"[^ -~]|\\", lambda match: b"\\\\" if match[0] == b"\\" else b"\\%03o" % match[0][0], value)
    return {value.hex().encode(), value.hex().upper().encode(), mysql, plain.replace(b"\\", b"\\\\")}


def check(path: Path, rows: Sequence[Row]) -> Reading:
    """Everything of a dump is as the server answers, stands where it is said to, and nothing else is in it."""
    reading, text = read(path), path.read_bytes()
    assert reading.gaps == ()
    assert told(reading) == expected(rows)
    spans = []
    for batch in reading.batches:
        for row in range(len(batch)):
            at, size = int(batch.offset[row]), int(batch.size[row])
            assert text[at : at + size] in spellings(batch.value(row))
            spans.append((at, at + size))
    for spelling in spellings(CANARY):
        for match in re.finditer(re.escape(spelling), text):
            assert any(start <= match.start() and match.end() <= end for start, end in spans)
    (balance,) = reading.balances
    assert balance.unaccounted == 0
    return reading


@pytest.mark.parametrize("form", POSTGRES)
def test_pg_dump_holds_what_the_server_answers(form: str, postgres: Server, tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(postgres.program("pg_dump", *POSTGRES[form], "kubernetes"))
    assert check(path, postgres.rows("kubernetes")).description == "PostgreSQL dump"


def test_the_older_schema_and_the_escape_format_of_bytea(postgres: Server, tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(postgres.program("pg_dump", "older"))
    assert b"\\\\x6b3873" not in path.read_bytes()
    check(path, postgres.rows("older"))


def test_every_database_of_a_server(postgres: Server, tmp_path: Path) -> None:
    path = tmp_path / "all.sql"
    path.write_bytes(postgres.program("pg_dumpall"))
    reading = read(path)
    assert told(reading) == sorted(2 * expected(postgres.rows("kubernetes")))
    assert "holds 2 tables of kine's" in reading.notes[0]


def test_what_compaction_deleted_is_in_no_dump_vacuumed_or_not_and_that_is_said(
    postgres: Server, tmp_path: Path
) -> None:
    """The dead rows lie in the server's files until it is vacuumed, and on the disk behind that: the scope says so."""
    postgres.fill("compacted", sql_servers.history())
    superseded = "id NOT IN (SELECT max(id) FROM kine GROUP BY name) OR deleted = 1"
    postgres.sql("compacted", f"DELETE FROM kine WHERE {superseded}")
    readings = []
    for statement in ("SELECT 1", "VACUUM FULL kine"):
        postgres.sql("compacted", statement)
        path = tmp_path / "dump.sql"
        path.write_bytes(postgres.program("pg_dump", "compacted"))
        readings.append(check(path, postgres.rows("compacted")))
    postgres.sql("postgres", "DROP DATABASE compacted")
    before, after = readings
    assert 0 < len(told(before)) < len(expected(sql_servers.history()))
    assert told(before) == told(after)
    assert all(each.standing is not None and "freed and not wiped" in each.standing.what for each in readings)


@pytest.mark.parametrize("form", MARIADB)
def test_mariadb_dump_holds_what_the_server_answers(form: str, mariadb: Server, tmp_path: Path) -> None:
    program, *options = MARIADB[form]
    path = tmp_path / "dump.sql"
    for database in ("kubernetes", "older"):
        path.write_bytes(
            mariadb.program(program, "--no-defaults", f"--socket={mariadb.folder}/s", "-uroot", *options, database)
        )
        assert check(path, mariadb.rows(database)).description == "MySQL or MariaDB dump"


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_mydumper_writes_the_table_and_its_rows_in_files_of_their_own(
    packed: bool, mariadb: Server, tmp_path: Path
) -> None:
    """Its rows are what the server answers, in double quotation marks; its definitions hold no values and no gap."""
    folder = tmp_path / "nightly"
    done = tool("mydumper", "--socket", mariadb.folder / "s", "-u", "root", "-B", "kubernetes", "-o", folder)
    assert done.returncode == 0, done.stderr
    reading = check(folder / "kubernetes.kine.sql", mariadb.rows("kubernetes"))
    assert reading.description == "MySQL or MariaDB dump"
    evidence = packing.tar_folder(folder) if packed else folder
    report = tmp_path / "r.json"
    assert run("scan", evidence, "--json", report).returncode == 1
    document = json.loads(report.read_text())
    assert document["gaps"] == []
    assert any("kubernetes.kine-schema.sql" in note for note in document["notes"])
    # a definition that holds rows is no definition alone
    schema = folder / "kubernetes.kine-schema.sql"
    schema.write_bytes(schema.read_bytes() + (folder / "kubernetes.kine.sql").read_bytes()[:60_000])
    assert run("scan", folder, "--json", report, "--force").returncode == 1
    assert json.loads(report.read_text())["gaps"]


def test_the_dump_of_sqlite(tmp_path: Path) -> None:
    rows = sql_servers.history()
    database = sqlite3.connect(":memory:")
    database.execute(
        "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER, deleted INTEGER, "
        "create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"
    )
    for row in rows:
        cells = (row.id, row.name.decode(), row.created, row.deleted, row.create_revision, row.prev_revision, 0)
        database.execute("INSERT INTO kine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*cells, row.value, row.old_value))
    path = tmp_path / "state.sql"
    path.write_text("\n".join(database.iterdump()) + "\n")
    database.close()
    assert check(path, rows).description == "SQL dump of SQLite's"


def test_a_dump_is_scanned_as_any_other_evidence(mariadb: Server, tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(
        mariadb.program("mariadb-dump", "--no-defaults", f"--socket={mariadb.folder}/s", "-uroot", "kubernetes")
    )
    done = run("scan", path, "--hunt", "--csv", "-", "--json", tmp_path / "r.json")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert CANARY.decode() not in done.stdout + done.stderr
    assert "old-value" in done.stdout
    assert "the sweep agrees" in done.stderr
    assert run("verify", tmp_path / "r.json", path).returncode == 0


def test_an_archive_of_which_no_row_is_read_is_a_gap(tmp_path: Path) -> None:
    """Nothing of its table was understood: a fault, once."""
    raw = stores.archive([members_on_disk.sealed(b"a")])
    at = raw.index(b"1\t/registry/")
    path = tmp_path / "kine.dump"
    path.write_bytes(raw[:at] + b"x" * (len(raw) - at - 4) + raw[-4:])
    done = run("scan", path)
    assert done.returncode in {1, 3}, done.stderr
    assert "fault" not in done.stderr


@pytest.mark.parametrize("form", ["sqlite", "sql"])
def test_an_empty_previous_value_is_none(form: str, tmp_path: Path) -> None:
    """A copy of the table into another server makes it of NULL; freed rows have it too."""
    path = tmp_path / "state"
    database = members_on_disk.kine(path)
    database.execute("UPDATE kine SET old_value = X''")
    database.execute("DELETE FROM kine WHERE id = 3")
    if form == "sql":
        path = tmp_path / "state.sql"
        path.write_text("\n".join(database.iterdump()) + "\n")
    database.close()
    report = tmp_path / "r.json"
    done = run("scan", path, "--encryption-config", members_on_disk.configuration(tmp_path), "--json", report)
    assert done.returncode in ({0} if form == "sql" else {0, 3}), done.stdout
    assert json.loads(report.read_text())["findings"] == []


ROWS = b"1\t/registry/secrets/a/b\t1\t0\t0\t0\t0\t\\\\x%s\t\\N\n"
COLUMNS = b"id, name, created, deleted, create_revision, prev_revision, lease, value, old_value"
COPY = b"COPY public.kine (" + COLUMNS + b") FROM stdin;\n"
HEAD, TAIL = b"--\n-- PostgreSQL database dump\n--\n\n", b"\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
VALUE = (b"k8s:enc:aescbc:v1:key1:" + bytes(48)).hex().encode()
SOUND = HEAD + COPY + ROWS % VALUE + TAIL


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD + COPY + ROWS % VALUE, "do not end: cut"),
        (SOUND[: -len(TAIL)] + b"\\.\n", "writes last: cut"),
        (SOUND.replace(b"\\\\x6b", b"\\\\xzz"), "cannot be decoded"),
        (SOUND.replace(b"1\t/reg", b"1/reg"), "nothing of a dump"),
        (
            SOUND.replace(b"-- PostgreSQL database dump complete", b"x\0y\n-- PostgreSQL database dump complete"),
            "nothing of a dump",
        ),
        (SOUND.replace(TAIL, b"\\.\nCOPY public.other (a) FROM stdin;\n5\n" + TAIL), "rows of the table public.other"),
        (SOUND.replace(b", old_value)", b", old)"), "has not kine's columns"),
    ],
)
def test_what_is_not_read_of_a_dump_is_a_gap(text: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(SOUND)
    assert read(path).gaps == ()
    path.write_bytes(text)
    assert any(reason in gap.reason for gap in read(path).gaps), read(path).gaps


REMARKS = [
    b"mysqldump: [Warning] Using a password on the command line interface can be insecure.\n",
    b"pg_dump: last built-in OID is 16383\npg_dump: reading extensions\n",
    b'Defaulted container "postgres" out of: postgres, exporter\nUnable to use a TTY - input is not a terminal\n',
]


@pytest.mark.parametrize("remark", REMARKS, ids=["password", "verbose", "kubectl"])
def test_what_the_program_says_to_people_may_stand_in_a_dump(remark: bytes, tmp_path: Path) -> None:
    """`mysqldump ... > dump.sql 2>&1`, as scripts of backups have it: rows, places and the end are the same."""
    path = tmp_path / "dump.sql"
    sound = SOUND.replace(COPY, b"pg_dump: dumping contents of table\n" + COPY)
    path.write_bytes(remark + sound)
    reading = read(path)
    assert (reading.gaps, len(told(reading))) == ((), 1)
    assert reading.balances[0].unaccounted == 0
    path.write_bytes(remark + sound[: -len(TAIL)] + b"\\.\n")
    assert any("writes last: cut" in gap.reason for gap in read(path).gaps)
    value = b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12\x00\x1a\x00\x22\x00".hex().encode()
    path.write_bytes(remark[:-1] + value + b"\n" + sound)
    assert run("scan", path).returncode == 1


def test_a_value_in_a_comment_is_met(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(
        SOUND.replace(
            b"dump complete",
            b"dump complete " + b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12\x00\x1a\x00\x22\x00".hex().encode(),
        )
    )
    assert run("scan", path).returncode == 1


def test_a_dump_without_kine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(HEAD + b"CREATE TABLE public.other (a integer);\n" + TAIL[3:])
    done = run("scan", path)
    assert done.returncode == 2
    assert "holds no table of kine's" in done.stderr


FORMATS = {
    "custom": ("-Fc",),
    "custom, not compressed": ("-Fc", "-Z0"),
    "custom, inserts": ("-Fc", "--inserts"),
    "tar": ("-Ft",),
    "directory": ("-Fd",),
    "directory, not compressed": ("-Fd", "-Z0"),
}


@pytest.mark.parametrize("form", FORMATS)
def test_archives_of_pg_dump(form: str, postgres: Server, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    postgres.program("pg_dump", *FORMATS[form], "-f", str(path), "kubernetes")
    with exhibits.opened(str(path), Options(work_dir=str(tmp_path))) as opened:
        ((_, opener),) = opened
        with opener() as exhibit:
            reading = readers.read(exhibit, quick=False)
            (file,) = exhibit.of(Role.SQL_DUMP)
            text = bytes(file.map)
    assert reading.gaps == ()
    assert reading.description == "archive of pg_dump"
    assert told(reading) == expected(postgres.rows("kubernetes"))
    for batch in reading.batches:
        for row in range(len(batch)):
            at, size = int(batch.offset[row]), int(batch.size[row])
            assert text[at : at + size] in spellings(batch.value(row))
    done = run("scan", path)
    assert done.returncode == 1, done.stderr
    assert "inconclusive" not in done.stdout
    assert "the sweep agrees" in " ".join(done.stdout.split())


def test_an_archive_that_is_cut_is_a_gap(postgres: Server, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    whole = postgres.program("pg_dump", "-Fc", "kubernetes")
    for size in (7, 40, 300, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:size])
        done = run("scan", path)
        assert done.returncode in {1, 2, 3}
        assert "cut" in done.stdout + done.stderr or "ends early" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
