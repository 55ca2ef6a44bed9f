"""Azure Key Vault and managed HSM, through Microsoft's client.

Source: Azure/kubernetes-kms pkg/plugin (keyvault.go, kms_v2_server.go): RSA1_5 for KMS v1, RSA-OAEP-256 for v2, whose
KEK id is the SHA-256 of the key's URL as the vault spells it.
"""

import base64
import binascii
import hashlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from auditor.encryption.kms.address import Address
from auditor.encryption.kms.identify import AZURE_ALGORITHM, AZURE_LENGTHS
from auditor.encryption.kms.interface import (
    Answer,
    KmsError,
    KmsMismatch,
    KmsOtherVersion,
    KmsThrottled,
    KmsUntried,
    WrappedKey,
)
from auditor.encryption.kms.services import need
from auditor.errors import UsageError
from auditor.model.kms import KmsService
from auditor.text import moment, shown

EXTRA = "azure"
DATA_KEY = 32
LIST_AGAIN = 60.0
"""Seconds after which versions are listed again for a KEK id that none of them has."""
AUTHORITIES = {
    ".vault.azure.cn": "login.chinacloudapi.cn",
    ".managedhsm.azure.cn": "login.chinacloudapi.cn",
    ".vault.usgovcloudapi.net": "login.microsoftonline.us",
    ".managedhsm.usgovcloudapi.net": "login.microsoftonline.us",
}
"""Hosts of the national clouds, and where one logs in there; else it is the public cloud's."""
FIRST, SECOND = "RSA1_5", "RSA-OAEP-256"
"""Algorithms of KMS v1 and v2: an annotation that names another is not obeyed."""
_DELETED = "there is no such key or version: where it was deleted, an administrator can recover it until its purge date"
_INNER = {
    "KeyDisabled": "the key's version is disabled: an administrator can enable it, and nothing is lost",
    "ForbiddenByFirewall": "the vault's firewall does not let this machine in",
    "ForbiddenByConnection": "the vault takes calls of a private network alone",
}
_STATUS: dict[int, tuple[type[KmsError], str]] = {
    **dict.fromkeys((301, 302, 307, 308), (KmsUntried, "the vault refers to another host, which is not called")),
    400: (KmsMismatch, "another key wrapped it, or it is damaged"),
    401: (KmsUntried, "the credentials are not valid for this vault"),
    403: (KmsUntried, "denied: the permission keys/decrypt is needed on the key"),
    404: (KmsUntried, _DELETED),
    409: (KmsUntried, _DELETED),
    429: (KmsThrottled, "throttled: run again later, or with --kms-budget"),
}


class _Version(NamedTuple):
    """A version of a key."""

    kid: str
    """Its URL, as the vault spells it."""
    current: bool | None
    """Whether it is the newest of its key; None where that is not known."""
    created: float = 0
    """Time of its making in seconds; 0 where that is not known."""


