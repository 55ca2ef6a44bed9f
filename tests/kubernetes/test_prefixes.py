"""Values by their first bytes: providers, key names with colons, KEK ids, encodings, payloads of no valid shape."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import prefixes
from auditor.model.vocabulary import Encoding, Provider
from tests.helpers.batches import values_batch
from tests.helpers.ciphertexts import PREFIXES, ciphertext, kms_v1, kms_v2
from tests.helpers.objects import StoredObject

BY_LABEL = {provider.label: provider for provider in Provider}
K3S = b"aescbckey-2026-01-02T03:04:05Z"
PAYLOADS = {
    "aescbc": bytes(range(0x80, 0xB0)),
    "aesgcm": bytes(range(0x80, 0xA8)),
    "secretbox": bytes(range(0x80, 0xB8)),
    "kms v1": kms_v1(bytes(range(0x80, 0xB8))),
    "kms v2": kms_v2(bytes(range(0x80, 0xB8))),
}
UNLIKELY = "".join(map(chr, range(0x20))) + '"{}\x7f'
"""Characters that no name of a key, and no KEK id, is taken to hold."""
LOCAL = ["aesgcm", "secretbox"]
"""Providers whose payload may have any length: only sharing tells where a name with colons ends."""
BYTES = st.one_of(st.binary(max_size=40), st.text(":ab\n", max_size=40).map(str.encode))
BODIES = {
    "aescbc": BYTES.map(lambda text: text.ljust(48, b"\xa0")[:48]),
    "aesgcm": BYTES.map(lambda text: text.ljust(40, b"\xa0")),
    "secretbox": BYTES.map(lambda text: text.ljust(50, b"\xa0")),
    "kms v1": BYTES.map(lambda text: kms_v1(b"i" * 28, text.ljust(1, b"\xa0"))),
    "kms v2": BYTES.map(lambda text: kms_v2(text.ljust(30, b"\xa0"))),
}
# k8s.io/apiserver's own layouts, computed and opened again by a script
EXAMPLES = [
    (
        "aescbc",
        b"key1",
        (
            "6b38733a656e633a6165736362633a76313a6b6579313aa0a1a2a3a4a5a6a7a8a9aaabacadaeaf426e3c14ce6ab12e008911b2cf3d4751"
            "591d087d5464f5a05d0e71a14683af82a689d8d88adc4d60b1f61b35402648bce67263850c692e1e1c2f12b38ec153c2ddfabc1266c653"
            "e1b872658feb1551b5"
        ),
    ),
    (
        "aesgcm",
        b"g1",
        (
            "6b38733a656e633a61657367636d3a76313a67313ab0b1b2b3b4b5b6b7b8b9babbc12f9b6ff439eaf6d52954509e07cbb3072d1920cb29"
            "adf4fdb194eb3e6b8675bf763261a35cc25a2c4f48df309ea492aa9ca09205ad730d75e42feb58f13ded9da568173924b1b11bde0880b2"
            "201082e7f46b37a2c057fb371d"
        ),
    ),
    (
        "secretbox",
        b"sb1",
        (
            "6b38733a656e633a736563726574626f783a76313a7362313ac0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7aa7a73ce2406"
            "85a88783a2f077a42afe384c3975d8f623d33dfd32d1ae9d769fb6d964eb153a8a25b7649343abe88adbbc095de84c9b66bafb70df8a8d"
            "a4b266c9ba4c31fa7e2d248a2316cb72b5e7d0ef069bd2c4457855cd16"
        ),
    ),
    (
        "kms v1",
        b"cloud",
        (
            "6b38733a656e633a6b6d733a76313a636c6f75643a0021313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d22232021262724"
            "25d0d1d2d3d4d5d6d7d8d9dadb5e3cae031e55238ece2f084c89ad26f88ba3d746ed3541dee08f57ea5c0eca8390a26ed97e9886849553"
            "a869ca5e03b8bec35ec41a236651ed2e9735913bfe656566b1fd3ff594c6edc489cb81d70b5c26368560cbaebb59a174"
        ),
    ),
    (
        "kms v1",
        b"cloud",
        (
            "6b38733a656e633a6b6d733a76313a636c6f75643a0021313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d22232021262724"
            "25e0e1e2e3e4e5e6e7e8e9eaebecedeeefb7cb90928a450c1e11678e91b61f9528f760d878af895341a3dacacfc52d2ea5d363e5b409c4"
            "4f0cd26e70a8dafd16b83e5bfc6d4c6ad25864cd1502e3993a7330ac5117c84eac97f3ef9281e9de70c2"
        ),
    ),
    (
        "kms v2",
        b"cloud2",
        (
            "6b38733a656e633a6b6d733a76323a636c6f7564323a0a660102030401ca9a3b000000009b3e6cd4dc63dba7cb441a3f436cc8b8739981"
            "e9e65d05ef701d0176bced9d7e6337d2510295b003e7942fcec0f36644f180769b3ec08e477231bb398e5e7f9701d8c56fe0d2b62b9bc9"
            "db9b8e857d29ef5aa6b79c3f92defb8a12056b656b2d371a21313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d2223202126"
            "2724252218"
            "0a1376657273696f6e2e6578616d706c652e636f6d12"
            "0131"
        ),
    ),
    (
        "kms v2",
        b"cloud2",
        (
            "6b38733a656e633a6b6d733a76323a636c6f7564323a0a8601808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d"
            "9e9ff0f1f2f3f4f5f6f7f8f9fafba9cca6284fac35fa043776c2163bdfa924bbb567e346a11eed605b5f290263b95933bbc7674604e357"
            "9ec18f7ba4e484ae845381c358b3e3b05e7b2355456ca0cb71fee2316f19200d21eda59e551f53647d0ea367bc14728b6112056b656b2d"
            "371a21313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d22232021262724252801"
        ),
    ),
]


def key_name(stored: RecordBatch, row: int = 0) -> bytes | None:
    """The key name of one value; None where it is ambiguous or there is none."""
    found = prefixes.classify(stored)
    length = int(found.name_len[row])
    return stored.data.slice(int(found.name_at[row]), length) if length >= 0 else None


def kek(stored: RecordBatch, row: int = 0) -> bytes | None:
    at, length = prefixes.kek_ids(stored, prefixes.classify(stored))
    return stored.data.slice(int(at[row]), int(length[row])) if length[row] >= 0 else None


@pytest.mark.parametrize(
    ("provider", "name", "stored"), EXAMPLES, ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(EXAMPLES)]
)
def test_worked_examples(provider: str, name: bytes, stored: str) -> None:
    found = values_batch([bytes.fromhex(stored)], tail=b":::::")
    classified = prefixes.classify(found)
    assert classified.provider.tolist() == [BY_LABEL[provider]]
    assert classified.encoding.tolist() == [Encoding.NONE]
    assert not classified.malformed.any()
    assert key_name(found) == name
    assert kek(found) == (b"kek-7" if provider == "kms v2" else None)


@pytest.mark.parametrize("provider", PAYLOADS)
def test_providers(provider: str) -> None:
    found = values_batch([ciphertext(provider, b"key1", PAYLOADS[provider])])
    assert prefixes.classify(found).provider.tolist() == [BY_LABEL[provider]]
    assert key_name(found) == b"key1"


def test_providers_keep_their_rows() -> None:
    """A whole batch at once says of every value what it says of that value alone."""
    mixed = [ciphertext(provider, b"name-%d" % len(provider), payload) for provider, payload in PAYLOADS.items()]
    mixed += [StoredObject().protobuf(), b"", b"text", StoredObject().json(), ciphertext("aescbc", b"short", b"x")]
    mixed = mixed[::-1] + mixed
    together = prefixes.classify(values_batch(mixed))
    for row, value in enumerate(mixed):
        alone = prefixes.classify(values_batch([value]))
        for column in ("provider", "encoding", "malformed", "name_len"):
            assert getattr(together, column)[row] == getattr(alone, column)[0], (row, column)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (StoredObject().protobuf(), Encoding.PROTOBUF),
        (StoredObject().json(), Encoding.JSON),
        (StoredObject().cbor(), Encoding.CBOR),
        (b"k8s\0", Encoding.PROTOBUF),
        (b"{", Encoding.JSON),
        (b"\xd9\xd9\xf7", Encoding.CBOR),
    ],
)
def test_encodings(value: bytes, encoding: Encoding) -> None:
    found = prefixes.classify(values_batch([value]))
    assert found.provider.tolist() == [Provider.IDENTITY]
    assert found.encoding.tolist() == [encoding]
    assert found.name_len.tolist() == [-1]
    assert not found.malformed.any()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"k",
        b"k8s",
        b"k8s:",
        b"k8s:enc",
        b"k8s:enc:",
        b"k8s:enc:aescbc:v1",
        b"k8s:enc:aescbc:v2:key1:" + b"x" * 32,
        b"k8s:enc:aesctr:v1:key1:" + b"x" * 32,
        b"k8s:enc:kms:v3:key1:" + b"x" * 32,
        b"K8S:ENC:aescbc:v1:key1:" + b"x" * 32,
        b" {}",
        b"\xd9\xd9",
        b"apiVersion: v1\nkind: Secret\n",
        b"\0" * 40,
    ],
)
def test_what_is_none_of_ours(value: bytes) -> None:
    """Also where the bytes that would complete a magic stand behind the value's end."""
    for tail in (b"", b"\0:v1:", b":v1:k:" + b"x" * 48, b":" + b"x" * 48, b"\xf7\xa0", b"8s\0", b"{}"):
        found = prefixes.classify(values_batch([value], tail=tail))
        assert found.provider.tolist() == [Provider.UNKNOWN]
        assert found.encoding.tolist() == [Encoding.NONE]
        assert found.name_len.tolist() == [-1]
        assert not found.malformed.any()


