"""Vectors of each transformer: one Secret under every provider, computed once and checked against two libraries.

The values are those of the format reference: key /registry/secrets/default/db, a Secret default/db with pw.
"""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st

from auditor.encryption import keyring
from auditor.encryption.envelope import GCM_KEY, KmsV1, KmsV2
from auditor.encryption.transformers import AesCbc, AesGcm, AssociatedData, SecretBox, Transformer, encoding
from auditor.errors import AuditorError
from auditor.model.vocabulary import Encoding

ETCD_KEY = b"/registry/secrets/default/db"
PLAINTEXT = bytes.fromhex(
    "6b3873000a0c0a027631120653656372657412320a190a02646212001a0764656661756c7422002a00320038004200120d0a0270771207"
    "68756e746572321a064f70617175651a002200"
)


class Toy:
    """Wraps as `1` and the key xor 0x5a."""

    def __init__(self) -> None:
        self.asked = 0

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: object = None) -> bytes:
        self.asked += 1
        return bytes(octet ^ 0x5A for octet in wrapped[1:])


VECTORS: list[tuple[str, Transformer, str, str]] = [
    (
        "aescbc",
        AesCbc(bytes(range(32))),
        "k8s:enc:aescbc:v1:key1:",
        "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf426e3c14ce6ab12e008911b2cf3d4751591d087d5464f5a05d0e71a14683af82a689d8d88adc4d"
        "60b1f61b35402648bce67263850c692e1e1c2f12b38ec153c2ddfabc1266c653e1b872658feb1551b5",
    ),
    (
        "aesgcm",
        AesGcm(bytes(range(0x20, 0x30))),
        "k8s:enc:aesgcm:v1:g1:",
        "b0b1b2b3b4b5b6b7b8b9babbc12f9b6ff439eaf6d52954509e07cbb3072d1920cb29adf4fdb194eb3e6b8675bf763261a35cc25a2c4f48"
        "df309ea492aa9ca09205ad730d75e42feb58f13ded9da568173924b1b11bde0880b2201082e7f46b37a2c057fb371d",
    ),
    (
        "secretbox",
        SecretBox(bytes(range(0x40, 0x60))),
        "k8s:enc:secretbox:v1:sb1:",
        "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7aa7a73ce240685a88783a2f077a42afe384c3975d8f623d33dfd32d1ae9d76"
        "9fb6d964eb153a8a25b7649343abe88adbbc095de84c9b66bafb70df8a8da4b266c9ba4c31fa7e2d248a2316cb72b5e7d0ef069bd2c445"
        "7855cd16",
    ),
    (
        "kms v1 with a GCM body",
        KmsV1(Toy()),
        "k8s:enc:kms:v1:cloud:",
        "0021313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d2223202126272425d0d1d2d3d4d5d6d7d8d9dadb5e3cae031e55238e"
        "ce2f084c89ad26f88ba3d746ed3541dee08f57ea5c0eca8390a26ed97e9886849553a869ca5e03b8bec35ec41a236651ed2e9735913bfe"
        "656566b1fd3ff594c6edc489cb81d70b5c26368560cbaebb59a174",
    ),
    (
        "kms v1 with a CBC body",
        KmsV1(Toy(), AesCbc),
        "k8s:enc:kms:v1:cloud:",
        "0021313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d2223202126272425e0e1e2e3e4e5e6e7e8e9eaebecedeeefb7cb9092"
        "8a450c1e11678e91b61f9528f760d878af895341a3dacacfc52d2ea5d363e5b409c44f0cd26e70a8dafd16b83e5bfc6d4c6ad25864cd15"
        "02e3993a7330ac5117c84eac97f3ef9281e9de70c2",
    ),
    (
        "kms v2 with a key",
        KmsV2(Toy(), GCM_KEY),
        "k8s:enc:kms:v2:cloud2:",
        "0a660102030401ca9a3b000000009b3e6cd4dc63dba7cb441a3f436cc8b8739981e9e65d05ef701d0176bced9d7e6337d2510295b003e7"
        "942fcec0f36644f180769b3ec08e477231bb398e5e7f9701d8c56fe0d2b62b9bc9db9b8e857d29ef5aa6b79c3f92defb8a12056b656b2d"
        "371a21313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d222320212627242522180a1376657273696f6e2e6578616d706c65"
        "2e636f6d120131",
    ),
    (
        "kms v2 with a seed",
        KmsV2(Toy()),
        "k8s:enc:kms:v2:cloud2:",
        "0a860180818283848586"
        "8788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9ff0f1f2f3f4f5f6f7f8f9fafba9cca6284fac35fa043776c2163bdfa924bb"
        "b567e346a11eed605b5f290263b95933bbc7674604e3579ec18f7ba4e484ae845381c358b3e3b05e7b2355456ca0cb71fee2316f19200d"
        "21eda59e551f53647d0ea367bc14728b6112056b656b2d371a21313a3b38393e3f3c3d32333031363734352a2b28292e2f2c2d22232021"
        "262724252801",
    ),
]
each_vector = pytest.mark.parametrize(
    ("transformer", "payload"),
    [(transformer, bytes.fromhex(payload)) for _, transformer, _, payload in VECTORS],
    ids=[name for name, *_ in VECTORS],
)


