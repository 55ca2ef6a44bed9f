"""Stores that are no etcd: kine's table in dumps of SQL, backups that are tars of objects, objects in plain files."""

import base64
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from functools import partial

import yaml

from tests.fuzz import exports
from tests.fuzz.base import CANARY, PLAIN, Base
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, seal

COLUMNS = "id, name, created, deleted, create_revision, prev_revision, lease, value, old_value"
MOVED = {0: b"\\0", 10: b"\\n", 13: b"\\r", 26: b"\\Z", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}
"""What mysqldump escapes."""


def make(config: str) -> list[Base]:
    others = [StoredObject(namespace=b"prod", name=b"s%d" % number, data={b"p": b"x" * 60}) for number in range(6)]
    rng = random.Random(5)
    sealed = [(thing.key, seal("aescbc", "key1", KEY, thing, rng)) for thing in others]
    pairs = [*sealed[:3], (PLAIN.key, PLAIN.protobuf()), *sealed[3:]]
    texts: dict[str, Callable[[Sequence[tuple[bytes, bytes]]], bytes]] = {
        "dump of PostgreSQL": postgres,
        "archive of pg_dump": archive,
        "dump of MySQL": mysql,
        "dump of SQLite": sqlite,
        "vCluster": vcluster,
        "vCluster in other containers": nested,
        "dbctl": dbctl,
    }
    endless: dict[str, Callable[[Sequence[tuple[bytes, bytes]]], bytes]] = {
        "COPY without end": lambda pairs: postgres(pairs).partition(b"\\.\n")[0],
        "string without end": lambda pairs: mysql(pairs).partition(b",NULL);\n")[0][:-1] + ENDLESS,
        "statement without end": lambda pairs: sqlite(pairs).rpartition(b");\nDELETE")[0] + b",(" * 40_000,
        "archive without end": lambda pairs: archive(pairs)[:-5],
    }
    change = partial(exports.change, hashed=False)
    bases = [
        Base(place, text(pairs), change, config, name=NAMES[place], clean=text(sealed), readable=readable)
        for place, text in texts.items()
    ]
    plain = {
        "Rancher": rancher(sealed),
        "Velero": velero(),
        "objects in JSON": objects_json(),
        "objects in YAML": objects_yaml(),
    }
    plain |= {place: text(pairs) for place, text in endless.items()}
    return bases + [
        Base(place, data, change, config, name=NAMES[place], readable=readable) for place, data in plain.items()
    ]


NAMES = {
    "dump of PostgreSQL": "kine.sql",
    "archive of pg_dump": "kine.dump",
    "dump of MySQL": "kine.sql",
    "dump of SQLite": "kine.sql",
    "vCluster": "snapshot.tar",
    "vCluster in other containers": "outer.tar",
    "dbctl": "backup.tar",
    "Rancher": "backup.tar",
    "Velero": "backup.tar",
    "objects in JSON": "secrets.json",
    "objects in YAML": "secrets.yaml",
    "COPY without end": "kine.sql",
    "string without end": "kine.sql",
    "statement without end": "kine.sql",
    "archive without end": "kine.dump",
}
ENDLESS = b"\\'x''" * 20_000
"""Quotation marks that end nothing."""


def readable(data: bytes) -> bool:
    """Whether the canary stands in these bytes, raw, in hex or in base64."""
    return CANARY.hex().encode() in data.lower() or exports.readable(data)


