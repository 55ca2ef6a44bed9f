"""Until when what authenticates in a Secret is valid, by what its data states of itself.

Sources: RFC 7519 (JWT), RFC 5280 4.1.2.5 (a notAfter that states no end), RFC 7468 (PEM); k8s.io/client-go
tools/clientcmd/api/v1 types.go (AuthInfo), k8s.io/cluster-bootstrap token/api types.go (bootstrap tokens).

A day leaves this module, and no other byte of a value: serial numbers, subjects and names of a certificate stay inside.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.kubernetes.trees import seconds
from auditor.text import YEAR_10000, moment

if TYPE_CHECKING:
    from auditor.kubernetes.certificates import Pairs

NONE_STATED = "none stated"
"""`valid_until` where a part that is not public states no end."""
UNKNOWN = "unknown"
"""`valid_until` where the data was not read."""
NOTHING = ""
"""`valid_until` where nothing authenticates."""
PUBLIC = frozenset({b"ca.crt", b"namespace"})
"""Names of data that are public, whatever they hold."""
BOOTSTRAP = b"bootstrap.kubernetes.io/token"
"""Type of a bootstrap token's Secret."""
_BOOTSTRAP_DATA = re.compile(rb"token-id|token-secret|expiration|description|auth-extra-groups|usage-bootstrap-[a-z]+")
LARGEST_CONFIG = 1 << 18
"""Bytes of the largest kubeconfig that is read."""
_USER = frozenset({
    "client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "tokenFile",
    "as", "as-uid", "as-groups",
})  # fmt: skip
"""Fields of a kubeconfig's user that are understood; a password is not, as it states no end."""
_JWT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
_PEM = b"-----BEGIN "
_OPENING = re.compile(rb"\s*(?:eyJ|\x30)")
"""The beginning of a JWT, and of DER."""


class _NoEnd(Exception):
    """A part that is not public states no end."""


def valid_until(type_: bytes, data: Sequence[tuple[bytes, bytes]]) -> str:
    """The last day, in UTC, of what authenticates in a Secret; NONE_STATED where any such part states no end.

    NOTHING where there is no such part, as in a bundle of certificates. Never raises.

    Args:
        type_: of the Secret.
        data: names and bytes of its data.
    """
    if type_ != BOOTSTRAP and any(
        not _may_state(value) and name not in PUBLIC and not value.isspace() for name, value in data if value
    ):
        return NONE_STATED  # most Secrets: a password, which nothing below understands
    try:
        ends = _bootstrap_ends(data) if type_ == BOOTSTRAP else _ends(data)
    except (_NoEnd, RecursionError):
        return NONE_STATED
    return moment(max(ends))[:10] if ends else NOTHING


def _may_state(value: bytes) -> bool:
    """Whether a value has what every one has that states an end: it is PEM, a JWT, DER or a kubeconfig."""
    return _PEM in value or b"Config" in value or _OPENING.match(value) is not None


def _ends(data: Sequence[tuple[bytes, bytes]]) -> list[int]:
    """The end of every part that authenticates. Raises _NoEnd."""
    ends: list[int] = []
    pairs: Pairs | None = None
    for name, value in data:
        text = value.strip()
        if not text or (name in PUBLIC and b"PRIVATE KEY" not in text):
            continue
        if _PEM in text and not _is_config(text):
            pairs = pairs or _pairs()
            if not pairs.add_pem(text):
                raise _NoEnd
        elif text[:1] == b"\x30" and (pairs := pairs or _pairs()).add_der(value):
            continue
        elif _is_config(text):
            ends.extend(_config_ends(text))
        else:
            ends.append(_token_end(text))
    return [*ends, *_pair_ends(pairs)]


def _pairs() -> "Pairs":
    from auditor.kubernetes.certificates import Pairs  # the library of certificates waits for the first of them

    return Pairs()


def _pair_ends(pairs: "Pairs | None") -> list[int]:
    """The ends of certificates with their private keys. Raises _NoEnd where a key has none."""
    ends = pairs.ends() if pairs is not None else []
    if ends is None:
        raise _NoEnd
    return [_bounded(end) for end in ends]


def _bounded(end: float) -> int:
    """An end before that of the calendar, which states none (RFC 5280). Raises _NoEnd."""
    if not 0 <= end < YEAR_10000 - 1:
        raise _NoEnd
    return int(end)


def _token_end(text: bytes) -> int:
    """The `exp` of a JSON Web Token. Raises _NoEnd for any other text."""
    match = _JWT.fullmatch(text)
    if match is None:
        raise _NoEnd
    header, claims = (_json(part) for part in match.groups())
    end = claims.get("exp")
    if "alg" not in header or isinstance(end, bool) or not isinstance(end, int | float) or end != end:  # noqa: PLR0124
        raise _NoEnd
    return _bounded(end)


def _json(part: bytes) -> Mapping[str, Any]:
    """The object in one part of a JWT; empty for anything else."""
    try:
        tree = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _bootstrap_ends(data: Sequence[tuple[bytes, bytes]]) -> list[int]:
    """The `expiration` of a bootstrap token. Raises _NoEnd."""
    named = dict(data)
    end = seconds(named.get(b"expiration"))
    if end is None or not all(_BOOTSTRAP_DATA.fullmatch(name) for name in named):
        raise _NoEnd
    return [_bounded(end)]


def _is_config(text: bytes) -> bool:
    """Whether a text may be a kubeconfig, be it YAML or JSON."""
    return b"Config" in text and b"kind" in text and b"users" in text


def _config_ends(text: bytes) -> Iterator[int]:
    """The end of every user of a kubeconfig. Raises _NoEnd."""
    import yaml

    try:
        if len(text) > LARGEST_CONFIG:
            raise _NoEnd
        # only texts, lists and objects, by the parser that is written in Python: nesting cannot overflow its stack
        tree = yaml.load(text.decode(), Loader=yaml.BaseLoader)  # noqa: S506
        users = tree["users"] if tree["kind"] == "Config" else None
        if not isinstance(users, list):
            raise _NoEnd
        for entry in users:
            yield from _user_ends(entry["user"])
    except (yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError, AttributeError):
        raise _NoEnd from None


def _user_ends(user: Mapping[str, Any]) -> Iterator[int]:
    """The ends of a kubeconfig user's credentials. Raises _NoEnd."""
    if user.keys() - _USER and any(user[name] for name in user.keys() - _USER):
        raise _NoEnd
    if token := user.get("token"):
        yield _token_end(token.encode().strip())
    if key := user.get("client-key-data"):
        pairs = _pairs()
        for text in (key, user.get("client-certificate-data") or ""):
            try:
                pem = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise _NoEnd from None
            if text and not pairs.add_pem(pem.strip()):
                raise _NoEnd
        yield from _pair_ends(pairs)
