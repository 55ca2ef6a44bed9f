"""JWE that PKCS#11 plugins write: RFC 7516's own example, and each form under a key in a file."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor import Options, scan
from auditor.encryption.kms import jwe
from tests.helpers.kms_store import Store

KEYSEALER = {"algorithm-family.k8s-kms-plugin.keysealer.eclipse.org": b"rsa-oaep"}
# RFC 7516, appendix A.1
MODULUS = (
    "oahUIoWw0K0usKNuOR6H4wkf4oBUXHTxRvgb48E-BVvxkeDNjbC4he8rUWcJoZmds2h7M70imEVhRU5djINXtqllXI4DFqcI1DgjT9LewND8MW2K"
    "rf3Spsk_ZkoFnilakGygTwpZ3uesH-PFABNIUYpOiN15dsQRkgr0vEhxN92i2asbOenSZeyaxziK72UwxrrKoExv6kc5twXTq4h-QChLOln0_mtU"
    "ZwfsRaMStPs6mS6XrgxnxbWhojf663tuEQueGC-FCMfra36C9knDFGzKsNa7LZK2djYgyD3JR_MB_4NUJW_TqOQtwHYbxevoJArm-L5StowjzGy-"
    "_bq6Gw"
)
EXPONENT = (
    "kLdtIj6GbDks_ApCSTYQtelcNttlKiOyPzMrXHeI-yk1F7-kpDxY4-WY5NWV5KntaEeXS1j82E375xxhWMHXyvjYecPT9fpwR_M9gV8n9Hrh2anT"
    "pTD93Dt62ypW3yDsJzBnTnrYu1iwWRgBKrEYY46qAZIrA2xAwnm2X7uGR1hghkqDp0Vqj3kbSCz1XyfCs6_LehBwtxHIyh8Ripy40p24moOAbgxV"
    "w3rxT_vlt3UVe4WO3JkJOzlpUf-KTVI2Ptgm-dARxTEtE-id-4OJr0h-K-VFs3VSndVTIznSxfyrj8ILL6MG_Uv8YAu7VILSB3lOW085-4qE3Dzg"
    "rTjgyQ"
)
EXAMPLE = (
    b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGe"
    b"ipsEdY3mx_etLbbWSrFr05kLzcSr4qKAq7YN7e9jwQRb23nfa6c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5Xn"
    b"ZAYpQdb76FdIKLaVmqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVLzfiwQyeyPGLBIO56YJ7eObdv0je81860ppamavo35UgoRdbYaBcoh9QcfylQ"
    b"r66oc6vFWXRcZ_ZT2LawVCWTIy3brGPi6UklfCpIMfIjf7iGdXKHzg.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9o"
    b"Mo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A.XFBoMYUZodetZdvTiFvSkQ"
)


def text(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def number(coded: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(coded + "=="), "big")


def compact(header: dict[str, str], key: bytes, cek: bytes, dek: bytes) -> bytes:
    """A JWE with GCM under a content key."""
    protected, nonce = text(json.dumps(header).encode()), os.urandom(12)
    sealed = AESGCM(cek).encrypt(nonce, dek, protected)
    return b".".join((protected, text(key), text(nonce), text(sealed[:-16]), text(sealed[-16:])))


def by_rsa(key: rsa.RSAPrivateKey, algorithm: str, hashing: hashes.HashAlgorithm) -> Callable[[bytes], bytes]:
    """As KeySealer wraps."""

    def wrap(dek: bytes) -> bytes:
        cek = os.urandom(32)
        wrapped = key.public_key().encrypt(cek, padding.OAEP(padding.MGF1(hashing), hashing, None))
        return compact({"alg": algorithm, "enc": "A256GCM", "kid": "0a0b"}, wrapped, cek, dek)

    return wrap


def by_cbc(key: bytes) -> Callable[[bytes], bytes]:
    """As gose does: with a block of zeros behind the two of the data key, and a tag of another key."""

    def wrap(dek: bytes) -> bytes:
        protected, iv = text(json.dumps({"alg": "dir", "enc": "A256CBC"}).encode()), os.urandom(16)
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        sealed = encryptor.update(dek) + encryptor.finalize() + bytes(16)
        return b".".join((protected, b"", text(iv), text(sealed), text(os.urandom(32))))

    return wrap


def outcomes(store: Store, folder: Path, content: bytes) -> dict[str, int]:
    file = folder / "kek"
    file.write_bytes(content)
    result = scan(store.save(folder / "a.db"), Options(kms=(f"*=file:{file}",)))
    return dict(result.inventory["decrypted"].value_counts())


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_the_example_of_the_rfc() -> None:
    modulus, exponent = number(MODULUS), number(EXPONENT)
    p, q = rsa.rsa_recover_prime_factors(modulus, 65537, exponent)
    parts = (rsa.rsa_crt_dmp1(exponent, p), rsa.rsa_crt_dmq1(exponent, q), rsa.rsa_crt_iqmp(p, q))
    key = rsa.RSAPrivateNumbers(p, q, exponent, *parts, rsa.RSAPublicNumbers(65537, modulus)).private_key()
    example = jwe.parse(EXAMPLE)
    assert example is not None
    expected = b"The true sign of intelligence is not knowledge but imagination."
    assert jwe.unwrapped(example, key) == expected
    assert jwe.unwrapped(example._replace(tag=bytes(16)), key) is None


def test_rsa_with_each_hash_that_its_header_may_mean(tmp_path: Path) -> None:
    """KeySealer's is SHA-256 whatever the header says, the RFC's RSA-OAEP is SHA-1."""
    key, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    store = Store()
    for algorithm, hashing in (("RSA-OAEP", hashes.SHA256()), ("RSA-OAEP-256", hashes.SHA256())):
        store.v2("seed", by_rsa(key, algorithm, hashing), 3, annotations=KEYSEALER)
        store.v2("key", by_rsa(key, algorithm, hashing), 3, annotations=KEYSEALER, seed=False)
    store.v1("rfc", by_rsa(key, "RSA-OAEP", hashes.SHA1()), 3)
    assert outcomes(store, tmp_path, pem(key)) == {"yes": 15}
    store.check(tmp_path / "a.db", f"*=file:{tmp_path / 'kek'}")
    assert outcomes(store, tmp_path, pem(other)) == {"failed": 15}


@pytest.mark.parametrize("size", [16, 24, 32])
def test_gcm_under_the_key_itself(tmp_path: Path, size: int) -> None:
    key, store = os.urandom(size), Store()
    header = {"alg": "dir", "enc": f"A{size * 8}GCM"}
    store.v1("thales", lambda dek: compact(header, b"", key, dek), 2)
    store.v2("keysealer", lambda dek: compact(header, b"", key, dek), 2)
    assert outcomes(store, tmp_path, key) == {"yes": 4}
    assert outcomes(store, tmp_path, os.urandom(size)) == {"failed": 4}


def test_cbc_under_the_key_itself(tmp_path: Path) -> None:
    """A wrong key answers with garbage, which does not open the value."""
    key, store = os.urandom(32), Store()
    store.v1("thales", by_cbc(key), 2)
    store.v2("keysealer", by_cbc(key), 2)
    assert outcomes(store, tmp_path, key) == {"yes": 4}
    assert outcomes(store, tmp_path, os.urandom(32)) == {"failed": 4}


@pytest.mark.parametrize(
    "header",
    [b"[]", b"{", b'{"alg": 1, "enc": 2}', b'{"alg": "dir"}', b'{"alg": "ECDH-ES", "enc": "A256GCM"}', b"\xff"],
)
def test_what_is_no_jwe_of_a_plugin(tmp_path: Path, header: bytes) -> None:
    store, key = Store(), os.urandom(32)
    store.v2("lab", lambda dek: b".".join((text(header), b"", text(bytes(12)), text(dek), text(bytes(16)))), 2)
    assert outcomes(store, tmp_path, key) == {"failed": 2}
    assert outcomes(store, tmp_path, pem(rsa.generate_private_key(65537, 2048))) == {"failed": 2}
    for raw in (b"....", b"a.b.c.d.e", b"a.b", b"=.=.=.=.="):
        assert jwe.parse(raw) is None
