"""The transit engine of Vault and OpenBao, through hvac.

Source: openbao/openbao sdk/helper/keysutil/policy.go (the ciphertext's layout, what Decrypt refuses) and
builtin/logical/transit/path_decrypt.go; dc-tec/openbao-kubernetes-kms internal/aad/aad.go (associated data).
"""

import base64
import binascii
import hashlib
import json
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from auditor.encryption.kms.address import Address
from auditor.encryption.kms.identify import OPENBAO_ID, TRANSIT
from auditor.encryption.kms.interface import Answer, KmsError, KmsMismatch, KmsThrottled, KmsUntried, WrappedKey
from auditor.encryption.kms.services import need
from auditor.errors import UsageError
from auditor.text import shown

EXTRA = "vault"
BATCH = 250
"""Wrapped keys of one call."""
TIMEOUT = 30
_REASONS: tuple[tuple[str, type[KmsError], str], ...] = (
    (
        "too old",
        KmsUntried,
        "min_decryption_version of the key is above this version: not lost while an administrator can lower it",
    ),
    ("too new", KmsMismatch, "the key has no such version: another key, or one restored from an older backup"),
    ("message authentication failed", KmsMismatch, "another key wrapped it, it is damaged, or associated data is due"),
    ("encryption key not found", KmsUntried, "there is no key of this name: check the URL, or it is deleted"),
    (
        "soft-deleted",
        KmsUntried,
        "the key is soft-deleted: an administrator can restore it, and nothing is lost until it is deleted",
    ),
    ("missing 'context'", KmsUntried, "the key is derived: give context=BASE64"),
    ("invalid ciphertext", KmsMismatch, "the server does not take it for a ciphertext"),
    ("unable to decrypt", KmsMismatch, "another key wrapped it, or it is damaged"),
    ("decryption error", KmsMismatch, "another key wrapped it, or it is damaged"),
)
"""A part of what the server says, and what it means."""
_STATUS: dict[int, tuple[type[KmsError], str]] = {
    403: (KmsUntried, "denied: the token is not valid, or its policy does not allow update on this path"),
    404: (KmsUntried, "nothing is mounted there: check the mount and the namespace"),
    429: (KmsThrottled, "throttled: run again later"),
    503: (KmsUntried, "the server is sealed, or in maintenance"),
}
_AAD = (
    ("openbao_namespace_hash", "openbao-namespace-hash.kms.openbao.org"),
    ("transit_mount_hash", "transit-mount-hash.kms.openbao.org"),
    ("transit_key_hash", "transit-key-hash.kms.openbao.org"),
    ("key_id_hash", "key-id-hash.kms.openbao.org"),
    ("key_version", "transit-key-version.kms.openbao.org"),
)
"""Members of the associated data, in their order, and the annotations that hold them."""


