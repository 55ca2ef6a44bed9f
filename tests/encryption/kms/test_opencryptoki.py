"""--kms pkcs11: against a second module, which knows what SoftHSM does not: OAEP by SHA-256. See conftest.py."""

import os
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pkcs11.util.rsa import encode_rsa_public_key

from auditor.encryption.kms.pkcs11 import clear_openssl
from tests.encryption.kms.test_jwe import KEYSEALER, compact
from tests.encryption.kms.test_pkcs11 import audit, outcomes
from tests.helpers import opencryptoki
from tests.helpers.kms_store import Store

KEY, OTHER = "rsa", "other"
HASHES = {"RSA-OAEP": hashes.SHA1(), "RSA-OAEP-256": hashes.SHA256()}


@pytest.fixture(scope="module")
def public() -> rsa.RSAPublicKey:
    """The public half of the token's key; there is another beside it."""
    opencryptoki.prepare()
    library = pkcs11.lib(opencryptoki.MODULE)
    clear_openssl()
    with library.get_token(token_label=opencryptoki.TOKEN).open(rw=True, user_pin=opencryptoki.PIN) as session:
        session.generate_keypair(pkcs11.KeyType.RSA, 2048, label=OTHER, store=True)
        half, _ = session.generate_keypair(pkcs11.KeyType.RSA, 2048, label=KEY, store=True)
        exported = serialization.load_der_public_key(encode_rsa_public_key(half))
    assert isinstance(exported, rsa.RSAPublicKey)
    return exported


@pytest.mark.parametrize("algorithm", HASHES)
def test_rsa_oaep(algorithm: str, public: rsa.RSAPublicKey, tmp_path: Path) -> None:
    hashing = HASHES[algorithm]

    def wrap(dek: bytes) -> bytes:
        cek = os.urandom(32)
        wrapped = public.encrypt(cek, padding.OAEP(padding.MGF1(hashing), hashing, None))
        return compact({"alg": algorithm, "enc": "A256GCM"}, wrapped, cek, dek)

    pin = tmp_path / "pin"
    pin.write_text(f"{opencryptoki.PIN}\n")

    def url(key: str) -> str:
        return f"*=pkcs11:{opencryptoki.MODULE}?token={opencryptoki.TOKEN}&pin-file={pin}&key={key}"

    store = Store()
    store.v1("old", wrap, 2)
    store.v2("new", wrap, 2, annotations=KEYSEALER)
    assert outcomes(audit(store, tmp_path, url(KEY))) == {"yes": 4}
    assert outcomes(audit(store, tmp_path, url(OTHER))) == {"failed": 4}
