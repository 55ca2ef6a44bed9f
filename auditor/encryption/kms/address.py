"""The URL of --kms: which service, where, and with which files. No credential stands in it."""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from auditor import inputs
from auditor.errors import UsageError
from auditor.text import shown

LARGEST = 1 << 16
"""Bytes of a file with a token, a PIN or a key."""
FILES = frozenset({"token-file", "secret-id-file", "pin-file", "ca"})
"""Parameters that name files."""
_OPTION = "--kms"
_PLACE = "/:@,;=+"
"""What stands for itself in a place."""


@dataclass(frozen=True, slots=True)
class Address:
    """NAME=SCHEME:PLACE?PARAMETERS."""

    name: str
    """Name of the KMS in the EncryptionConfiguration, or `*` for every one."""
    scheme: str
    """The service."""
    place: str
    """What stands between the scheme and the parameters."""
    parameters: tuple[tuple[str, str], ...]
    """Names and values, as they stand there."""

    @property
    def option(self) -> str:
        """The option in messages."""
        return f"{_OPTION} {shown(self.name)}={self.scheme}:"

    def only(self, *names: str) -> None:
        """Raises UsageError for a parameter that is not among these."""
        for name, _ in self.parameters:
            if name not in names:
                known = f"it takes {', '.join(names)}" if names else "it takes none"
                raise UsageError(f"{self.option} has no parameter {shown(name)}: {known}")

    def each(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return [value for own, value in self.parameters if own == name]

    def one(self, name: str) -> str:
        """The value of a parameter; empty where it is absent. Raises UsageError for several."""
        values = self.each(name)
        if len(values) > 1:
            raise UsageError(f"{self.option} has {name} {len(values)} times: give it once")
        return values[0] if values else ""

    def content(self, name: str) -> str:
        """The text of the file that a parameter names; empty where it is absent. Raises UsageError."""
        path = self.one(name)
        return self.read(path).decode("utf-8", "replace").strip() if path else ""

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises UsageError, which quotes nothing of it."""
        try:
            raw = inputs.read(Path(path), LARGEST)
        except OSError as error:
            raise UsageError(f"{self.option} {inputs.name(path)}: {error.strerror}") from None
        if len(raw) > LARGEST:
            raise UsageError(f"{self.option} {inputs.name(path)}: more than {LARGEST:,} bytes, which no key file has")
        return raw

    def url(self, text: str) -> str:
        """A URL to call, checked: https, or http to loopback, with neither user nor password. Raises UsageError."""
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host = ""
        if not host or parts.scheme not in {"https", "http"}:
            raise UsageError(f"{self.option} needs https://HOST, and {shown(text)} is none")
        if parts.username is not None or parts.password is not None:
            raise UsageError(f"{self.option} takes no credentials in the URL: name a file")
        if parts.scheme == "http" and not _loopback(host):
            raise UsageError(f"{self.option} takes http to this machine alone: write https://{shown(host)}")
        return text


def parse(text: str) -> Address:
    """An address of the command line. Raises UsageError."""
    name, equals, rest = text.partition("=")
    scheme, colon, place = rest.partition(":")
    if not (name and equals and scheme and colon):
        raise UsageError(f"{_OPTION} {shown(name)}: write NAME=URL, NAME as in the EncryptionConfiguration or *")
    place, _, query = place.partition("?")
    # a plus stands for itself: it is part of base64, and of paths
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    return Address(name, scheme, unquote(place), tuple(pairs))


def absolute(text: str) -> str:
    """The same address, with absolute paths: for another working directory. Raises UsageError."""
    address = parse(text)
    if not list(files([text])):
        return text
    place = str(Path(address.place).absolute()) if address.scheme == "file" else address.place
    pairs = [
        f"{name}={quote(str(Path(value).absolute()) if name in FILES and value else value)}"
        for name, value in address.parameters
    ]
    return f"{address.name}={address.scheme}:{quote(place, safe=_PLACE)}{'?' * bool(pairs)}{'&'.join(pairs)}"


def files(texts: Sequence[str]) -> Iterator[str]:
    """The files that addresses name."""
    for text in texts:
        address = parse(text)
        if address.scheme == "file":
            yield address.place
        yield from (value for name, value in address.parameters if name in FILES and value)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