MALFORMED = {
    "aescbc: nothing": ciphertext("aescbc", b"key1", b""),
    "aescbc: an iv alone": ciphertext("aescbc", b"key1", b"\xa0" * 16),
    "aescbc: no whole block": ciphertext("aescbc", b"key1", b"\xa0" * 47),
    "aesgcm: no tag": ciphertext("aesgcm", b"key1", b"\xa0" * 27),
    "secretbox: no tag": ciphertext("secretbox", b"key1", b"\xa0" * 39),
    "kms v1: a key of no bytes": ciphertext("kms v1", b"key1", kms_v1(b"\xa0" * 60, b"")),
    "kms v1: a key past the end": ciphertext("kms v1", b"key1", b"\xff\xff" + b"\xa0" * 100),
    "kms v1: no body": ciphertext("kms v1", b"key1", kms_v1(b"\xa0" * 27)),
    "kms v2: no message": ciphertext("kms v2", b"key1", b"\xa0" * 60),
    "kms v2: a field past the end": ciphertext("kms v2", b"key1", b"\x0a\x7f" + b"\xa0" * 60),
    "kms v2: a length that never ends": ciphertext("kms v2", b"key1", b"\x0a" + b"\xff" * 60),
    "no colon behind the name": PREFIXES["aescbc"] + b"key1",
    "no name at all": PREFIXES["aesgcm"],
}