class Azure:
    """A vault, a key in it, or one version of a key."""

    label = KmsService.AZURE.value
    remote = True
    batch = 1

    def __init__(self, address: Address) -> None:
        address.only()
        parts = urlsplit(address.url(address.place))
        path = [part for part in parts.path.split("/") if part]
        if parts.scheme != "https" or (path and (path[0] != "keys" or len(path) not in {2, 3})):
            raise UsageError(f"{address.option} needs https://VAULT.vault.azure.net[/keys/NAME[/VERSION]]")
        self._vault = f"https://{parts.netloc}"
        self._name, self._version = (*path[1:], "", "")[:2]
        self.several = not self._version
        self._who = f"{self.label} at {shown(parts.netloc)}"
        self._identity, self._keys, self._crypto, self._errors = need(
            address,
            EXTRA,
            "azure.identity",
            "azure.keyvault.keys",
            "azure.keyvault.keys.crypto",
            "azure.core.exceptions",
        )
        self._lock = threading.Lock()
        self._credential: Any = None
        self._clients: dict[str, Any] = {}
        self._versions: dict[str, _Version] | KmsError | None = None
        self._listed_at = 0.0
        self._left: dict[WrappedKey, list[_Version]] = {}
        self._untried: dict[WrappedKey, KmsError] = {}
        self._last = ""
        self._purges: dict[str, str] = {}

    def key(self, wrapped: WrappedKey) -> str:
        text = wrapped.wrapped
        if len(text) not in AZURE_LENGTHS or not text.isascii():
            raise KmsMismatch(f"it is no ciphertext of {self.label}")
        algorithm = dict(wrapped.annotations).get(AZURE_ALGORITHM)
        if wrapped.key_id and algorithm not in {None, SECOND.encode()}:
            raise KmsMismatch("its annotations name an algorithm that the plugin does not use")
        return shown("/".join(part for part in (self._vault, "keys", self._name, self._version) if part))

    def principal(self) -> str:
        # the vault does not say; its log has the application's id
        return shown(f"client {os.environ['AZURE_CLIENT_ID']}") if os.environ.get("AZURE_CLIENT_ID") else ""

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        return [self._decrypt(wrapped) for wrapped in keys]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _decrypt(self, wrapped: WrappedKey) -> Answer | KmsError:
        choice = self._choose(wrapped)
        if isinstance(choice, KmsError):
            return choice
        if isinstance(choice, _Version):
            return self._ask(choice, wrapped)
        version = choice.pop(0)
        answer = self._ask(version, wrapped)
        if isinstance(answer, KmsThrottled):
            choice.insert(0, version)
            return answer
        if isinstance(answer, KmsUntried):
            self._untried[wrapped] = answer  # of the version that may have wrapped it
        none = KmsMismatch(f"{self._who}: no version of the key unwraps it")
        otherwise = KmsOtherVersion(str(none)) if choice else self._untried.get(wrapped, none)
        if isinstance(answer, Answer):  # of random bytes, too: RSA1_5 under another key may answer so
            self._last = version.kid if len(answer.plaintext) == DATA_KEY else self._last
            return replace(answer, otherwise=otherwise)
        return otherwise

    def _ask(self, version: _Version, wrapped: WrappedKey) -> Answer | KmsError:
        """The answer of one version of a key."""
        text = wrapped.wrapped.decode()
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            return KmsMismatch(f"it is no ciphertext of {self.label}")
        requests: list[str] = []
        outcome = self._call(version.kid, SECOND if wrapped.key_id else FIRST, raw, requests)
        if isinstance(outcome, KmsError):
            return outcome
        plaintext, kid = outcome
        key = shown(kid) if kid.startswith(f"{self._vault}/keys/") else ""
        return Answer(plaintext, key, version.current, shown(requests[-1]) if requests else "")

    def _choose(self, wrapped: WrappedKey) -> _Version | list[_Version] | KmsError:
        """The version to call: that of the URL, of the KEK id's hash, or the only one; else those left to try."""
        if self._version:
            return _Version(f"{self._vault}/keys/{self._name}/{self._version}", None)
        with self._lock:
            listed = self._versions
            if listed is None or (
                # made since: in a watch, which lasts
                isinstance(listed, dict)
                and wrapped.key_id not in {"", *listed}
                and time.monotonic() > self._listed_at + LIST_AGAIN
            ):
                self._versions = listed = self._listed()
                self._listed_at = time.monotonic()
            if isinstance(listed, KmsError):
                return listed
            if wrapped.key_id:
                version = listed.get(wrapped.key_id)
                return version or KmsMismatch(f"{self._who}: its KEK id is the hash of no key's URL there")
            if len(listed) == 1:
                return next(iter(listed.values()))
            if not self._name or not listed:
                return KmsUntried(f"{self._who}: KMS v1 names no key, and there is not one alone: write /keys/NAME")
            # that which unwrapped the last one first, then from the newest
            order = sorted(listed.values(), key=lambda version: (version.kid != self._last, -version.created))
            return self._left.setdefault(wrapped, order)

    def _listed(self) -> dict[str, _Version] | KmsError:
        """The versions of the key, or of every key, by the hash of their URLs."""
        versions: dict[str, _Version] = {}
        try:
            with self._keys.KeyClient(self._vault, self._token(), permit_redirects=False) as client:
                names = [self._name] if self._name else [each.name for each in client.list_properties_of_keys()]
                for name in names:
                    own = list(client.list_properties_of_key_versions(name))
                    newest = max((each.created_on for each in own if each.created_on), default=None)
                    for each in own:
                        versions[key_hash(str(each.id))] = _Version(
                            str(each.id), None if newest is None else each.created_on == newest
                        )
        except (self._errors.AzureError, ValueError) as error:
            failure = self._failed(error)
            return KmsUntried(f"{failure}; listing versions needs keys/list, or write /keys/NAME/VERSION")
        foreign = [version for version in versions.values() if not version.kid.startswith(f"{self._vault}/")]
        if foreign:  # the client would call where the answer leads
            return KmsUntried(f"{self._who} names keys of another host")
        return versions

    def _call(self, kid: str, algorithm: str, raw: bytes, requests: list[str]) -> tuple[bytes, str] | KmsError:
        """Plaintext and key of the answer; an error where there is none. No text of the vault or the client leaves."""

        def note(response: Any) -> None:
            requests.append(str(response.http_response.headers.get("x-ms-request-id", "")))

        try:
            answer = self._client(kid).decrypt(algorithm, raw, raw_response_hook=note)
        except (self._errors.AzureError, ValueError) as error:
            failure = self._failed(error)
            if getattr(error, "status_code", None) in {404, 409} and (until := self._deleted(kid)):
                return KmsUntried(
                    f"{self._who}: the key is deleted: until {until} an administrator can recover it, and from then on "
                    "the data is lost"
                )
            return failure
        return bytes(answer.plaintext), str(answer.key_id)

    def _client(self, kid: str) -> Any:
        with self._lock:
            if kid not in self._clients:
                self._clients[kid] = self._crypto.CryptographyClient(kid, self._token(), permit_redirects=False)
            return self._clients[kid]

    def _token(self) -> Any:
        if self._credential is None:
            self._credential = self._identity.DefaultAzureCredential(**self._authority())
        return self._credential

    def _authority(self) -> dict[str, str]:
        """Where the vault's own cloud lets one log in, unless the environment says it."""
        host = urlsplit(self._vault).hostname or ""
        cloud = next((login for suffix, login in AUTHORITIES.items() if host.endswith(suffix)), "")
        return {"authority": cloud} if cloud and not os.environ.get("AZURE_AUTHORITY_HOST") else {}

    def _deleted(self, kid: str) -> str:
        """Until when a deleted key can be recovered, asked once for each; empty where that is not said."""
        name = urlsplit(kid).path.split("/")[2:3]
        with self._lock:
            if kid not in self._purges:
                self._purges[kid] = ""
                try:
                    with self._keys.KeyClient(self._vault, self._token(), permit_redirects=False) as client:
                        date = client.get_deleted_key(name[0]).scheduled_purge_date
                    if date is not None:
                        self._purges[kid] = moment(date.timestamp())
                except (self._errors.AzureError, ValueError, IndexError):
                    pass
            return self._purges[kid]

    def _failed(self, error: Exception) -> KmsError:
        """The error for what the client raises, none of whose text is quoted."""
        status = getattr(error, "status_code", None)
        inner = getattr(getattr(error, "error", None), "innererror", None)
        code = inner.get("code") if isinstance(inner, dict) else getattr(inner, "code", None)
        if code in _INNER:
            return KmsUntried(f"{self._who}: {_INNER[code]}")
        if status in _STATUS:
            kind, reason = _STATUS[status]
            return kind(f"{self._who}: {reason}")
        if isinstance(error, self._errors.ClientAuthenticationError):
            return KmsUntried(f"{self._who}: no credentials were found, or they are not valid")
        if isinstance(status, int):
            return KmsUntried(f"{self._who} fails (HTTP {status}): run again later")
        return KmsUntried(f"{self._who} does not answer ({type(error).__name__}): check address and network")


def connect(address: Address) -> Azure:
    return Azure(address)


def key_hash(url: str) -> str:
    """The KEK id that the plugin makes of the URL of a key's version, as the vault spells it."""
    return hashlib.sha256(url.encode()).hexdigest()
