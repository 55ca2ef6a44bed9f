"""How to reach a live etcd: its endpoints, and what proves who asks and who answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from auditor.errors import UsageError
from auditor.evidence.discovery.remote import is_remote

SCHEMES = ("http://", "https://")
PORT = 2379
TIMEOUT = 30.0
"""Seconds that may pass between two messages of a member."""


class Endpoint(NamedTuple):
    """One client URL of a member; host without the brackets of IPv6."""

    secure: bool
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Access:
    """endpoints: of one cluster, in the order in which they are tried.

    cacert, cert, key: PEM files; without cacert an https endpoint is checked against the system's authorities.
    server_name: the name in the members' certificates, where it is not the endpoint's host. user, password: of etcd's
    own authentication. timeout: seconds that may pass without a message.
    """

    endpoints: tuple[Endpoint, ...]
    cacert: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    timeout: float = TIMEOUT

    @property
    def name(self) -> str:
        return ",".join(each.url for each in self.endpoints)

    @property
    def exposed(self) -> bool:
        """Whether what is read, and the password, cross a network in clear."""
        return any(not each.secure and not _loopback(each.host) for each in self.endpoints)

    def check(self) -> None:
        """Raises UsageError where parts are missing or contradict each other."""
        if bool(self.cert) != bool(self.key):
            raise UsageError("--cert and --key belong together: give both or neither")
        secure = {each.secure for each in self.endpoints}
        if len(secure) > 1:
            raise UsageError("some endpoints are https and some http: give those of one kind")
        if secure == {False} and (self.cacert or self.cert or self.server_name):
            raise UsageError("certificates are for https:// endpoints, and these are http://")
        if self.user and not self.password:
            raise UsageError(f"user {shown(self.user)} has no password: give --password-file")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_endpoint(text: str) -> bool:
    """Whether the command's EVIDENCE is a live etcd: a URL without a path, which one object behind a server has."""
    return text.lower().startswith(SCHEMES) and not is_remote(text)


def endpoints(texts: Sequence[str], *, secure: bool | None = None) -> tuple[Endpoint, ...]:
    """URLs, several in one text parted by commas. secure: what those without a scheme are. Raises UsageError."""
    found = [_endpoint(each.strip(), secure) for text in texts for each in text.split(",") if each.strip()]
    if not found:
        raise UsageError("no endpoint is named")
    return tuple(dict.fromkeys(found))


def _endpoint(text: str, secure: bool | None) -> Endpoint:
    if not is_endpoint(text) and secure is not None and "://" not in text:
        text = f"{'https' if secure else 'http'}://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, SplitResult("", "", "", "", "")
    # whatever a user may have put before the host is not repeated: it could be a password
    if parts.username is not None or parts.password is not None:
        raise UsageError("an endpoint must not hold a user or password: give --user and --password-file")
    if not host or not is_endpoint(text) or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{shown(text)} is no endpoint: write https://HOST:2379")
    return Endpoint(parts.scheme.lower() == "https", host, port or PORT)


def shown(text: str) -> str:
    """Text from a user or a server as it may be printed."""
    from auditor import text as texts

    return texts.shown(text)