@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("tail", [b"", b"\xa0" * 200, b":" + b"\xa0" * 200])
def test_malformed(value: bytes, tail: bytes) -> None:
    """The prefix's provider stays; what stands behind the value's end changes nothing."""
    found = values_batch([value], tail=tail)
    classified = prefixes.classify(found)
    assert classified.provider[0] > Provider.IDENTITY
    assert classified.malformed.tolist() == [True]
    assert kek(found) is None


@given(st.lists(st.one_of(st.binary(max_size=80), *BODIES.values()), min_size=1, max_size=6), st.data())
def test_any_bytes_behind_any_prefix(payloads: list[bytes], data: st.DataObject) -> None:
    """Nothing raises, and every name and KEK id lies inside its own value."""
    raw = [data.draw(st.sampled_from(list(PREFIXES.values()))) + payload for payload in payloads]
    stored = values_batch(raw, tail=b":" * 20)
    found = prefixes.classify(stored)
    at, length = prefixes.kek_ids(stored, found)
    for row, value in enumerate(raw):
        start, end = int(stored.value_at[row]), int(stored.value_at[row]) + len(value)
        for where, size in ((found.name_at[row], found.name_len[row]), (at[row], length[row])):
            if size >= 0:
                assert start <= where
                assert where + size <= end
        if found.name_len[row] == prefixes.AMBIGUOUS:
            assert len(prefixes.candidates(stored, found, row)) > 1


# names that hold colons


def test_k3s_names() -> None:
    """k3s rotates to names that hold RFC 3339 times; aescbc's block length tells where they end."""
    assert key_name(values_batch([ciphertext("aescbc", K3S, PAYLOADS["aescbc"])])) == K3S


@pytest.mark.parametrize("provider", LOCAL)
def test_a_lone_name_with_colons_is_ambiguous(provider: str) -> None:
    stored = values_batch([ciphertext(provider, K3S, PAYLOADS[provider])])
    found = prefixes.classify(stored)
    assert found.name_len.tolist() == [prefixes.AMBIGUOUS]
    assert not found.malformed.any()
    assert prefixes.candidates(stored, found, 0) == [
        "aescbckey-2026-01-02T03",
        "aescbckey-2026-01-02T03:04",
        "aescbckey-2026-01-02T03:04:05Z",
    ]


