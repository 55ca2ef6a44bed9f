"""The KEK that a wrapped data key names: by its bytes first, then by the KEK id and the annotations. Nothing is asked.

Sources of the formats, by plugin: kubernetes-sigs/aws-encryption-provider (pkg/plugin), GoogleCloudPlatform/
k8s-cloudkms-plugin (plugin/v2), Azure/kubernetes-kms (pkg/plugin), FalcoSuessgott/vault-kubernetes-kms (pkg/plugin),
openbao/openbao sdk/helper/keysutil (policy.go), ondat/trousseau, cloud-provider-openstack pkg/kms, k8s.io/kms
pkg/hierarchy and the mocks of k8s.io/apiserver, fortanix/k8s-sdkms-plugin (main.go), AliyunContainerService/
ack-kms-plugin, equinix/smartkey-kubernetes-kms.
"""

import re

from auditor.encryption.kms import hierarchy
from auditor.encryption.kms.interface import WrappedKey
from auditor.model.kms import Kek, KmsService
from auditor.text import printable, shown

AWS_MARKER = b"1"
"""Byte that aws-encryption-provider puts before a CiphertextBlob."""
_AWS_BLOBS = (b"\x01\x02", b"\x0a\x20")
_AWS_MARKED = (b"1\x01", b"1\x0a")
ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]*:.+")
_GCP_HEAD = b"\x0a\x24\x00"
GCP_VERSION = re.compile(
    r"(projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/:]+)/cryptoKeyVersions/([0-9]+)(?::.*)?"
)
"""KEK id of k8s-cloudkms-plugin: key, location, version; a suffix may follow."""
TRANSIT = re.compile(rb"([A-Za-z0-9._-]{1,256}):v([0-9]{1,10}):[A-Za-z0-9+/]+={0,2}")
_TROUSSEAU = re.compile(rb"(?:[a-z]+:-:[A-Za-z0-9+/=:_.-]+\n)+")
_TROUSSEAU_READABLE = re.compile(rb"(?:^|\n)debug:-:")
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]+")
JWE = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){3}\.[A-Za-z0-9_-]+")
AZURE_LENGTHS = frozenset({342, 512, 683})
"""Base64url characters of the ciphertexts of RSA 2048, 3072 and 4096."""
AZURE_ALGORITHM = "algorithm.azure.akv.io"
_AZURE_REGION = "x-ms-keyvault-region.azure.akv.io"
OPENBAO_ID = re.compile(r"obk2\.[A-Za-z0-9_-]{43}")
_TOYS = frozenset({"local-kek.kms.kubernetes.io"})
_KLEIDI = "v2.kleidi.beezy.dev"
_KEYSEALER = "algorithm-family.k8s-kms-plugin.keysealer.eclipse.org"
_OVH = "iv.okms.ovh.com"
_FORTANIX = re.compile(rb"\xa5\x67Version\x01\x63KID\x78\x24([0-9a-f-]{36})\x66Cipher")
"""CBOR of the plugin's struct: a version, and the UUID of the key."""
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_STACKIT = re.compile(rf"({_UUID}/{_UUID}/{_UUID})/([0-9]{{1,10}})")
"""KEK id of STACKIT's plugin: project, key ring and key, version."""
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4}){16,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
"""Of 48 bytes or more, 32 and CBC's padding: 44 letters are a data key that nothing wraps."""
GCM_SIZE, _GCM_WITHOUT_NONCE, _BARBICAN = 60, 48, 64
"""Bytes of 32 wrapped ones: nonce, ciphertext and tag; ciphertext and tag; IV and CBC's blocks."""

_CONTEXT = "the encryption context, if the plugin has one"
_ADDRESS = ("the server's address", "its namespace, if it has one", "the mount")
_ACCESS = "access to the service"
_OPENBAO = ("the key's name", "cluster-id and instance-id of the plugin")
_TOKEN = ("the PKCS#11 token and its PIN",)


def identify(key: WrappedKey) -> Kek | None:
    """The KEK of a wrapped key of KMS v1 or v2; None where nothing names one. v1 has neither KEK id nor annotations."""
    wrapped, first = key.wrapped, not key.key_id
    if wrapped.startswith(_AWS_MARKED) or (first and wrapped.startswith(_AWS_BLOBS)):
        return _aws(key.key_id, "" if wrapped.startswith(AWS_MARKER) else "wrapped before April 2018: without a marker")
    if wrapped.isascii() and (kek := _text(key)) is not None:
        return kek
    if (first and wrapped.startswith(_GCP_HEAD)) or GCP_VERSION.fullmatch(key.key_id):
        return _gcp(key.key_id)
    return _binary(key)


def _text(key: WrappedKey) -> Kek | None:
    """The KEK of a wrapped key that is ASCII."""
    wrapped = key.wrapped
    # of KMS v2 no plugin puts the key's name there
    if (match := TRANSIT.fullmatch(wrapped)) and (match[1] == b"vault" or not key.key_id):
        return _transit(match[1].decode(), match[2].decode(), key)
    if _TROUSSEAU.fullmatch(wrapped):
        names = ", ".join(sorted({line.partition(b":")[0].decode() for line in wrapped.splitlines()}))
        remark = "the data key stands in it in base64" if _TROUSSEAU_READABLE.search(wrapped) else ""
        return Kek(KmsService.TROUSSEAU, needs=(f"one of the providers {names}, with its key",), remark=remark)
    if len(wrapped) in AZURE_LENGTHS and _BASE64URL.fullmatch(wrapped):
        return _azure(key)
    if JWE.fullmatch(wrapped):
        return _jwe(key)
    if not key.key_id and _BASE64.fullmatch(wrapped):
        return Kek(KmsService.TEXT, needs=("the service, its region and the key", _ACCESS))
    return None


def _binary(key: WrappedKey) -> Kek | None:
    """The KEK of a wrapped key by annotations, length and KEK id."""
    names = {name for name, _ in key.annotations}
    size = len(key.wrapped)
    if OPENBAO_ID.fullmatch(key.key_id):  # of a transit key whose ciphertexts an external KMS makes
        return Kek(KmsService.TRANSIT, "openbao-kubernetes-kms", needs=(*_ADDRESS, *_OPENBAO))
    if names & _TOYS:
        return Kek(KmsService.TOY, key=shown(key.key_id), remark="the wrapped key is base64 of the data key")
    if (local := hierarchy.local_kek(key)) is not None:
        return _hierarchy(local)
    if _KEYSEALER in names:  # ML-KEM, whose other half is an annotation
        return _jwe(key)
    if (cloud := _other_cloud(key, names)) is not None:
        return cloud
    if size == GCM_SIZE:
        plugin = "kleidi" if _KLEIDI in names else ""
        return Kek(KmsService.AES_GCM, plugin, shown(key.key_id), needs=("the token and its PIN, or the key",))
    if size == _BARBICAN and not key.key_id:
        return Kek(KmsService.BARBICAN, needs=("the payload of the Barbican secret",))
    if ARN.fullmatch(key.key_id) and key.wrapped.startswith(AWS_MARKER):
        return _aws(key.key_id)
    return None


def _other_cloud(key: WrappedKey, names: set[str]) -> Kek | None:
    """The KEK of a service that is named here and not asked: by its annotation, its framing or its KEK id."""
    if _OVH in names and len(key.wrapped) == _GCM_WITHOUT_NONCE:
        return Kek(KmsService.OVH, key=shown(key.key_id), needs=(_ACCESS,))
    if match := _FORTANIX.match(key.wrapped):
        return Kek(KmsService.FORTANIX, key=match[1].decode(), needs=("the address of the service", _ACCESS))
    if named := _STACKIT.fullmatch(key.key_id):
        return Kek(KmsService.STACKIT, key=named[1], version=named[2], needs=("the region", _ACCESS))
    return None


def _hierarchy(local: WrappedKey) -> Kek:
    """Of a data key under a local KEK: what unwraps that."""
    needs = ("the local KEK: what the remote KMS answers to the annotation encrypted-kek",)
    remote = identify(local)
    if remote is None:
        return Kek(KmsService.LOCAL_KEK, key=shown(local.key_id), needs=needs)
    return Kek(
        KmsService.LOCAL_KEK,
        key=remote.key,
        version=remote.version,
        region=remote.region,
        needs=(*needs, *remote.needs),
        remark=f"its local KEK is wrapped by {remote.service.value}",
    )


def _jwe(key: WrappedKey) -> Kek:
    plugin = "KeySealer" if any(name == _KEYSEALER for name, _ in key.annotations) else ""
    return Kek(KmsService.JWE, plugin, shown(key.key_id), needs=_TOKEN)


def _aws(key_id: str, remark: str = "") -> Kek:
    match = ARN.fullmatch(key_id)
    region = match[1] if match else ""
    needs = (_CONTEXT,) if region else ("the region", _CONTEXT)
    return Kek(KmsService.AWS, key=shown(key_id), region=region, needs=needs, remark=remark)


def _gcp(key_id: str) -> Kek:
    match = GCP_VERSION.fullmatch(key_id)
    if match is None:
        return Kek(KmsService.GCP, needs=("the resource name of the key",))
    return Kek(KmsService.GCP, key=shown(match[1]), version=shown(match[3]), region=shown(match[2]))


def _azure(key: WrappedKey) -> Kek:
    region = next((text for name, text in key.annotations if name == _AZURE_REGION), b"")
    needs = ("the URL of the vault", "the key's name", *([] if key.key_id else ["the key's version"]))
    # the KEK id is a hash of the key's URL: it says nothing to a reader, and confirms a guess
    return Kek(KmsService.AZURE, region=printable(region), needs=needs)


def _transit(name: str, version: str, key: WrappedKey) -> Kek:
    # keysutil: version 0 is what wrote before versions were counted, and means the first
    number = str(max(int(version), 1))
    if OPENBAO_ID.fullmatch(key.key_id):
        needs = (*_ADDRESS, *_OPENBAO)
        return Kek(KmsService.TRANSIT, "openbao-kubernetes-kms", version=number, needs=needs)
    if name != "vault":
        return Kek(KmsService.TRANSIT, "Oracle's vault plugin", key=name, version=number, needs=_ADDRESS)
    plugin = "kleidi" if any(annotation == _KLEIDI for annotation, _ in key.annotations) else ""
    return Kek(KmsService.TRANSIT, plugin, version=number, needs=(*_ADDRESS, "the key's name"))