@each_vector
def test_each_vector_opens(transformer: Transformer, payload: bytes) -> None:
    assert transformer.open(payload, ETCD_KEY) == PLAINTEXT


@pytest.mark.parametrize(
    ("transformer", "payload"),
    [(transformer, bytes.fromhex(payload)) for _, transformer, _, payload in VECTORS[:3]],
    ids=[name for name, *_ in VECTORS[:3]],
)
def test_no_cut_or_flipped_payload_opens_to_the_same(transformer: Transformer, payload: bytes) -> None:
    for length in range(len(payload)):
        assert transformer.open(payload[:length], ETCD_KEY) != PLAINTEXT
    for at in range(len(payload)):
        flipped = bytearray(payload)
        flipped[at] ^= 0x40
        assert transformer.open(bytes(flipped), ETCD_KEY) != PLAINTEXT


@each_vector
def test_damaged_envelopes_never_raise(transformer: Transformer, payload: bytes) -> None:
    for at in range(len(payload)):
        transformer.open(payload[:at], ETCD_KEY)
        transformer.open(payload[:at] + bytes([payload[at] ^ 0xFF]) + payload[at + 1 :], ETCD_KEY)


@pytest.mark.parametrize("name", ["aesgcm", "kms v1 with a GCM body", "kms v2 with a key", "kms v2 with a seed"])
def test_authenticated_values_do_not_open_under_another_key(name: str) -> None:
    (transformer, payload) = next((each[1], each[3]) for each in VECTORS if each[0] == name)
    assert transformer.open(bytes.fromhex(payload), ETCD_KEY + b"2") is None


def test_a_data_key_is_unwrapped_once() -> None:
    toy = Toy()
    transformer = KmsV2(toy)
    payload = bytes.fromhex(VECTORS[-1][3])
    assert {transformer.open(payload, ETCD_KEY) for _ in range(5)} == {PLAINTEXT}
    assert toy.asked == 1


@pytest.mark.parametrize("name", [name for name, *_ in VECTORS if name.startswith("kms")])
def test_each_form_of_a_kms_reads_its_own_values_only(name: str) -> None:
    (payload,) = (bytes.fromhex(text) for known, _, _, text in VECTORS if known == name)
    forms: dict[str, Transformer] = {
        "kms v1 with a GCM body": KmsV1(Toy()),
        "kms v1 with a CBC body": KmsV1(Toy(), AesCbc),
        "kms v2 with a key": KmsV2(Toy(), GCM_KEY),
        "kms v2 with a seed": KmsV2(Toy()),
    }
    opened = {form for form, transformer in forms.items() if transformer.open(payload, ETCD_KEY) == PLAINTEXT}
    assert opened == {name}


@given(st.binary(min_size=1, max_size=400), st.sampled_from((16, 24, 32)), st.integers(0, 255))
def test_cbc_is_what_the_library_makes_of_it(plaintext: bytes, size: int, padding: int) -> None:
    """Block by block as one cipher of ECB, and as the library's own CBC; of a wrong padding nothing is made."""
    key, iv = bytes(range(size)), bytes(range(100, 116))
    padder = PKCS7(128).padder()
    padded = padder.update(plaintext) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    transformer = AesCbc(key)
    assert transformer.open(iv + encryptor.update(padded) + encryptor.finalize()) == plaintext
    other = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    body = padded[:-1] + bytes([padding])
    fits = 0 < padding <= len(body) and body[-padding:] == bytes([padding]) * padding
    assert transformer.open(iv + other.update(body)) == (body[:-padding] if fits else None)


@given(st.lists(st.binary(max_size=80) | st.builds(bytes, st.integers(0, 6).map(lambda blocks: 16 * blocks))))
def test_many_payloads_of_cbc_are_opened_as_each_by_itself(payloads: list[bytes]) -> None:
    """Sealed ones, damaged ones and none at all, deciphered in one go."""
    _, transformer, _, payload = VECTORS[0]
    assert isinstance(transformer, AesCbc)
    for mixed in (payloads, [bytes.fromhex(payload), *payloads, bytes.fromhex(payload)]):
        whole = [each for each in mixed if len(each) % 16 == 0]
        assert transformer.open_all(mixed) == [transformer.open(each) for each in mixed]
        assert transformer.open_all(whole) == [transformer.open(each) for each in whole]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"k8s\0", Encoding.PROTOBUF),
        (b"{", Encoding.JSON),
        (b"\xd9\xd9\xf7", Encoding.CBOR),
        (b"k8s:", Encoding.NONE),
        (b"", Encoding.NONE),
        (b"\xd9\xd9", Encoding.NONE),
    ],
)
def test_encodings(start: bytes, kind: Encoding) -> None:
    assert encoding(start) is kind


def test_a_refusal_that_is_kept_holds_none_of_what_was_to_be_opened() -> None:
    class Absent:
        def open(self, payload: bytes, key: AssociatedData) -> bytes | None:
            raise AuditorError("no plugin answers")

    (refused,) = keyring._opened(Absent(), [b"payload"], [ETCD_KEY])
    assert isinstance(refused, AuditorError)
    assert refused.__traceback__ is None