class Transit:
    """One key of a transit engine."""

    label = "Vault or OpenBao transit"
    remote = True
    batch = BATCH
    several = False

    def __init__(self, address: Address) -> None:
        address.only(
            "namespace", "token-file", "role-id", "secret-id-file", "ca", "context", "cluster-id", "instance-id"
        )
        parts = urlsplit(address.url(address.place))
        *mount, name = parts.path.strip("/").split("/")
        if not mount or not name:
            raise UsageError(f"{address.option} needs https://HOST/MOUNT/KEY: the mount of transit, and the key's name")
        self._address = address
        self._who = f"{self.label} at {shown(parts.netloc)}"
        self._paths = "/".join(map(quote, mount)), quote(name)
        self._name = shown(f"{'/'.join(mount)}/{name}")
        hvac, requests = need(address, EXTRA, "hvac", "requests")
        ca = address.one("ca")
        self._client = hvac.Client(
            url=f"{parts.scheme}://{parts.netloc}",
            token=address.content("token-file") or None,
            namespace=address.one("namespace") or None,
            verify=ca or None,
            timeout=TIMEOUT,
            # a standby's redirect leads to a host that nobody named
            allow_redirects=False,
            session=_session(requests, ca),
        )
        self._failure: type[Exception] = requests.exceptions.RequestException
        self._role = address.one("role-id"), address.content("secret-id-file")
        self._latest: int | None = None
        self._asked = threading.Lock()

    def key(self, wrapped: WrappedKey) -> str:
        if _ciphertext(wrapped) is None:
            raise KmsMismatch(f"it is no ciphertext of {self.label}")
        return self._name

    def principal(self) -> str:
        if self._role[0]:
            login = self._call("post", "auth/approle/login", {"role_id": self._role[0], "secret_id": self._role[1]})
            token = _member(login, "auth", "client_token")
            if isinstance(login, KmsError) or not token:
                raise KmsUntried(
                    f"{self._who}: the login with role-id and secret-id-file failed: {login_reason(login)}"
                )
            self._client.token = token
        own = self._call("get", "auth/token/lookup-self")
        # its policy need not allow this
        return "" if isinstance(own, KmsError) else shown(str(_member(own, "data", "display_name")))

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        latest = self._version()
        items = [self._item(wrapped) for wrapped in keys]
        payload = {"batch_input": items, "partial_failure_response_code": 200}
        answer = self._call("post", f"{self._paths[0]}/decrypt/{self._paths[1]}", payload)
        if isinstance(answer, KmsError):
            return [answer] * len(keys)
        results = _member(answer, "data", "batch_results")
        if not isinstance(results, list) or len(results) != len(keys):
            return [KmsUntried(f"{self._who} answers with something else than a batch: check the URL")] * len(keys)
        request = shown(str(answer.get("request_id", "")))
        return [self._answer(*pair, latest, request) for pair in zip(keys, results, strict=True)]

    def close(self) -> None:
        self._client.adapter.close()

    def _version(self) -> int | None:
        """The newest version of the key; None where the policy does not let it be read."""
        with self._asked:
            if self._latest is None:
                own = self._call("get", f"{self._paths[0]}/keys/{self._paths[1]}")
                latest = None if isinstance(own, KmsError) else _member(own, "data", "latest_version")
                self._latest = latest if isinstance(latest, int) else 0
            return self._latest or None

    def _item(self, wrapped: WrappedKey) -> dict[str, str]:
        item = {"ciphertext": _ciphertext(wrapped) or ""}
        if context := self._address.one("context"):
            item["context"] = context
        if OPENBAO_ID.fullmatch(wrapped.key_id):
            ids = self._address.one("cluster-id"), self._address.one("instance-id")
            item["associated_data"] = base64.b64encode(associated_data(wrapped, self._address.name, *ids)).decode()
        return item

    def _answer(self, wrapped: WrappedKey, result: Any, latest: int | None, request: str) -> Answer | KmsError:
        text = result.get("plaintext") if isinstance(result, dict) else None
        if text:
            try:
                plaintext = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError, TypeError):
                return KmsMismatch("the answer is no data key")
            match = TRANSIT.fullmatch((_ciphertext(wrapped) or "").encode())
            version = max(int(match[2]), 1) if match else 0
            # a version that is newer than the newest was made since that was asked for
            current = version >= latest if latest else None
            return Answer(plaintext, f"{self._name}, version {version}", current, request)
        return self._failed(str(result.get("error", "")) if isinstance(result, dict) else "", 400)

    def _call(self, method: str, path: str, payload: dict[str, Any] | None = None) -> dict[str, Any] | KmsError:
        """The answer's document; an error where there is none. No text of the server or of a library leaves."""
        try:
            answer = self._client.adapter.request(method, f"/v1/{path}", json=payload, raise_exception=False)
        except self._failure as error:
            return KmsUntried(f"{self._who} does not answer ({type(error).__name__}): check address, ca and network")
        if isinstance(answer, dict):
            return answer
        if 300 <= answer.status_code < 400:
            return KmsUntried(f"{self._who} refers to another host: name the active server")
        try:
            document = answer.json()
        except ValueError:
            document = None
        if isinstance(_member(document, "data", "batch_results"), list):
            return dict(document)  # a batch of which one item or all are refused, as older servers answer it
        errors = _member(document, "errors")
        texts = [str(each) for each in errors] if isinstance(errors, list) else []
        return self._failed("; ".join(texts), answer.status_code)

    def _failed(self, text: str, status: int) -> KmsError:
        """The error for a status and what the server says, which is not quoted."""
        if status in _STATUS:
            kind, reason = _STATUS[status]
            return kind(f"{self._who}: {reason}")
        for part, kind, reason in _REASONS:
            if part in text:
                return kind(f"{self._who}: {reason}")
        if status >= 500:
            return KmsUntried(f"{self._who} fails (HTTP {status}): read its log")
        return KmsMismatch(f"{self._who} refuses it (HTTP {status})")


def connect(address: Address) -> Transit:
    return Transit(address)


def associated_data(wrapped: WrappedKey, name: str, cluster: str, instance: str) -> bytes:
    """What openbao-kubernetes-kms binds a data key to: compact JSON, whose members have this order.

    Args:
        wrapped: with its annotations, which hold most hashes.
        name: of the KMS, as in the values' prefix.
        cluster: the plugin's cluster ID.
        instance: its OpenBao instance ID.
    """
    texts = {key: value.decode("utf-8", "replace") for key, value in wrapped.annotations}
    members = {
        "aad_version": "v1",
        "purpose": "kubernetes-etcd-kms-v2",
        "provider": "openbao-transit",
        "provider_name": name,
        "cluster_id_hash": _hash(cluster),
        "openbao_instance_hash": _hash(instance),
    }
    members |= {member: texts[annotation] for member, annotation in _AAD if annotation in texts}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def login_reason(answer: object) -> str:
    """Why a login failed, of what _call() answers."""
    return str(answer) if isinstance(answer, KmsError) else "no token in the answer"


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _ciphertext(wrapped: WrappedKey) -> str | None:
    """The transit ciphertext in a wrapped key: some plugins put the key's name, or a line's, before it."""
    raw = wrapped.wrapped
    for line in raw.splitlines() if b":-:" in raw else ():
        if line.startswith(b"vault:-:"):
            try:
                raw = base64.b64decode(line.removeprefix(b"vault:-:"), validate=True)
            except (binascii.Error, ValueError):
                return None
    match = TRANSIT.fullmatch(raw)
    return f"vault{raw[match.end(1) :].decode()}" if match else None


def _member(document: object, *path: str) -> Any:
    """A member of a JSON document by its path; None where it is absent."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _session(requests: Any, ca: str) -> Any:
    """A session that waits as long as a throttling server asks it to."""
    from urllib3.util import Retry

    session = requests.Session()
    if ca:
        session.verify = ca
    retry = Retry(total=4, status_forcelist=(429,), allowed_methods=None, backoff_factor=0.5, raise_on_status=False)
    retry = retry.new(connect=0, read=0, redirect=0)
    session.mount("https://", requests.adapters.HTTPAdapter(max_retries=retry, pool_maxsize=16))
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry, pool_maxsize=16))
    return session
