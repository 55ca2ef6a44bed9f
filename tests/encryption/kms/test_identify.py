"""Which service wrapped a data key: known answers of the plugins' formats, and traps between them."""

import base64
from pathlib import Path

import cbor2
import numpy as np
import pytest

from auditor.encryption.kms import naming
from auditor.encryption.kms.identify import identify
from auditor.encryption.kms.interface import WrappedKey
from auditor.kubernetes import prefixes
from auditor.model.kms import Kek, KmsService
from tests.helpers import batches, ciphertexts
from tests.helpers.command import run
from tests.helpers.sealing import database

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CRYPTO_KEY = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"
BLOB = bytes.fromhex("0102020078") + bytes(range(160))
AZURE = {"algorithm.azure.akv.io": b"RSA-OAEP-256", "x-ms-keyvault-region.azure.akv.io": b"westeurope"}
SEALED = base64.b64encode(bytes(range(60)))


def key(wrapped: bytes, key_id: str = "", annotations: dict[str, bytes] | None = None) -> WrappedKey:
    return WrappedKey(wrapped, key_id, frozenset((annotations or {}).items()))


def kek(wrapped: bytes, key_id: str = "", annotations: dict[str, bytes] | None = None) -> Kek:
    answer = identify(key(wrapped, key_id, annotations))
    assert answer is not None
    return answer


@pytest.mark.parametrize("wrapped", [b"1" + BLOB, b"1\x0a\x20" + bytes(90), BLOB, b"\x0a\x20" + bytes(90)])
def test_aws_of_v1_with_its_marker_and_without(wrapped: bytes) -> None:
    answer = kek(wrapped)
    assert (answer.service, answer.key, answer.region) == (KmsService.AWS, "", "")
    assert "the region" in answer.needs
    assert bool(answer.remark) == (not wrapped.startswith(b"1"))


def test_aws_of_v2_names_key_and_region() -> None:
    answer = kek(b"1" + BLOB, ARN)
    assert (answer.service, answer.key, answer.region) == (KmsService.AWS, ARN, "eu-central-1")
    assert answer.needs == ("the encryption context, if the plugin has one",)
    alias = kek(b"1" + BLOB, "alias/etcd")
    assert (alias.key, alias.region, alias.needs[0]) == ("alias/etcd", "", "the region")


def test_a_blob_without_marker_is_of_v1_alone() -> None:
    assert identify(key(BLOB, "some-id")) is None


def test_blobs_of_emulators_begin_with_text() -> None:
    """A UUID after the marker: the KEK's ARN still says whose it is."""
    assert kek(b"1" + b"1234abcd-12ab-34cd-56ef-1234567890ab" + bytes(60), ARN).service is KmsService.AWS


@pytest.mark.parametrize(("text", "version"), [(b"vault:v1:", "1"), (b"vault:v17:", "17"), (b"vault:v0:", "1")])
def test_transit_names_its_version(text: bytes, version: str) -> None:
    answer = kek(text + SEALED)
    assert (answer.service, answer.key, answer.version) == (KmsService.TRANSIT, "", version)


@pytest.mark.parametrize(
    ("size", "length"), [(60, 89), (72, 105), (256, 353), (512, 693)], ids=["gcm", "xchacha", "rsa-2048", "rsa-4096"]
)
def test_transit_lengths(size: int, length: int) -> None:
    wrapped = b"vault:v1:" + base64.b64encode(bytes(size))
    assert len(wrapped) == length
    assert kek(wrapped).service is KmsService.TRANSIT


def test_transit_of_oracles_plugin_names_its_key() -> None:
    answer = kek(b"k8s-key:v3:" + SEALED)
    assert (answer.service, answer.key, answer.version) == (KmsService.TRANSIT, "k8s-key", "3")
    assert identify(key(b"k8s-key:v3:" + SEALED, "of-v2")) is None  # that plugin has KMS v1 alone


def test_transit_of_kleidi_and_of_the_plugins_whose_ids_are_times() -> None:
    """The version is that of the ciphertext, whatever the KEK id is: a version, a time, a name."""
    answer = kek(b"vault:v2:" + SEALED, "kleidi-kms-plugin_2_1718000000", {"v2.kleidi.beezy.dev": b"1"})
    assert (answer.plugin, answer.version) == ("kleidi", "2")
    assert kek(b"vault:v2:" + SEALED, "1718000000").version == "2"


