"""The options of a live etcd, on the command line and in etcdctl's own variables.

A password is never taken from the command line, where every user of the machine could read it.
"""

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor import inputs
from auditor.errors import UsageError
from auditor.evidence.discovery.remote import is_bare
from auditor.evidence.live.access import TIMEOUT, Access, endpoints, is_endpoint

ENDPOINTS = "ETCDCTL_ENDPOINTS"
PANEL = "Live etcd"

More = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        help="Another endpoint of the same cluster, for when the first fails; repeatable.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
CaCert = Annotated[
    Path | None,
    typer.Option(
        help="PEM: who may have signed the server's certificate [ETCDCTL_CACERT].",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Cert = Annotated[
    Path | None,
    typer.Option(help="PEM: the client's certificate [ETCDCTL_CERT].", show_default=False, rich_help_panel=PANEL),
]
Key = Annotated[
    Path | None,
    typer.Option(help="PEM: its key [ETCDCTL_KEY].", show_default=False, rich_help_panel=PANEL),
]
ServerName = Annotated[
    str,
    typer.Option(
        help="The name in the server's certificate, where it is not the host's.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
User = Annotated[
    str,
    typer.Option(
        help="etcd user; the password comes from --password-file, ETCDCTL_PASSWORD or a prompt [ETCDCTL_USER].",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File whose first line is the password.", show_default=False, rich_help_panel=PANEL),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Seconds without a message after which an endpoint counts as gone; 30 when left out.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """The options of a live etcd on the command line."""

    more: Sequence[str] = ()
    """Endpoints besides the evidence itself."""
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str = ""
    user: str = ""
    password_file: Path | None = None
    timeout: float | None = None

    @property
    def anything(self) -> bool:
        """Whether any of them is given."""
        return self != LiveOptions()


NOT_LIVE = LiveOptions()
_TYPES = {
    "more": More,
    "cacert": CaCert,
    "cert": Cert,
    "key": Key,
    "server_name": ServerName,
    "user": User,
    "password_file": PasswordFile,
    "timeout": Timeout,
}
"""typer's annotation of each field of LiveOptions."""


def live_options(command: Callable[..., None]) -> Callable[..., None]:
    """A decorator: the parameter `live` of a command becomes the options of a live etcd in its signature, for typer."""
    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "live":
            parameters += [
                parameter.replace(name=field.name, default=field.default, annotation=_TYPES[field.name])
                for field in fields(LiveOptions)
            ]
        else:
            parameters.append(parameter)

    @wraps(command)
    def with_live(**values: Any) -> None:
        live = LiveOptions(**{name: values.pop(name) for name in _TYPES})
        command(**values, live=replace(live, more=tuple(live.more or ())))

    with_live.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_live.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_live


def access(evidence: str, live: LiveOptions, environment: Mapping[str, str] = os.environ) -> Access | None:
    """How to reach the evidence, or None where it is a file. May prompt for the password.

    Args:
        evidence: The argument of the command line.
        live: The options of a live etcd.
        environment: The environment variables, which hold etcdctl's own.

    Raises:
        UsageError: The options contradict each other, or the evidence.
    """
    if not is_live(evidence, environment):
        if live.anything:
            raise UsageError(f"{evidence} is no endpoint: options of a live etcd need https://HOST:2379")
        return None
    cacert, cert, key = (
        str(path) if path else environment.get(name, "")
        for path, name in ((live.cacert, "ETCDCTL_CACERT"), (live.cert, "ETCDCTL_CERT"), (live.key, "ETCDCTL_KEY"))
    )
    servers = endpoints([evidence, *live.more], secure=bool(cacert or cert))
    if not any(each.secure for each in servers) and not (live.cacert or live.cert or live.key):
        cacert = cert = key = ""  # meant for etcdctl, and of no use to these endpoints
    if environment.get("ETCDCTL_INSECURE_SKIP_TLS_VERIFY", "").lower() in {"1", "t", "true"}:
        sys.stderr.write("etcd-auditor: ETCDCTL_INSECURE_SKIP_TLS_VERIFY is not followed: certificates are checked\n")
    user, password = _credentials(live, environment)
    access = Access(
        servers,
        cacert=cacert,
        cert=cert,
        key=key,
        server_name=live.server_name,
        user=user,
        password=password,
        timeout=live.timeout or TIMEOUT,
    )
    access.check()
    return access


def accesses(
    evidence: Sequence[str], live: LiveOptions, environment: Mapping[str, str] = os.environ
) -> "tuple[Access | None, ...]":
    """access() of several arguments: the options are those of every endpoint among them; an empty text is none.

    Raises UsageError as access() does.
    """
    lives = [bool(each) and is_live(each, environment) for each in evidence]
    if sum(lives) > 1 and live.more:
        raise UsageError("--endpoint: it cannot be told of which of the two clusters it is; leave it out")
    options = [live if own or not any(lives) else LiveOptions(timeout=live.timeout) for own in lives]
    return tuple(access(each, own, environment) if each else None for each, own in zip(evidence, options, strict=True))


def files(live: LiveOptions, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The files that the options name: certificates, a key, a password. Reports are not written over them."""
    variables = (environment.get(name) for name in ("ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"))
    named = (live.cacert, live.cert, live.key, live.password_file)
    return [*(path for path in named if path is not None), *(Path(name) for name in variables if name)]


def none(evidence: Sequence[str], live: LiveOptions) -> None:
    """Refuse a live etcd among several exhibits. Raises UsageError."""
    if live.anything or any(map(is_live, evidence)):
        raise UsageError("a live etcd is scanned by itself: give its endpoint alone")


def is_live(evidence: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the evidence is a URL, or HOST:PORT without a scheme, as etcdctl takes it, and no file has that name."""
    bare = is_bare(evidence) or evidence == environment.get(ENDPOINTS)
    return is_endpoint(evidence) or (bare and not Path(evidence).exists())


def _credentials(live: LiveOptions, environment: Mapping[str, str]) -> tuple[str, str]:
    if ":" in live.user:
        raise UsageError(
            "--user takes a name only: a password on the command line can be read by others; give --password-file"
        )
    user, _, password = (live.user, "", "") if live.user else environment.get("ETCDCTL_USER", "").partition(":")
    if live.password_file is not None:
        if not user:
            raise UsageError("--password-file needs --user")
        return user, _first_line(live.password_file)
    password = password or environment.get("ETCDCTL_PASSWORD", "")
    if user and not password:
        password = _prompt(user)
    return user, password if user else ""


def _first_line(path: Path) -> str:
    try:
        text = inputs.read(path, inputs.LARGEST).decode("utf-8")
    except OSError as error:
        raise UsageError(f"--password-file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--password-file {path}: it is not UTF-8 text") from None
    line = text.partition("\n")[0].removesuffix("\r")
    if not line:
        raise UsageError(f"--password-file {path}: its first line is empty")
    return line


def _prompt(user: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"user {user} has no password: give --password-file, there is no terminal to ask on")
    from getpass import getpass

    return getpass(f"Password of {user}: ")