@pytest.mark.parametrize("provider", LOCAL)
def test_candidates_are_safe_to_print(provider: str) -> None:
    """They end up in `detail`: in terminals, spreadsheets and HTML."""
    stored = values_batch([ciphertext(provider, b"\xe2\x80\xaea:b", PAYLOADS[provider])])
    found = prefixes.classify(stored)
    guesses = prefixes.candidates(stored, found, 0)
    assert found.name_len.tolist() == [prefixes.AMBIGUOUS]
    assert guesses
    assert all(guess.isprintable() for guess in guesses)


@pytest.mark.parametrize("provider", LOCAL)
def test_a_shared_name_with_colons(provider: str) -> None:
    payload = PAYLOADS[provider]
    stored = values_batch([ciphertext(provider, K3S, payload), ciphertext(provider, K3S, payload[::-1])])
    assert [key_name(stored, row) for row in range(2)] == [K3S, K3S]


@pytest.mark.parametrize("provider", LOCAL)
def test_copies_of_one_value_are_not_two(provider: str) -> None:
    value = ciphertext(provider, K3S, PAYLOADS[provider])
    found = prefixes.classify(values_batch([value] * 3))
    assert found.name_len.tolist() == [prefixes.AMBIGUOUS] * 3


@pytest.mark.parametrize("provider", [*LOCAL, "kms v1"])
def test_one_name_that_begins_another(provider: str) -> None:
    """`a` and `a:b` are both keys: each value has its own."""
    bodies = [BODY[provider](number) for number in range(4)]
    names = [b"a", b"a:b", b"a", b"a:b"]
    stored = values_batch([ciphertext(provider, name, body) for name, body in zip(names, bodies, strict=True)])
    assert [key_name(stored, row) for row in range(4)] == names


BODY = {
    "aesgcm": lambda number: bytes([0x80 + number]) * 40,
    "secretbox": lambda number: bytes([0x80 + number]) * 50,
    "kms v1": lambda number: kms_v1(b"\xa0" * 40, bytes([0x80 + number]) * 33),
}


def test_another_providers_key_shares_no_name() -> None:
    """aescbc's key `a` says nothing of where the name of an aesgcm value ends."""
    stored = values_batch(
        [ciphertext("aescbc", b"a", PAYLOADS["aescbc"]), ciphertext("aesgcm", b"a:b", PAYLOADS["aesgcm"])]
    )
    assert prefixes.classify(stored).name_len.tolist() == [1, prefixes.AMBIGUOUS]


def test_aescbc_names_that_begin_another_are_told_by_length() -> None:
    stored = values_batch(
        [ciphertext("aescbc", b"a", PAYLOADS["aescbc"]), ciphertext("aescbc", b"a:b", PAYLOADS["aescbc"])]
    )
    assert [key_name(stored, row) for row in range(2)] == [b"a", b"a:b"]


def test_a_colon_at_a_block_boundary_of_a_lone_value() -> None:
    """An IV of 15 letters and a colon may be part of the name: both readings leave whole blocks."""
    payload = b"abcdefghijklmno:" + b"\xa0" * 32
    stored = values_batch([ciphertext("aescbc", b"key1", payload)])
    found = prefixes.classify(stored)
    assert found.name_len.tolist() == [prefixes.AMBIGUOUS]
    assert prefixes.candidates(stored, found, 0) == ["key1", "key1:abcdefghijklmno"]


@pytest.mark.parametrize("provider", BODIES)
@given(data=st.data())
def test_payloads_never_lengthen_a_shared_name(provider: str, data: st.DataObject) -> None:
    """Whatever colons the random bytes behind `key1:` hold."""
    payloads = data.draw(st.lists(BODIES[provider], min_size=2, max_size=5))
    starts = [payload[2:3] if provider.startswith("kms") else payload[:1] for payload in payloads]
    assume(len(set(starts)) == len(starts))
    stored = values_batch([ciphertext(provider, b"key1", payload) for payload in payloads])
    assert {key_name(stored, row) for row in range(len(payloads))} == {b"key1"}
    assert not prefixes.classify(stored).malformed.any()


