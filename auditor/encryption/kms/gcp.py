"""Google Cloud KMS: one REST call, with google-auth's credentials.

google-cloud-kms would do the same with fifteen packages more, most of them for gRPC.
Source: GoogleCloudPlatform/k8s-cloudkms-plugin plugin/v2/plugin.go (the key in the KEK's id, no associated data).
"""

import base64
import binascii
import re
import threading
from collections.abc import Sequence
from typing import Any

from auditor.encryption.kms.address import Address
from auditor.encryption.kms.identify import GCP_VERSION
from auditor.encryption.kms.interface import Answer, KmsError, KmsMismatch, KmsThrottled, KmsUntried, WrappedKey
from auditor.encryption.kms.services import need
from auditor.errors import UsageError
from auditor.model.kms import KmsService
from auditor.text import shown

EXTRA = "gcp"
ENDPOINT = "https://cloudkms.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/cloudkms",)
TIMEOUT = 30
_CODE = re.compile(r"[A-Z]{1,20}(?:_[A-Z]{1,20}){0,4}|HTTP [0-9]{3}|[A-Z][A-Za-z]{1,40}(?:Error|Timeout)")
"""What names a failure: a code, a status or the class of an exception. Another text is the service's own."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{1,20}Z")
_SEGMENT = r"[A-Za-z0-9_.:~-]+"
KEY = re.compile(rf"projects/{_SEGMENT}/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+")
_PRECONDITION = "FAILED_PRECONDITION"
_STATES: dict[str, tuple[type[KmsError], str]] = {
    "INVALID_ARGUMENT": (KmsMismatch, "it is damaged, or another key wrapped it"),
    "NOT_FOUND": (KmsUntried, "there is no such key: check project, location, key ring and name"),
    "PERMISSION_DENIED": (
        KmsUntried,
        "denied: cloudkms.cryptoKeyVersions.useToDecrypt is needed on the key, or there is no such project",
    ),
    "UNAUTHENTICATED": (KmsUntried, "the credentials are not valid"),
    _PRECONDITION: (
        KmsUntried,
        "the key's version is disabled, or scheduled for destruction: an administrator can enable or restore it until "
        "the date of its destruction, and once it is destroyed the data is lost",
    ),
    "RESOURCE_EXHAUSTED": (KmsThrottled, "throttled: run again later, or with --kms-budget"),
    "UNAVAILABLE": (KmsThrottled, "the service is not available: run again later"),
    "INTERNAL": (KmsThrottled, "the service fails: run again later"),
}
"""google.rpc.Code of a refusal, and what it means."""


_HTTP = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
"""Codes of refusals that say none: of proxies and load balancers on the way."""
_VERSION_STATES = {
    "DISABLED": "the key's version is disabled: an administrator can enable it, and nothing is lost",
    "DESTROY_SCHEDULED": "the key's version is scheduled for destruction: until {until} an administrator can restore "
    "it, from then on the data is lost",
    "DESTROYED": "the key's version is destroyed: what it wrapped is lost",
}
"""CryptoKeyVersionState of a version that does not decrypt."""


class Gcp:
    """Google Cloud KMS: one key, or those that KEK ids name."""

    label = KmsService.GCP.value
    remote = True
    batch = 1
    several = False

    def __init__(self, address: Address) -> None:
        address.only("endpoint")
        self._key = address.place.strip("/")
        if self._key and not KEY.fullmatch(self._key):
            raise UsageError(f"{address.option} needs projects/P/locations/L/keyRings/R/cryptoKeys/K, or nothing")
        self._endpoint = address.url(address.one("endpoint") or ENDPOINT).rstrip("/")
        self._auth, self._requests, self._failures = need(
            address, EXTRA, "google.auth", "google.auth.transport.requests", "requests.exceptions"
        )
        need(address, EXTRA, "google.auth.exceptions")
        self._session: Any = None
        self._who = ""
        self._states: dict[str, str] = {}
        self._lock = threading.Lock()

    def key(self, wrapped: WrappedKey) -> str:
        match = GCP_VERSION.fullmatch(wrapped.key_id)
        own = match[1] if match else ""
        if not self._key and not KEY.fullmatch(own):
            raise KmsUntried(f"neither --kms nor the evidence names a key of {self.label}: write gcp:projects/...")
        return shown(self._key or own)

    def principal(self) -> str:
        if self._session is None:
            failure = self._auth.exceptions.GoogleAuthError
            try:
                credentials, _ = self._auth.default(scopes=SCOPES)
            except failure as error:
                raise KmsUntried(f"{self.label}: no credentials were found ({type(error).__name__})") from None
            self._session = _session(self._requests.AuthorizedSession(credentials))
            self._who = str(getattr(credentials, "service_account_email", "") or "")
        return shown(self._who)

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        self.principal()
        return [self._decrypt(wrapped) for wrapped in keys]

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _decrypt(self, wrapped: WrappedKey) -> Answer | KmsError:
        document, state = self._call(self.key(wrapped), wrapped.wrapped)
        if document is not None:
            try:
                plaintext = base64.b64decode(document.get("plaintext", ""), validate=True)
            except (binascii.Error, ValueError, TypeError):
                return KmsMismatch(f"{self.label}: the answer is no data key")
            # a field that is false is left out of the JSON
            primary = document.get("usedPrimary") is True
            current = primary if primary or "protectionLevel" in document else None
            version = {True: ", its primary version", False: ", another than its primary version", None: ""}[current]
            return Answer(plaintext, f"{self.key(wrapped)}{version}", current)
        name = state if _CODE.fullmatch(state) else "with no code of Google's"
        kind, reason = _STATES.get(state, (KmsUntried, f"decrypt fails ({name})"))
        if state == _PRECONDITION:
            reason = self._state(wrapped) or reason
        return kind(f"{self.label}: {reason}")

    def _state(self, wrapped: WrappedKey) -> str:
        """What the service says of the version that a KEK id names, asked once; empty where it is not allowed."""
        match = GCP_VERSION.fullmatch(wrapped.key_id)
        name = f"{self.key(wrapped)}/cryptoKeyVersions/{match[3]}" if match else ""
        with self._lock:
            if name and name not in self._states:
                document, _ = self._request("get", f"{self._endpoint}/v1/{name}")
                state, until = (str((document or {}).get(member, "")) for member in ("state", "destroyTime"))
                until = until if _TIME.fullmatch(until) else "the time of its destruction"
                self._states[name] = _VERSION_STATES.get(state, "").format(until=until)
            return self._states.get(name, "")

    def _call(self, key: str, wrapped: bytes) -> tuple[dict[str, Any] | None, str]:
        """The answer and the code of a decryption; None where it failed."""
        body = {"ciphertext": base64.b64encode(wrapped).decode()}
        return self._request("post", f"{self._endpoint}/v1/{key}:decrypt", body)

    def _request(self, method: str, url: str, body: Any = None) -> tuple[dict[str, Any] | None, str]:
        """The answer and the code of a call; None where it failed. No text of the service or a library leaves."""
        failures = (self._failures.RequestException, self._auth.exceptions.GoogleAuthError)
        try:
            answer = self._session.request(method, url, json=body, timeout=TIMEOUT, allow_redirects=False)
            document = answer.json()
        except failures as error:
            return None, type(error).__name__
        except ValueError:
            return None, f"HTTP {answer.status_code}"
        if not isinstance(document, dict):
            return None, f"HTTP {answer.status_code}"
        if answer.status_code == 200:
            return document, ""
        status = document.get("error")
        state = str(status.get("status") or "") if isinstance(status, dict) else ""
        return None, state or _HTTP.get(answer.status_code, f"HTTP {answer.status_code}")


def connect(address: Address) -> Gcp:
    return Gcp(address)


def _session(session: Any) -> Any:
    """A session that waits as long as a throttling service asks it to."""
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(total=4, status_forcelist=(429, 503), allowed_methods=None, backoff_factor=0.5, raise_on_status=False)
    session.mount("https://", HTTPAdapter(max_retries=retry.new(connect=0, read=0, redirect=0), pool_maxsize=16))
    return session
