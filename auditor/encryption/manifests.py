"""Files that distributions make an EncryptionConfiguration from, Talos' and HyperShift's, and files of objects.

Sources: talos internal/app/machined/pkg/controllers/k8s/internal/k8stemplates/apiserver.go (names of keys, order),
pkg/machinery/config/generate/secrets/bundle.go (secrets.yaml); hypershift control-plane-operator/controllers/
hostedcontrolplane/kas/aescbc.go (a key is called by the FNV-1 hash of its bytes), api/hypershift HostedCluster.
"""

import base64
import re
from collections.abc import Iterator
from typing import Any

from auditor.encryption import wrappers
from auditor.encryption.strict_yaml import ConfigurationError, Reader

KINDS = ("EncryptionConfiguration", "EncryptionConfig")
MOST_DOCUMENTS = 64
_MARKER = re.compile(rb"^---(?=\s|$)", re.MULTILINE)
"""The line before a document; it ends the one before, even in a block of text."""
_LISTS = ("List", "SecretList", "ConfigMapList")
"""Kinds of what kubectl and the API server answer with for several objects."""
_HOSTED = ("HostedCluster", "HostedControlPlane")
_TALOS = (("secretbox", "key2", "secretboxencryptionsecret"), ("aescbc", "key1", "aescbcencryptionsecret"))
"""Provider, name of the key, and Talos' field in lower case, in the order of its configuration."""
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


def read(reader: Reader, raw: bytes) -> Any:
    """The configuration of a file, which it is, wraps or tells how to make; else the first document."""
    first = reader.parse(raw)
    if isinstance(first, dict) and first.get("kind") in KINDS:
        return first
    reader.notes.clear()  # that several documents follow is a note on a configuration
    objects = [first, *_others(reader, raw)]
    if isinstance(first, dict) and first.get("kind") in _LISTS and isinstance(first.get("items"), list):
        objects = [_listed(first["kind"], item) for item in first["items"]]
    for document in objects:
        if isinstance(document, dict) and document.get("kind") in _HOSTED:
            return _hosted(reader, document, objects)
        if isinstance(document, dict) and "kind" not in document and (made := _talos(reader, document)):
            return made
    if first is None and any(isinstance(each, dict) and each.get("kind") in KINDS for each in objects):
        reader.fail("", "its first document is empty, and kube-apiserver reads no other: it refuses the file")
    if objects == [first]:
        return wrappers.unwrap(reader, first)
    inner = [each for each in map(_Inner(reader), objects) if each is not None]
    if any(each != inner[0] for each in inner):
        reader.fail("", "several objects that hold EncryptionConfigurations: give the one in force as a file")
    if not inner:
        return wrappers.unwrap(reader, first)
    reader.note("it holds objects, one of which is or holds the EncryptionConfiguration")
    return inner[0]


def _listed(kind: str, item: Any) -> Any:
    """An object of a list: one of a list of one kind may leave its kind to the list."""
    return {"kind": kind.removesuffix("List"), **item} if isinstance(item, dict) and kind != "List" else item


class _Inner:
    """The configuration that one of several objects is or holds; None for an object without."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __call__(self, document: Any) -> Any:
        try:
            inner = wrappers.unwrap(self._reader, document)
        except ConfigurationError:
            return None
        return inner if isinstance(inner, dict) and inner.get("kind") in KINDS else None


def _others(reader: Reader, raw: bytes) -> Iterator[Any]:
    """The documents of a YAML file behind the first."""
    if raw.lstrip()[:1] == b"{" or raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return
    parts = [part for part in _MARKER.split(raw) if part.strip()]
    for part in parts[1:MOST_DOCUMENTS]:
        try:
            document = reader.parse(part)
        except ConfigurationError:
            continue
        if document is not None:
            yield document


def _talos(reader: Reader, document: dict[str, Any]) -> dict[str, Any] | None:
    """The configuration that Talos makes of its machine configuration or secrets.yaml; None for another document."""
    for part in (document.get("cluster"), document.get("secrets")):
        fields = {name.lower(): value for name, value in part.items()} if isinstance(part, dict) else {}
        providers = [_provider(kind, (name, fields[field])) for kind, name, field in _TALOS if fields.get(field)]
        if providers:
            reader.note("it is Talos': what Talos makes of its encryption secrets is read")
            return _configuration(providers)
    return None


def _hosted(reader: Reader, document: dict[str, Any], objects: list[Any]) -> dict[str, Any]:
    """The configuration that HyperShift makes of a hosted cluster and the Secrets with its keys."""
    spec = document.get("spec")
    encryption = spec.get("secretEncryption") if isinstance(spec, dict) else None
    aescbc = encryption.get("aescbc") if isinstance(encryption, dict) else None
    if not isinstance(aescbc, dict):
        text = f"a {document['kind']} without AES-CBC keys: give the configuration that kube-apiserver reads"
        return reader.fail("", text)  # type: ignore[no-any-return]
    secrets = {_name(each): each for each in objects if isinstance(each, dict) and each.get("kind") == "Secret"}
    keys = []
    for role in ("activeKey", "backupKey"):
        reference = aescbc.get(role)
        if role == "backupKey" and not reference:
            continue
        name = reference.get("name") if isinstance(reference, dict) else None
        secret = _key_of(secrets.get(name)) if isinstance(name, str) else None
        if not secret:
            text = "names a Secret with the key, which this file does not hold: put it behind the hosted cluster"
            reader.fail(f"spec.secretEncryption.aescbc.{role}", text)
        keys.append((f"key-{_fnv(secret or b'')}", base64.b64encode(secret or b"").decode()))
    reader.note("it is HyperShift's: what HyperShift makes of the hosted cluster's keys is read")
    return _configuration([_provider("aescbc", *keys)])


def _key_of(secret: dict[str, Any] | None) -> bytes | None:
    """The bytes under `key` of a Secret."""
    for part, in_base64 in (("data", True), ("stringData", False)):
        data = secret.get(part) if secret else None
        text = data.get("key") if isinstance(data, dict) else None
        if isinstance(text, str):
            try:
                return base64.b64decode(text, validate=True) if in_base64 else text.encode("utf-8", "surrogatepass")
            except ValueError:
                return None
    return None


def _name(document: dict[str, Any]) -> str:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _fnv(raw: bytes) -> int:
    """FNV-1 of 32 bits."""
    digest = _FNV_OFFSET
    for byte in raw:
        digest = (digest * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return digest


def _provider(kind: str, *keys: tuple[str, Any]) -> dict[str, Any]:
    return {kind: {"keys": [{"name": name, "secret": secret} for name, secret in keys]}}


def _configuration(providers: list[dict[str, Any]]) -> dict[str, Any]:
    rule = {"resources": ["secrets"], "providers": [*providers, {"identity": {}}]}
    return {"apiVersion": "v1", "kind": "EncryptionConfig", "resources": [rule]}