def postgres(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    rows = [
        b"%d\t%b\t1\t0\t0\t0\t0\t\\\\x%b\t\\N\n" % (n, key, value.hex().encode())
        for n, (key, value) in enumerate(pairs, 1)
    ]
    head = b"--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n"
    head += b"CREATE TABLE public.kine (\n    id bigint\n);\n\n"
    copy = f"COPY public.kine ({COLUMNS}) FROM stdin;\n".encode()
    return head + copy + b"".join(rows) + b"\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n"


def archive(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """pg_dump's custom format, version 1.14, not compressed (pg_backup_archiver.c, WriteHead and WriteToc)."""

    def number(value: int) -> bytes:
        return bytes([value < 0]) + abs(value).to_bytes(4, "little")

    def text(value: str | None) -> bytes:
        return number(-1) if value is None else number(len(value)) + value.encode()

    plain = postgres(pairs)
    copy = f"COPY public.kine ({COLUMNS}) FROM stdin;\n"
    begin = plain.index(copy.encode()) + len(copy)
    rows = plain[begin : plain.index(b"\\.\n") + 3] + b"\n\n"
    head = b"PGDMP" + bytes([1, 14, 0, 4, 8, 1]) + number(0) + 7 * number(0)
    head += text("kubernetes") + text("15.14") + text("15.14") + number(1)
    words = ("0", "0", "kine", "TABLE DATA")
    entry = number(9) + number(1) + b"".join(map(text, words)) + number(3) + text("") + text("") + text(copy)
    entry += text("public") + text("") + text("") + text("kine") + text("false") + text(None) + b"\x02" + bytes(8)
    block = b"\x01" + number(9) + number(len(rows)) + rows + number(0)
    return head + entry + block


def mysql(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    def text(value: bytes) -> bytes:
        return b"".join(MOVED.get(octet, bytes([octet])) for octet in value)

    rows = [b"(%d,'%b',1,0,0,0,0,_binary '%b',NULL)" % (n, key, text(value)) for n, (key, value) in enumerate(pairs, 1)]
    head = (
        b"-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n--\n\nLOCK TABLES `kine` WRITE;\nINSERT INTO `kine` VALUES\n"
    )
    return head + b",\n".join(rows) + b";\nUNLOCK TABLES;\n\n-- Dump completed on 2026-11-24 10:00:00\n"


def sqlite(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    rows = [
        b"INSERT INTO kine VALUES(%d,'%b',1,0,0,0,0,X'%b',NULL);\n" % (n, key, value.hex().encode())
        for n, (key, value) in enumerate(pairs, 1)
    ]
    head = f"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE kine ({COLUMNS});\n".encode()
    return (
        head
        + b"".join(rows)
        + b"DELETE FROM sqlite_sequence;\nINSERT INTO sqlite_sequence VALUES('kine',9);\nCOMMIT;\n"
    )


def tar(members: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            member = tarfile.TarInfo("placeholder")
            member.size = len(content)
            member.name = name
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def vcluster(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    return tar([("/vcluster/snapshot/release", b'{"name":"v"}'), *((key.decode(), value) for key, value in pairs)])


def nested(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A tar in a zip in a tar, none of them compressed: damage to one is damage to what lies in it."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("inner/snapshot.tar", vcluster(pairs))
    return tar([("outer/inner.zip", inner.getvalue())])


def dbctl(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    files = [
        (f"backup-2026-11-24-10-00-00/{number}.{part}", content)
        for number, pair in enumerate(pairs)
        for part, content in zip(("data", "key"), reversed(pair), strict=True)
    ]
    return tar(sorted(files))


def rancher(sealed: Sequence[tuple[bytes, bytes]]) -> bytes:
    """aescbc has no associated data."""
    coded = [
        (
            f"secrets.#v1/{'/'.join(key.decode().split('/')[3:])}.json",
            json.dumps(base64.b64encode(value).decode()).encode() + b"\n",
        )
        for key, value in sealed
    ]
    return tar([("filters/filters.json", b"{}"), *coded, ("secrets.#v1/prod/canary.json", PLAIN.json())])


def velero() -> bytes:
    return tar([("metadata/version", b"1.1.0"), ("resources/secrets/namespaces/prod/canary.json", PLAIN.json())])


def _list() -> dict[str, object]:
    others = [StoredObject(namespace=b"prod", name=name, kind=b"ConfigMap").tree() for name in (b"a", b"b")]
    return {
        "apiVersion": "v1",
        "items": [others[0], PLAIN.tree(), others[1]],
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }


def objects_json() -> bytes:
    return json.dumps(_list(), indent=4).encode() + b"\n"


def objects_yaml() -> bytes:
    return yaml.safe_dump(_list()).encode()