@given(st.lists(BODIES["kms v2"], min_size=1, max_size=5), st.text("abk-.1", min_size=1, max_size=30).map(str.encode))
def test_kms_v2_names_never_hold_a_colon(payloads: list[bytes], name: bytes) -> None:
    """kube-apiserver refuses such names, so that even a lone value's name is certain."""
    stored = values_batch([ciphertext("kms v2", name, payload) for payload in payloads])
    assert {key_name(stored, row) for row in range(len(payloads))} == {name}


def test_a_kms_v2_name_with_a_colon_is_malformed() -> None:
    stored = values_batch([ciphertext("kms v2", b"a:b", PAYLOADS["kms v2"])] * 2)
    assert prefixes.classify(stored).malformed.tolist() == [True, True]


@given(
    st.text(st.characters(exclude_characters=UNLIKELY + ":", codec="utf-8"), min_size=1, max_size=60).map(str.encode),
    st.sampled_from(sorted(PAYLOADS)),
)
def test_names_of_any_text(name: bytes, provider: str) -> None:
    """Two values with payloads that differ: the name is exactly what stands before the colon."""
    payload = PAYLOADS[provider]
    other = {"kms v1": kms_v1(b"z" * 40, b"v" * 20), "kms v2": kms_v2(b"z" * 40, b"v" * 20)}.get(
        provider, payload[::-1]
    )
    stored = values_batch([ciphertext(provider, name, payload), ciphertext(provider, name, other)])
    assert [key_name(stored, row) for row in range(2)] == [name, name]


@pytest.mark.parametrize("provider", sorted(PAYLOADS))
@pytest.mark.parametrize(
    "text",
    [
        b'{"kind":"Secret","data":{"password":"czNjcjN0"}}',
        b"kind: Secret\ndata:\n  password: czNjcjN0",
        b"{kind: Secret, data: {password: czNjcjN0}}",
        b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12\x40\n\x08s3cr3t:x",
        b"\xff\xfes3cr3t",
        b"\x1b[2Js3cr3t",
        b"s3cr3t\x7f",
        b"s" * 1025,
    ],
)
def test_a_value_behind_a_prefix_is_no_name(text: bytes, provider: str) -> None:
    """Up to its last colon it would be quoted as the key's name, in every report."""
    payload = PAYLOADS[provider]
    stored = values_batch([ciphertext(provider, text, payload), ciphertext(provider, text, payload[:-16] + bytes(16))])
    found = prefixes.classify(stored)
    assert found.malformed.all() or text.startswith(b"kind: ")
    names = [stored.data.slice(int(at), int(length)) for at, length in zip(found.name_at, found.name_len, strict=True)]
    assert not any(b"s3cr3t" in name or b"czNjcjN0" in name for name in names)
    assert prefixes.candidates(stored, found, 0) in ([], ["kind"])


@pytest.mark.parametrize("kek_id", [b'{"kind":"Secret"}', b"s3cr3t\n", b"\xff\xfe", b"k" * 1025])
def test_a_value_in_place_of_a_kek_id_is_none(kek_id: bytes) -> None:
    assert kek(values_batch([ciphertext("kms v2", b"vault", kms_v2(b"body" * 10, kek_id))])) is None


@given(
    st.text(st.characters(exclude_characters=UNLIKELY, codec="utf-8"), min_size=1, max_size=200).map(str.encode),
    st.binary(min_size=1, max_size=300),
)
@settings(max_examples=60)
def test_kek_ids(kek_id: bytes, body: bytes) -> None:
    stored = values_batch([ciphertext("kms v2", b"vault", kms_v2(body, kek_id))])
    assert kek(stored) == kek_id


@pytest.mark.parametrize(
    "payload",
    [
        b"\x0a\x04body\x12\x7fkek",  # an id past the end of the value
        b"\x0a\x04body\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01kek",
        b"\x0a\x04body\x1a\x03dek",  # no id at all
        b"\x0a\x04body\x12",
    ],
)
def test_no_kek_id(payload: bytes) -> None:
    assert kek(values_batch([ciphertext("kms v2", b"vault", payload)], tail=b"k" * 300)) is None


def test_records_that_store_nothing() -> None:
    """A tombstone and --bump-revision's record are no values; an empty value under a key is one, and so is what a
    tombstone holds although etcd writes none there.
    """
    stored = values_batch([b"", b"", StoredObject().protobuf()])
    stored.state[1:] = 1
    assert prefixes.no_value(stored).tolist() == [False, True, False]
    stored.key_len[0] = 0
    assert prefixes.no_value(stored).tolist() == [True, True, False]
