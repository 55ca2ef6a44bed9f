"""What is dialled: nothing that the command did not name, whatever the evidence and a configuration say."""

import base64
import json
import socket
from pathlib import Path

import pytest

from auditor import Options, scan
from auditor.encryption.kms.address import parse
from auditor.encryption.kms.services import SERVICES, connect
from auditor.errors import UsageError
from auditor.observer import SILENT
from auditor.verify.again import Repetition, _missing
from tests.helpers.kms_store import Store

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that any socket of the process is connected to, and every name that is looked up."""
    addresses: list[object] = []
    connect_of = socket.socket.connect

    def watch(self: socket.socket, address: object) -> None:
        addresses.append(address)
        connect_of(self, address)  # type: ignore[arg-type]

    def look_up(*arguments: object, **_: object) -> list[object]:
        addresses.append(arguments)
        return []

    monkeypatch.setattr(socket.socket, "connect", watch)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return addresses


def test_nothing_without_the_option(dialled: list[object], tmp_path: Path) -> None:
    """Evidence that names services, and a configuration with an endpoint."""
    store = Store()
    store.v1("cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 3)
    store.v2("aws", lambda dek: b"1\x01\x02\x02\x00\x78" + dek, 3, key_id=ARN)
    store.v2("gcp", lambda dek: dek * 3, 3, key_id="projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1")
    config = tmp_path / "config.json"
    kms = {"apiVersion": "v2", "name": "aws", "endpoint": f"unix://{tmp_path}/kms.sock"}
    rules = [{"resources": ["secrets"], "providers": [{"kms": kms}]}]
    config.write_text(
        json.dumps({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": rules})
    )
    path = store.save(tmp_path / "a.db")
    result = scan(path, Options(encryption_configs=(str(config),)))
    assert dict(result.inventory["decrypted"].value_counts()) == {"no key": 9}
    assert [key.kek.service.value for key in result.keys if key.kek is not None] == [
        "Vault or OpenBao transit",
        "AWS KMS",
        "Google Cloud KMS",
    ]
    assert dialled == []


def test_the_watch_sees_what_is_dialled(dialled: list[object], tmp_path: Path) -> None:
    """And before the calls are confirmed only who calls is asked."""
    store, token = Store(), tmp_path / "token"
    token.write_text("t")
    store.v2("cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 3)
    path = store.save(tmp_path / "a.db")
    url = f"cloud=vault:http://127.0.0.1:9/transit/key?token-file={token}"
    with pytest.raises(UsageError, match="Nothing was called"):
        scan(path, Options(kms=(url,)))
    assert len(dialled) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("cloud", "write NAME=URL"),
        ("cloud=https", "write NAME=URL"),
        ("cloud=ftp://x", "none of"),
        ("cloud=vault:http://192.0.2.1/transit/key", "takes http to this machine alone"),
        ("cloud=vault:https://user:pass@host/transit/key", "takes no credentials in the URL"),
        ("cloud=vault:https://host/transit/key?token=s.abcdef", "has no parameter token"),
        ("cloud=vault:https://host/key", "needs https://HOST/MOUNT/KEY"),
        ("cloud=vault:https://host/transit/key?ca=a&ca=b", "give it once"),
        ("cloud=file:", "needs the path of a file"),
    ],
)
def test_urls_that_are_refused(url: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as refusal:
        connect(parse(url))
    assert "abcdef" not in str(refusal.value)
    assert "pass@" not in str(refusal.value)


def test_a_report_does_not_decide_what_is_called(dialled: list[object], tmp_path: Path) -> None:
    """verify --again audits with the options of a report, which anybody may have sealed: but not with its --kms."""
    store, token = Store(), tmp_path / "token"
    token.write_text("t")
    store.v2("cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 3)
    path = store.save(tmp_path / "a.db")
    recorded = Options(kms=(f"cloud=vault:http://127.0.0.1:9/transit/key?token-file={token}",))
    repetition = Repetition([str(path)], Options(), SILENT)
    result = repetition._audit(recorded)
    assert dict(result.inventory["decrypted"].value_counts()) == {"no key": 3}
    assert dialled == []
    assert any("--kms" in text and "is not given" in text for text in _missing(recorded, Options()))


def test_every_service_is_a_row() -> None:
    assert list(SERVICES) == ["aws", "azure", "gcp", "vault", "file"]