def test_transit_of_openbaos_plugin_needs_its_ids() -> None:
    answer = kek(b"vault:v2:" + SEALED, "obk2." + "A" * 43)
    assert answer.plugin == "openbao-kubernetes-kms"
    assert answer.needs[-1] == "cluster-id and instance-id of the plugin"
    opaque = kek(b"vault:v2:\x00opaque", "obk2." + "A" * 43)
    assert (opaque.service, opaque.plugin) == (KmsService.TRANSIT, "openbao-kubernetes-kms")


def test_trousseau_and_its_readable_provider() -> None:
    line = b"vault:-:" + base64.b64encode(b"vault:v1:" + SEALED) + b"\n"
    assert (kek(line).service, kek(line).remark) == (KmsService.TROUSSEAU, "")
    assert "stands in it" in kek(b"debug:-:" + base64.b64encode(bytes(32)) + b"\n" + line).remark


@pytest.mark.parametrize("size", [256, 384, 512])
def test_azure_by_its_lengths(size: int) -> None:
    wrapped = base64.urlsafe_b64encode(bytes(range(256)) * (size // 128))[: -(-size * 4 // 3)]
    first, second = kek(wrapped), kek(wrapped, "5" * 64, AZURE)
    assert first.service is second.service is KmsService.AZURE
    assert (second.region, "the key's version" in first.needs, len(second.needs)) == ("westeurope", True, 2)


@pytest.mark.parametrize("suffix", ["", ":blue"])
def test_gcp_of_v2_names_everything(suffix: str) -> None:
    answer = kek(bytes(range(1, 114)), f"{CRYPTO_KEY}/cryptoKeyVersions/7{suffix}")
    assert answer == Kek(KmsService.GCP, key=CRYPTO_KEY, version="7", region="europe-west3")


def test_gcp_of_v1_needs_its_key() -> None:
    assert kek(b"\x0a\x24\x00" + bytes(110)).needs == ("the resource name of the key",)


def test_others_by_length_and_annotation() -> None:
    jwe = b".".join((b"eyJhbGciOiJkaXIifQ", b"", b"AAAA", b"BBBB", b"CCCC"))
    assert kek(jwe).service is KmsService.JWE
    family = {"algorithm-family.k8s-kms-plugin.keysealer.eclipse.org": b"ml-kem"}
    assert kek(jwe, "0a0b", family).plugin == kek(bytes(range(128, 188)), "0a0b", family).plugin == "KeySealer"
    noise = bytes(range(128, 188))
    assert kek(noise).service is KmsService.AES_GCM
    assert kek(noise, "label", {"v2.kleidi.beezy.dev": b"1"}).plugin == "kleidi"
    assert kek(noise, "1", {"encrypted-kek.reference.encryption.k8s.io": b"x"}).service is KmsService.LOCAL_KEK
    assert kek(noise[:48], "uuid", {"iv.okms.ovh.com": b"x"}).service is KmsService.OVH
    assert kek(bytes(range(128, 192))).service is KmsService.BARBICAN
    assert identify(key(bytes(range(128, 192)), "v2")) is None
    assert kek(b"AAAA", "1", {"local-kek.kms.kubernetes.io": b"encrypted-local-kek"}).service is KmsService.TOY
    assert identify(key(b"kek-a|" + noise, "kek-a")) is None


UUID = "4b3d13a8-2c3a-47dc-8779-311dad6843a2"


@pytest.mark.parametrize("key_id", ["", "hash-of-the-configuration"], ids=["v1", "v2"])
def test_fortanix_names_its_key(key_id: str) -> None:
    struct = {"Version": 1, "KID": UUID, "Cipher": bytes(32), "IV": bytes(12), "Tag": bytes(16)}
    answer = kek(cbor2.dumps(struct), key_id)
    assert (answer.service, answer.key) == (KmsService.FORTANIX, UUID)


def test_stackit_names_key_and_version() -> None:
    answer = kek(bytes(range(128, 200)), f"{UUID}/{UUID}/{UUID}/3")
    assert (answer.service, answer.key, answer.version) == (KmsService.STACKIT, f"{UUID}/{UUID}/{UUID}", "3")


def test_text_of_v1_is_of_one_of_three_services() -> None:
    assert kek(base64.b64encode(bytes(range(48)))).service is KmsService.TEXT
    assert kek(base64.b64encode(bytes(range(160)))).service is KmsService.TEXT
    assert identify(key(base64.b64encode(bytes(range(160))), "v2")) is None
    assert identify(key(base64.b64encode(bytes(range(32))))) is None  # the data key itself


def test_a_hierarchy_names_what_wraps_its_local_kek() -> None:
    """Which has no annotation of the hierarchy's own: no hierarchy of hierarchies."""
    noise, name = bytes(range(128, 188)), "encrypted-kek.reference.encryption.k8s.io"
    answer = kek(noise, "1", {name: b"vault:v3:" + SEALED})
    assert (answer.service, answer.version) == (KmsService.LOCAL_KEK, "3")
    assert answer.remark == "its local KEK is wrapped by Vault or OpenBao transit"
    assert {"the mount", "the key's name"} < set(answer.needs)
    nested = kek(noise, "1", {name: noise, f"x.{name}": noise})
    assert (nested.service, nested.key) == (KmsService.LOCAL_KEK, "1")


def test_hostile_names_are_printable() -> None:
    answer = kek(b"1" + BLOB, "alias/\x1b[31m")
    assert "\x1b" not in answer.key


def test_keks_of_a_batch() -> None:
    """By value: of v1 and v2, and of values that name none."""
    values = [
        ciphertexts.ciphertext("kms v1", b"cloud", ciphertexts.kms_v1(bytes(60), b"vault:v2:" + SEALED)),
        ciphertexts.ciphertext("kms v1", b"cloud", ciphertexts.kms_v1(bytes(61), b"vault:v3:" + SEALED)),
        ciphertexts.ciphertext("kms v2", b"aws", ciphertexts.kms_v2(bytes(60), ARN.encode(), b"1" + BLOB)),
        ciphertexts.ciphertext("kms v2", b"aws", ciphertexts.kms_v2(bytes(62), ARN.encode(), b"1" + BLOB)),
        ciphertexts.ciphertext("kms v2", b"lab", ciphertexts.kms_v2(bytes(60), b"kek-a", b"w" * 33)),
        b'{"kind":"Secret"}',
    ]
    batch = batches.values_batch(values)
    claims = prefixes.classify(batch)
    number, keks = naming.keks(batch, claims)
    named = [keks[code] for code in number.tolist()]
    assert [each and (each.service, each.version) for each in named] == [
        (KmsService.TRANSIT, "2"),
        (KmsService.TRANSIT, "3"),
        (KmsService.AWS, ""),
        (KmsService.AWS, ""),
        None,
        None,
    ]
    codes, heads = naming.distinct(batch, claims, np.arange(5))
    assert (len(heads), codes[2] == codes[3]) == (4, True)


def test_keys_says_what_a_restore_needs(tmp_path: Path) -> None:
    """With a line for each KEK and version, v1 too, and where its use is recorded."""
    stored = [
        ciphertexts.ciphertext("kms v1", b"cloud", ciphertexts.kms_v1(bytes(60), b"vault:v2:" + SEALED)),
        ciphertexts.ciphertext("kms v1", b"cloud", ciphertexts.kms_v1(bytes(61), b"1" + BLOB)),
        ciphertexts.ciphertext(
            "kms v2", b"gcp", ciphertexts.kms_v2(bytes(60), f"{CRYPTO_KEY}/cryptoKeyVersions/7".encode())
        ),
    ]
    pairs = [(f"/registry/secrets/a/s{number}".encode(), value) for number, value in enumerate(stored)]
    done = run("keys", database(tmp_path / "a.db", pairs), "--json", tmp_path / "keys.json")
    text = " ".join(done.stdout.split())
    assert "Data keys of kms v1/cloud are wrapped by Vault or OpenBao transit, version 2; a restore needs" in text
    assert "Data keys of kms v1/cloud are wrapped by AWS KMS; a restore needs the region" in text
    assert f"Google Cloud KMS, key {CRYPTO_KEY}, version 7, region europe-west3" in text
    assert "eventName Decrypt" in text
    assert (tmp_path / "keys.json").read_text().count('"service"') == 3
