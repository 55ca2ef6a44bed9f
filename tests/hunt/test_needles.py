"""What is looked for: each value once, with all its owners, whatever it was a part of."""

import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import auditor
from auditor import Options
from auditor.hunt import needles
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, configuration, provider, seal

FEW = st.text("ab", max_size=60).map(str.encode)


@given(FEW.filter(bool), FEW)
@example(b"a" * 16 + b"b", b"a" * 16 + b"a" * 16 + b"b")  # begins more than once, and is found only where it is whole
@example(b"ab", b"")
def test_a_value_is_itself_whatever_it_is_cut_from(text: bytes, plaintext: bytes) -> None:
    whole, begin, end = needles._slice(text, plaintext)
    assert whole[begin:end] == text
    assert whole in {text, plaintext}


@pytest.mark.parametrize("written", [StoredObject.protobuf, StoredObject.json, StoredObject.cbor])
def test_every_opened_value_is_found_elsewhere(
    written: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every encoding: as a part of what was opened, or decoded from it; stripped, shared, or begun once before."""
    rng = random.Random(5)
    name = b"begins-like-this-name"
    values = {b"plain": b"S3cure-and-Rare", b"lines": b" \nq7Vxr!2Zkfo\n", name + b".old": name + b"-Z81kq"}
    one, other = (StoredObject(name=each, data=values) for each in (b"one", name))
    monkeypatch.setattr(StoredObject, "protobuf", written)
    with Etcd(tmp_path / "data") as etcd:
        for thing in (one, other):
            etcd.put(thing.key, seal("aescbc", "key1", KEY, thing, rng))
        for number, value in enumerate(values.values()):
            etcd.put(b"/registry/widgets/w%d" % number, b'{"kind": "Widget", "is": "' + value.strip() + b'"}')
        path = etcd.save(tmp_path / "values.db")
    config = configuration(tmp_path / "config.json", provider("aescbc", ("key1", KEY)))
    audit = auditor.scan(path, Options(hunt=True, encryption_configs=(config,)))
    found = audit.findings[(audit.findings.finding == "copied-value") & (audit.findings.place == "latest")]
    assert sorted(found.key) == [f"/registry/widgets/w{number}" for number in range(3)]
    assert found.detail.str.contains("and 1 more").all()
