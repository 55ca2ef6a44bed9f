"""kine's table in a live PostgreSQL or MySQL: asked once, in one read-only snapshot, and spooled as COPY writes it.

Only SELECT is needed. psycopg and libpq, or PyMySQL, make the connection, with the credentials and the TLS settings
that they find: PGPASSWORD, ~/.pgpass, PGSSLMODE and the rest; MYSQL_PWD, ~/.my.cnf. PostgreSQL's manual, COPY and
`SET TRANSACTION`; MySQL's, `START TRANSACTION WITH CONSISTENT SNAPSHOT`.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from auditor.errors import AuditorError, MissingExtra, UnreadableEvidence, UsageError
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.file import EvidenceFile

SCHEMES = {"postgresql": "PostgreSQL", "postgres": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
COLUMNS = ("id", "name", "created", "deleted", "create_revision", "prev_revision", "lease", "value", "old_value")
_BLOBS = frozenset({"name", "value", "old_value"})
_TLS = {"ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity", "ssl_disabled"}
"""Settings of PyMySQL's that a URL may hold."""
_MYSQL_PORT = 3306
_DATABASE = "kubernetes"
"""kine's own (pkg/drivers/mysql/mysql.go, pkg/drivers/pgsql/pgsql.go)."""
_ESCAPED = re.compile(rb"[\\\t\n\r\b\f\v]")
_LETTERS = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r", b"\b": b"\\b", b"\f": b"\\f", b"\v": b"\\v"}
_PATIENCE = 30
"""Seconds until a server must have accepted a connection."""


def is_database(text: str) -> bool:
    """Whether a text is the URL of a database."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def shown(url: str) -> str:
    """A URL without user, password and settings."""
    from auditor import text

    parts = urlsplit(url)
    return text.shown(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def fetch(url: str, options: Options) -> "tuple[EvidenceFile, list[str]]":
    """The table as a text in a private file, and a note on its origin.

    Raises UnreadableEvidence where it cannot be read, UsageError for a URL with a password and where a library is
    missing.
    """
    from auditor.evidence.containers.decompress import Stream
    from auditor.evidence.containers.extracted import Extractor

    parts = _parts(url)
    ask = _postgres if SCHEMES[parts.scheme] == "PostgreSQL" else _mysql
    head = f"COPY kine ({', '.join(COLUMNS)}) FROM stdin;\n".encode()
    stream = Stream(_bounded(_texts(head, ask(parts, url)), url, options.max_unpacked))
    extracted = Extractor(options.work_dir).fill(stream, shown(url), hashed=not options.quick)
    note = (
        f"asked of {shown(url)} in one read-only snapshot: {extracted.size:,} bytes as COPY writes rows, in a private "
        "file without a name; offsets are of that text"
    )
    return extracted.open(shown(url)), [note]


def _parts(url: str) -> SplitResult:
    """The parts of a URL. Raises UsageError; nothing of a password is repeated."""
    try:
        parts = urlsplit(url)
        password, _ = parts.password, parts.port
    except ValueError:
        raise UsageError("this is no URL of a database: write postgresql://USER@HOST:5432/DATABASE") from None
    settings = {name.lower() for name, _ in parse_qsl(parts.query)}
    if password is not None or any("passw" in name or name in {"pwd", "passfile"} for name in settings):
        raise UsageError(
            f"{shown(url)}: a URL must not hold a password, which every user of this machine may see: give it in the "
            "environment (PGPASSWORD, MYSQL_PWD) or in the driver's own file (~/.pgpass, ~/.my.cnf)"
        )
    return parts


def _texts(head: bytes, rows: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from rows
    yield b"\\.\n"


def _bounded(blocks: Iterable[bytes], url: str, most: int) -> Iterator[bytes]:
    from auditor.evidence.containers.limits import Refused

    count = 0
    for block in blocks:
        count += len(block)
        if count > most:
            raise Refused(f"{shown(url)} holds more than {most:,} bytes: raise --max-unpacked if that is right")
        yield block


def _postgres(parts: SplitResult, url: str) -> Iterator[bytes]:
    """The rows as PostgreSQL's own COPY writes them."""
    try:
        import psycopg
    except ImportError:
        raise MissingExtra(shown(url), "psycopg", "sql") from None
    settings: dict[str, Any] = {"connect_timeout": _PATIENCE, "application_name": "etcd-auditor"}
    settings |= dict(parse_qsl(parts.query))
    named = {"host": parts.hostname, "port": parts.port, "user": _user(parts), "dbname": _database(parts)}
    settings |= {name: value for name, value in named.items() if value}
    try:
        with psycopg.connect(**settings) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL bytea_output = 'hex'")
                cursor.execute("SET LOCAL client_encoding = 'UTF8'")
                with cursor.copy(f"COPY (SELECT {', '.join(COLUMNS)} FROM kine ORDER BY id) TO STDOUT") as copy:  # noqa: S608
                    for block in copy:
                        yield bytes(block)
            connection.rollback()
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 - of a driver, a server, a name service
        raise UnreadableEvidence(_why(url, error, str(getattr(error, "sqlstate", None) or ""))) from None


def _mysql(parts: SplitResult, url: str) -> Iterator[bytes]:
    """The rows of a streaming cursor, written as COPY does."""
    try:
        import pymysql
        from pymysql.cursors import SSCursor
    except ImportError:
        raise MissingExtra(shown(url), "pymysql", "sql") from None
    settings = {name: value for name, value in parse_qsl(parts.query) if name in _TLS}
    defaults = Path("~/.my.cnf").expanduser()
    connection: Any = None
    columns = ", ".join(f"HEX({name})" if name in _BLOBS else name for name in COLUMNS)
    try:
        connection = pymysql.connect(
            host=parts.hostname or "localhost",
            port=parts.port or _MYSQL_PORT,
            user=_user(parts) or None,
            password=os.environ.get("MYSQL_PWD", ""),
            database=_database(parts),
            connect_timeout=_PATIENCE,
            read_default_file=str(defaults) if defaults.is_file() else None,
            cursorclass=SSCursor,
            **settings,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            cursor.execute(f"SELECT {columns} FROM kine ORDER BY id")  # noqa: S608
            while rows := cursor.fetchmany(100):
                yield b"".join(map(_copied, rows))
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 - of a driver, a server, a name service
        code = error.args[0] if error.args and isinstance(error.args[0], int) else ""
        raise UnreadableEvidence(_why(url, error, str(code))) from None
    finally:
        if connection is not None:
            connection.close()


def _copied(row: tuple[Any, ...]) -> bytes:
    """A row as COPY writes it."""
    cells = []
    for name, cell in zip(COLUMNS, row, strict=True):
        if cell is None:
            cells.append(b"\\N")
        elif name == "name":
            cells.append(_ESCAPED.sub(lambda match: _LETTERS[match[0]], bytes.fromhex(_word(cell))))
        else:
            cells.append((b"\\\\x" if name in _BLOBS else b"") + _word(cell).encode())
    return b"\t".join(cells) + b"\n"


def _word(cell: Any) -> str:
    return cell.decode("ascii") if isinstance(cell, bytes) else str(cell)


def _user(parts: SplitResult) -> str:
    return unquote(parts.username or "")


def _database(parts: SplitResult) -> str:
    return unquote(parts.path.strip("/")) or _DATABASE


def _why(url: str, error: Exception, code: str) -> str:
    """The words for an error: no text of a driver's or a server's, which may quote anything."""
    name = type(error).__name__ + (f" {code}" if code else "")
    way_out = "check the URL, the credentials in the environment, and that kine's table is there"
    return f"{shown(url)} cannot be read: {name}; {way_out}"
