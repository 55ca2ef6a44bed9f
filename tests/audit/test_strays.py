"""A value that stands close behind the beginning of another one, which nothing says the end of, is judged by itself."""

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import auditor
from auditor import Options, Severity
from tests.audit.test_agreement import dump
from tests.helpers import sealing
from tests.helpers.bolt_builder import Pair, backend, record
from tests.helpers.ciphertexts import PREFIXES
from tests.helpers.members_on_disk import LEAK, clean, configuration, write
from tests.helpers.objects import StoredObject

PREFIX = PREFIXES["secretbox"] + b"key1:"
NOISE = bytes(range(100, 180))
READABLE = {
    "protobuf": LEAK.protobuf(),
    "JSON": LEAK.json(),
    "JSON, sorted": json.dumps(LEAK.tree(), sort_keys=True).encode(),
}
BEGINNINGS = {
    "a prefix": PREFIX,
    "two prefixes": PREFIX * 2,
    "an envelope without a type": b"k8s\0\nxx",
    "an envelope without its end": b"k8s\0\n\x0b\n\x02v1\x12\x05Thing\x12\xff\xff\x7f",
    "JSON without an end": b'{"kind":"',
}
KEY = LEAK.key
NEWER = StoredObject(name=b"leak", data={b"password": b"another value"})
SEALED = KEY, sealing.seal("secretbox", "key1", sealing.KEY, NEWER, random.Random(1))
STORES: dict[str, Callable[[bytes], bytes]] = {
    "a current value": lambda value: backend([*clean(), record(9, KEY, PREFIX + NOISE + value)]).seal(),
    "a freed page": lambda value: backend(clean(), freed=[bytes(64) + value]).seal(),
    "a dump": lambda value: dump((b"/registry/secrets/a/sealed", PREFIX + NOISE + value)),
    "text behind a dump": lambda value: dump() + b"\n-- " + base64.b64encode(value) + b"\n",
}


@pytest.mark.parametrize("between", [0, 4, 40])
@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("readable", READABLE)
@pytest.mark.parametrize("store", STORES)
def test_a_value_close_behind_a_beginning(
    store: str, readable: str, beginning: str, between: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.db", STORES[store](BEGINNINGS[beginning] + b"\xff" * between + READABLE[readable]))
    audit = auditor.scan(path, Options(encryption_configs=(configuration(tmp_path),)))
    if store == "a freed page" and readable != "protobuf" and "prefix" not in beginning:
        # carved as one fragment: of what cannot be told, or of an object that may carry manifests, as a whole one may
        assert audit.exit_code(Severity.MEDIUM) or "without its end" in beginning
        return
    assert audit.exit_code(Severity.MEDIUM) == 1
    assert "plaintext" in set(audit.findings.finding)


def test_a_value_that_is_whole_keeps_what_it_carries(tmp_path: Path) -> None:
    """A Secret in what claims to be encrypted carries a manifest of another: one readable value, not two."""
    manifest = json.dumps(StoredObject(name=b"inner").tree(), sort_keys=True).encode()
    outer = StoredObject(name=b"outer", data={b"a.yaml": manifest}).protobuf()
    path = write(tmp_path / "a.db", backend([*clean(), record(9, KEY, PREFIX + NOISE + PREFIX + outer)]).seal())
    audit = auditor.scan(path, Options(encryption_configs=(configuration(tmp_path),)))
    assert list(audit.findings.finding).count("plaintext") == 1


HOLDERS: dict[str, Callable[[bytes], list[Pair]]] = {
    "an encrypted value": lambda value: [record(9, KEY, PREFIX + NOISE + value + NOISE)],
    "an older value": lambda value: [record(9, KEY, PREFIX + NOISE + value), record(10, *SEALED)],
    "a value of no known encoding": lambda value: [record(9, KEY, b"\xef\xbb\xbf[" + value + b"]")],
}
PLACES = dict(zip(HOLDERS, ["latest", "history", "latest"], strict=True))
HELD = [
    *((holder, place, readable) for holder, place in PLACES.items() for readable in READABLE),
    # elsewhere what follows the object is taken for a part of it
    ("an older value", "history", "CBOR"),
]


@pytest.mark.parametrize(("holder", "place", "readable"), HELD)
def test_a_value_inside_another_has_the_place_of_that(holder: str, place: str, readable: str, tmp_path: Path) -> None:
    records = HOLDERS[holder](READABLE.get(readable, LEAK.cbor()))
    path = write(tmp_path / "a.db", backend([*clean(), *records]).seal())
    audit = auditor.scan(path, Options(encryption_configs=(configuration(tmp_path),)))
    rows = audit.inventory
    inner = rows[rows.finding.str.contains("plaintext")]
    assert list(inner.finding) == ["plaintext"], "no API server reads a part of a value"
    begin, size = int(inner.offset.iloc[0]), int(inner["size"].iloc[0])
    outer = rows[(rows.offset < begin) & (rows.offset + rows["size"] > begin)]
    assert [*inner.place, *outer.place] == [place, place]
    assert list(inner.page) == list(outer.page)
    assert list(inner.severity) == ["critical" if place == "latest" else "high"]
    assert list(outer.offset + outer["size"] >= begin + size) == [True]
