"""What is exported from etcd as text: etcdctl's dumps, Gardener's increments, and k3s' own record of its keys."""

import base64
import gzip
import hashlib
import json
import os
import random
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.fuzz.base import CANARY, PLAIN, Base
from tests.fuzz.mutate import odd
from tests.helpers import bolt_builder
from tests.helpers.etcd import binary, restore
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, OTHER, seal

TOKEN = b"token-fuzz-77aa01d2"
HASH = 32
_TOKENS = re.compile(rb'-?\d+|"[^"]*"|[][{}:,]|true|null')
ODD = [
    b"0", b"-1", b"1e9", b"99999999999999999999", b"1.5", b"null", b"true", b'""', b'"AA=="', b'"A"', b'"\\u0000"',
    b"[]", b"{}", b"[[", b"]", b"}", b",", b":", b'"', b"\xff", b'"key":"QQ==",', b'"type":1,', b"\n\n", b"NaN",
    b'"etcdEvent":{', b'"lease":"x",',
]  # fmt: skip


def make(folder: Path, latest: Base, config: str) -> list[Base]:
    return [_dump(folder, latest, config), _increment(latest, config), _record(folder, latest)]


def _dump(folder: Path, latest: Base, config: str) -> Base:
    """What the installed etcdctl prints of the snapshot."""
    snapshot = folder / "dumped.db"
    snapshot.write_bytes(latest.data)
    with restore(snapshot, folder / "restored") as etcd:
        line = [binary("etcdctl"), "--endpoints", etcd.endpoint, "get", "--prefix", "/registry/secrets", "-w", "json"]
        done = subprocess.run(line, capture_output=True, check=True, env={**os.environ, "ETCDCTL_API": "3"})
    clean = json.loads(done.stdout)
    clean["kvs"] = [kv for kv in clean["kvs"] if base64.b64decode(kv["key"]) != PLAIN.key]
    clean["count"] -= 1
    return Base(
        "dump",
        done.stdout,
        partial(change, hashed=False),
        config,
        name="dump.json",
        clean=json.dumps(clean, separators=(",", ":")).encode() + b"\n",
        readable=readable,
    )


def _increment(latest: Base, config: str) -> Base:
    """A full snapshot and the increment behind it, which holds the canary."""
    first = 1000

    def written(*things: StoredObject) -> bytes:
        rng = random.Random(3)
        events = []
        for number, thing in enumerate(things):
            value = thing.protobuf() if thing is PLAIN else seal("aescbc", "key1", KEY, thing, rng)
            kv = {"key": base64.b64encode(thing.key).decode(), "create_revision": first + number}
            kv |= {"mod_revision": first + number, "version": 1, "value": base64.b64encode(value).decode()}
            events.append({"etcdEvent": {"kv": kv}, "time": "2026-11-24T10:00:00.123456789Z"})
        text = json.dumps(events, separators=(",", ":")).encode()
        return text + hashlib.sha256(text).digest()

    others = [StoredObject(namespace=b"prod", name=b"i%d" % number, data={b"p": b"x" * 60}) for number in range(10)]
    return Base(
        "increment",
        written(*others[:5], PLAIN, *others[5:]),
        partial(change, hashed=True),
        config,
        name="backup/Incr-00000083-00001010-1700000100",
        given="backup",
        beside={"backup/Full-00000000-00000082-1700000000.gz": gzip.compress(latest.clean)},
        clean=written(*others[:5], StoredObject(name=b"another", data={b"p": b"z"}), *others[5:]),
        readable=readable,
    )


def _record(folder: Path, latest: Base) -> Base:
    """The /bootstrap record under the server token, in a database of which it opens the rest; the token is given."""
    token = folder / "token"
    token.write_bytes(b"K10" + b"ab" * 32 + b"::server:" + TOKEN)
    configuration = Path(latest.config).read_bytes()
    content = {
        "EncryptionConfig": {"Timestamp": "2026-11-24T10:00:00Z", "Content": base64.b64encode(configuration).decode()}
    }
    return Base(
        "bootstrap record",
        _sealed(json.dumps({"ClientCA": "", **content}).encode()),
        _changed_record,
        token=str(token),
        secrets=(KEY, OTHER, TOKEN),
    )


def _sealed(plain: bytes) -> bytes:
    """k3s pkg/cluster/encrypt.go, with a fixed salt and nonce, in a snapshot with one sealed and one plain Secret."""
    salt, nonce = b"0123456789abcdef", bytes(12)
    key = hashlib.pbkdf2_hmac("sha1", TOKEN, salt, 4096, 32)
    value = salt + b":" + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None))
    other = StoredObject(name=b"sealed", data={b"p": b"q" * 40})
    pairs = [
        (other.key, seal("aescbc", "key1", KEY, other, random.Random(1))),
        (PLAIN.key, PLAIN.protobuf()),
        (b"/bootstrap/1f00aa", value),
    ]
    records = [bolt_builder.record(main, key, value) for main, (key, value) in enumerate(pairs, 2)]
    return bytes(bolt_builder.backend(records).seal())


def _changed_record(_: bytes, seed: int) -> bytes:
    """The text of the record damaged, and sealed again; the configuration in it damaged first, one time in two."""
    rng = random.Random(seed)
    from tests.fuzz import configurations

    text = configurations.YAML.encode()
    if rng.random() < 0.5:
        text = configurations.change(text, seed, form="yaml")
    said: dict[str, Any] = {"EncryptionConfig": {"Timestamp": "x", "Content": base64.b64encode(text).decode()}}
    if rng.random() < 0.3:
        said["EncryptionConfig"] = rng.choice(
            [said["EncryptionConfig"]["Content"], None, [], 7, {"Content": 5}, "é", {}]
        )
    plain = json.dumps(said).encode()
    return _sealed(change(plain, seed, hashed=False) if rng.random() < 0.5 else plain)


def readable(data: bytes) -> bool:
    """Whether the canary stands in these bytes, raw or in base64 at any of its alignments."""
    coded = (base64.b64encode(b"\0" * shift + CANARY)[4 if shift else 0 : -4] for shift in range(3))
    return CANARY in data or any(each in data for each in coded)


def change(data: bytes, seed: int, *, hashed: bool) -> bytes:
    """Tokens changed for others, moved, doubled, left out; then bytes; its hash made right, seven times in eight."""
    rng = random.Random(seed)
    right = hashed and rng.random() < 7 / 8
    text = bytearray(data[:-HASH] if right else data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        tokens = [(found.start(), found.end()) for found in _TOKENS.finditer(text)]
        how = rng.randrange(7)
        start, end = rng.choice(tokens or [(0, 0)])
        if how == 0:
            text[start:end] = rng.choice(ODD)
        elif how == 1:
            text[start:start] = rng.choice(ODD)
        elif how == 2:
            del text[start:end]
        elif how == 3:
            other, until = rng.choice(tokens or [(0, 0)])
            text[start:end] = bytes(text[other:until])
        elif how == 4 and text:
            del text[rng.choice([rng.randrange(len(text)), max(len(text) - rng.randrange(1, 60), 0)]) :]
        elif how == 5:
            text[start:end] = bytes(text[start:end]).replace(b"\n", b"").center(rng.randrange(40), b" ")
        elif text:
            at = rng.randrange(len(text))
            text[at : at + 1] = odd(rng, 1)
    return bytes(text) + hashlib.sha256(text).digest() if right else bytes(text)
