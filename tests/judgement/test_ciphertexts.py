"""What becomes of values under foreign keys, under other names, and with every one of their bytes damaged."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

import auditor
from tests.helpers.ciphertexts import PREFIXES
from tests.helpers.kms_plugin import KmsPlugin
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import FORMS, KEK_ID, KEY, LOCAL, OTHER, configuration, database, provider, seal
from tests.helpers.sweeps import sample

NAME = "key1"
BOUND = ("aesgcm", "kms v1, GCM", "kms v2, seed", "kms v2, key")
"""Forms whose values open under no other etcd key."""
UNREAD = {"unrecognised", "undecryptable", "misplaced", "orphaned"}

Scan = Callable[..., pd.DataFrame]


@pytest.fixture
def scan(tmp_path: Path) -> Iterator[Scan]:
    """Values of a form, as (key, value), audited with a key of it: the inventory."""
    with KmsPlugin(tmp_path, {KEK_ID: KEY}) as plugin:

        def run(form: str, pairs: list[tuple[bytes, bytes]], *keys: tuple[str, bytes]) -> pd.DataFrame:
            path = database(tmp_path / "made.db", pairs)
            given = configuration(tmp_path / "enc.json", provider(form, *(keys or ((NAME, KEY),))))
            plugins = () if form in LOCAL else (f"{NAME}={plugin.endpoint}",)
            options = auditor.Options(encryption_configs=(given,), kms_plugins=plugins)
            rows = auditor.scan(path, options).inventory
            # what is said of the configuration has no place, and what is read beside a damaged value no key
            rows = rows[(rows.place != "") & (rows.key != "unknown")]
            assert len(rows) == len(pairs)
            without = auditor.scan(path).inventory  # without a key no less
            assert (without.key != "unknown").sum() == len(pairs)
            return rows.assign(findings=rows.finding.map(lambda text: set(text.split(";")) - {"", "weak-provider"}))

        yield run


def things(count: int) -> list[StoredObject]:
    return [StoredObject(name=b"s%04d" % number, data={b"password": b"hunter2" * 9}) for number in range(count)]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_sealed_here_opens(form: str, scan: Scan) -> None:
    rng = random.Random(1)
    rows = scan(form, [(thing.key, seal(form, NAME, KEY, thing, rng)) for thing in things(3)])
    assert set(rows.decrypted) == {"yes"}
    expected = {"stale-provider"} if form == "kms v1, CBC" else set[str]()
    assert list(rows.findings) == [expected] * 3


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_key_under_the_right_name(form: str, scan: Scan) -> None:
    rng = random.Random(2)
    rows = scan(form, [(thing.key, seal(form, NAME, OTHER, thing, rng)) for thing in things(300)])
    assert set(rows.decrypted) == {"failed"}
    assert list(rows.findings) == [{"undecryptable"}] * 300


@pytest.mark.parametrize("form", FORMS)
def test_ciphertexts_swapped_between_two_secrets(form: str, scan: Scan) -> None:
    rng = random.Random(3)
    one, two = things(2)
    rows = scan(form, [(one.key, seal(form, NAME, KEY, two, rng)), (two.key, seal(form, NAME, KEY, one, rng))])
    finding = "undecryptable" if form in BOUND else "misplaced"
    assert [finding in each for each in rows.findings] == [True, True]
    assert set(rows.decrypted) == {"failed" if form in BOUND else "yes"}


def fields(form: str, value: bytes) -> dict[str, range]:
    """Where the parts of a value lie."""
    header = len(PREFIXES[form.partition(", ")[0]])
    colon = header + len(NAME)
    found = {
        "mark": range(8),
        "provider": range(8, header),
        "name": range(header, colon),
        "colon": range(colon, colon + 1),
    }
    if form == "aescbc":
        found["iv"] = range(colon + 1, colon + 17)
        found["middle"] = range(colon + 17, len(value) - 16)
        found["last block"] = range(len(value) - 16, len(value))
    elif form == "kms v1, CBC":
        body = colon + 3 + int.from_bytes(value[colon + 1 : colon + 3], "big")
        found["frame"] = range(colon + 1, body)
        found["iv"] = range(body, body + 16)
        found["middle"] = range(body + 16, len(value) - 16)
        found["last block"] = range(len(value) - 16, len(value))
    else:
        found["payload"] = range(colon + 1, len(value))
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bit", sample([0, 3, 7], 1))
def test_one_flipped_bit_in_every_byte(form: str, bit: int, scan: Scan) -> None:
    rng = random.Random(4)
    size = len(seal(form, NAME, KEY, things(1)[0], rng))
    pairs = []
    for at, thing in enumerate(things(size)):
        value = bytearray(seal(form, NAME, KEY, thing, rng))
        value[at] ^= 1 << bit
        pairs.append((thing.key, bytes(value)))
    rows = scan(form, pairs).set_index("name")
    found = [rows.findings[f"s{at:04}"] for at in range(size)]
    allowed: dict[str, set[str]] = {
        "mark": {"unrecognised", "plaintext"},
        "provider": {"unrecognised"},
        "name": {"orphaned"},
        "colon": {"orphaned"},
        "frame": {"undecryptable"},
        "payload": {"undecryptable"},
        "iv": {"undecryptable", "misplaced"},
        "last block": {"undecryptable", "misplaced"},
    }
    for field, where in fields(form, pairs[-1][1]).items():
        for at in where:
            if field != "middle":  # it has no integrity: some of it opens as a valid object of other content
                assert found[at] & allowed[field], (field, at, found[at])
            assert "stale-key" not in found[at]


@pytest.mark.parametrize("form", FORMS)
def test_values_cut_at_every_length(form: str, scan: Scan) -> None:
    rng = random.Random(5)
    size = len(seal(form, NAME, KEY, things(1)[0], rng))
    rows = scan(
        form,
        [(thing.key, seal(form, NAME, KEY, thing, rng)[:length]) for length, thing in enumerate(things(size))],
    ).set_index("name")
    for length in range(size):
        found = rows.findings[f"s{length:04}"]
        assert found & UNREAD, (length, found)
        assert rows.decrypted[f"s{length:04}"] != "yes" or "undecryptable" in found


@pytest.mark.parametrize("form", LOCAL)
@pytest.mark.parametrize("names", [("a", "a:b"), ("a:b", "a"), ("a:b", "a:b:c"), ("a", "a:")])
def test_names_that_begin_alike(form: str, names: tuple[str, str], scan: Scan) -> None:
    rng = random.Random(6)
    keys = dict(zip(names, (KEY, OTHER), strict=True))
    of = [names[number % 2] for number in range(6)]
    pairs = [(thing.key, seal(form, name, keys[name], thing, rng)) for name, thing in zip(of, things(6), strict=True)]
    both = scan(form, pairs, *keys.items())
    assert list(both.decrypted) == ["yes"] * 6
    assert list(both.key_name) == of
    assert list(both.findings) == [set(), {"stale-key"}] * 3
    for mine in names:
        rows = scan(form, pairs, (mine, keys[mine]))
        opened = rows.key_name == mine
        assert list(opened) == [name == mine for name in of]
        assert [finding for finding, own in zip(rows.findings, opened, strict=True) if not own] == [{"orphaned"}] * 3
        assert set(rows[~opened].decrypted) == {"no key"}


def test_a_payload_that_looks_like_the_rest_of_a_name(scan: Scan) -> None:
    """An IV that begins with `b:`: both prefixes match, and only one key opens."""

    class Chosen(random.Random):
        def randbytes(self, n: int) -> bytes:
            return b"b:" + super().randbytes(n - 2)

    rng = Chosen(7)
    pairs = [(thing.key, seal("aescbc", "a", KEY, thing, rng)) for thing in things(4)]
    rows = scan("aescbc", pairs, ("a:b", OTHER), ("a", KEY))
    assert list(rows.decrypted) == ["yes"] * 4
    assert list(rows.key_name) == ["a"] * 4


@pytest.mark.parametrize("form", LOCAL)
def test_two_keys_of_one_name(form: str, scan: Scan) -> None:
    rng = random.Random(8)
    pairs = [
        (thing.key, seal(form, NAME, key, thing, rng)) for thing, key in zip(things(4), (KEY, OTHER) * 2, strict=True)
    ]
    rows = scan(form, pairs, (NAME, KEY), (NAME, OTHER))
    assert list(rows.decrypted) == ["yes"] * 4
    assert list(rows.findings) == [set(), {"stale-key"}] * 2
