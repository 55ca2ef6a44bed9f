"""How to reach a live etcd: its endpoints, and the credentials of both sides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from auditor.errors import UsageError
from auditor.evidence.discovery.remote import is_remote

SOCKETS = {"unix://": False, "unixs://": True}
"""URL schemes of Unix sockets, and whether TLS is spoken there (etcd client/pkg/transport/unix_listener.go)."""
SCHEMES = ("http://", "https://", *SOCKETS)
PORT = 2379
TIMEOUT = 30.0
"""Seconds between two messages of a member at most."""


class Endpoint(NamedTuple):
    """One client URL of a member."""

    secure: bool
    host: str
    """Without the brackets of IPv6; empty for a Unix socket."""
    port: int
    socket: str = ""
    """The path of a Unix socket."""

    @property
    def url(self) -> str:
        if self.socket:
            return f"{'unixs' if self.secure else 'unix'}://{self.socket}"
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        """The endpoint as gRPC names it."""
        if self.socket:
            return f"unix:{self.socket}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Access:
    """The endpoints of one cluster, and the credentials for them."""

    endpoints: tuple[Endpoint, ...]
    """In the order in which they are tried."""
    cacert: str = ""
    """PEM file of the authorities that an https endpoint is checked against; the system's own where empty."""
    cert: str = ""
    """PEM file of the client's certificate."""
    key: str = ""
    """PEM file of the certificate's key."""
    server_name: str = ""
    """The name in the members' certificates, where it is not the endpoint's host."""
    user: str = ""
    """User of etcd's own authentication."""
    password: str = field(default="", repr=False)
    """The user's password."""
    timeout: float = TIMEOUT
    """Seconds without a message at most."""

    @property
    def name(self) -> str:
        return ",".join(endpoint.url for endpoint in self.endpoints)

    @property
    def exposed(self) -> bool:
        """Whether values and the password cross a network in clear."""
        return any(not (endpoint.secure or endpoint.socket or _loopback(endpoint.host)) for endpoint in self.endpoints)

    def check(self) -> None:
        """Raises UsageError where fields are missing or contradict each other."""
        if bool(self.cert) != bool(self.key):
            raise UsageError("--cert and --key belong together: give both or neither")
        secure = {endpoint.secure for endpoint in self.endpoints}
        if len(secure) > 1:
            raise UsageError("some endpoints are https and some http: give those of one kind")
        if secure == {False} and (self.cacert or self.cert or self.server_name):
            raise UsageError(
                "certificates are for https:// endpoints, and these are http://: leave --cacert and the rest out"
            )
        if self.user and not self.password:
            raise UsageError(f"user {shown(self.user)} has no password: give --password-file")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_endpoint(text: str) -> bool:
    """Whether the command's EVIDENCE is a live etcd: a URL without a path; an object behind a server has one."""
    return text.lower().startswith(SCHEMES) and not is_remote(text)


def endpoints(texts: Sequence[str], *, secure: bool | None = None) -> tuple[Endpoint, ...]:
    """The endpoints of URLs, of which one text may hold several with commas between them. Raises UsageError.

    secure: whether a URL without a scheme is https; None refuses it.
    """
    urls = [url.strip() for text in texts for url in text.split(",")]
    if not any(urls):
        raise UsageError("no endpoint is named")
    return tuple(dict.fromkeys(_endpoint(url, secure) for url in urls if url))


def _endpoint(text: str, secure: bool | None) -> Endpoint:
    for scheme, tls in SOCKETS.items():
        if text.lower().startswith(scheme):
            path = text[len(scheme) :]
            if not path or "\0" in path:
                raise UsageError(f"{shown(text)} is no endpoint: write {scheme}/PATH/OF/SOCKET")
            return Endpoint(tls, "", 0, path)
    if not is_endpoint(text) and secure is not None and "://" not in text:
        text = f"{'https' if secure else 'http'}://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, SplitResult("", "", "", "", "")
    # the text before the host is not repeated: it may be a password
    if parts.username is not None or parts.password is not None:
        raise UsageError("an endpoint must not hold a user or password: give --user and --password-file")
    if not host or not is_endpoint(text) or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{shown(text)} is no endpoint: write https://HOST:2379")
    return Endpoint(parts.scheme.lower() == "https", host, port or PORT)


def shown(text: str) -> str:
    """Text from a user or a server, printable."""
    from auditor import text as texts

    return texts.shown(text)
