"""KMS plugins by the command lines of their containers: what --kms would need, and credentials that stand there.

What they say is a suggestion for a reader. Nothing here is called, or used without being given on the command line.
Sources: kubernetes-sigs/aws-encryption-provider cmd/server; GoogleCloudPlatform/k8s-cloudkms-plugin cmd/; Azure/
kubernetes-kms cmd/server; FalcoSuessgott/vault-kubernetes-kms cmd/plugin.go (flags, and the environment behind the
prefix VAULT_KMS_); openshift/library-go (vault-kube-kms: -vault-key-path); ThalesGroup/k8s-kms-plugin (--p11-*).
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from auditor.kubernetes.pod_containers import Container
from auditor.model.kms import KmsService

FLAGS = frozenset({"token", "vault-token", "approle-secret-id", "userpass-password", "p11-pin", "pin"})
"""Arguments whose value is a credential."""
VARIABLES = re.compile(
    r"(?:AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|AZURE_CLIENT_SECRET|AZURE_CLIENT_CERTIFICATE_PASSWORD"
    r"|(?:VAULT_KMS_|VAULT_|BAO_)(?:[A-Z0-9_]*_)?(?:TOKEN|SECRET_ID|PASSWORD)|(?:[A-Z0-9]+_)*P11_PIN)"
)
"""Variables whose value is a credential."""
_ELSEWHERE = re.compile(r"\$\(?\{?[A-Za-z_][A-Za-z0-9_]*\}?\)?")
"""A value that is taken from another variable."""
_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]*:[A-Za-z0-9/_-]+")
_KEY = re.compile(r"projects/[A-Za-z0-9_.:~-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+")
_AZURE_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_PATH = re.compile(r"[A-Za-z0-9_./-]{1,256}")
_HOST = re.compile(r"[A-Za-z0-9.\[\]:-]{1,262}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class Credential(NamedTuple):
    """A credential in a container."""

    where: str
    """The argument or variable, of the lists of this module."""
    text: str
    """Must never be written."""

    def __repr__(self) -> str:
        return "Credential(...)"


class PluginContainer(NamedTuple):
    """A container that runs a KMS plugin."""

    service: KmsService
    urls: tuple[str, ...]
    """What would stand after NAME= of --kms, safe to print; none where it does not say enough."""
    credentials: tuple[Credential, ...]


def recognise(container: Container) -> PluginContainer | None:
    """The KMS plugin that a container runs; None where it runs none that is known."""
    flags = _flags(container.words)
    variables = {name: value for name, value in container.environment if value}
    program = " ".join((container.image.rpartition("/")[2], *container.words[:1]))
    for service, of, suggest in _PLUGINS:
        if of(flags, variables, program):
            urls = tuple(dict.fromkeys(suggest(flags, variables)))
            return PluginContainer(service, urls, tuple(_credentials(flags, variables)))
    return None


_Flags = dict[str, list[str]]
_Variables = dict[str, str]


def _flags(words: tuple[str, ...]) -> _Flags:
    """The values of each flag, with one dash or two; a command line may also be one text for a shell."""
    parts = [part.strip("'\"") for word in words for part in word.split()]
    flags: _Flags = {}
    for number, part in enumerate(parts):
        if not part.startswith("-"):
            continue
        name, equals, value = part.lstrip("-").partition("=")
        if not equals and number + 1 < len(parts) and not parts[number + 1].startswith("-"):
            value = parts[number + 1]
        flags.setdefault(name, []).append(value.strip("'\""))
    return flags


def _credentials(flags: _Flags, variables: _Variables) -> Iterator[Credential]:
    for name in sorted(FLAGS & flags.keys()):
        yield from (Credential(f"the argument -{name}", value) for value in flags[name] if _stands(value))
    for name, value in variables.items():
        if VARIABLES.fullmatch(name) and _stands(value):
            yield Credential(f"the variable {name}", value)


def _stands(value: str) -> bool:
    return bool(value) and not _ELSEWHERE.fullmatch(value)


def _is_aws(flags: _Flags, variables: _Variables, program: str) -> bool:  # noqa: ARG001
    return "aws-encryption-provider" in program or any(map(_ARN.fullmatch, flags.get("key", ())))


def _aws(flags: _Flags, variables: _Variables) -> Iterator[str]:
    """A URL for each key: the n-th encryption context is of the n-th key, or one of all keys."""
    contexts = flags.get("encryption-context", [])
    for number, key in enumerate(flags.get("key", [""])):
        arn = _ARN.fullmatch(key)
        region = arn[1] if arn else next(iter(flags.get("region", [])), variables.get("AWS_REGION", ""))
        own = contexts[number] if number < len(contexts) else contexts[0] if len(contexts) == 1 else ""
        pairs = [entry.partition("=") for entry in own.split(",") if "=" in entry]
        query = "&".join(f"context={quote(name, safe='')}:{quote(value, safe='')}" for name, _, value in pairs)
        if _REGION.fullmatch(region):
            yield f"aws:{region}{'?' * bool(query)}{query}"


def _is_gcp(flags: _Flags, variables: _Variables, program: str) -> bool:  # noqa: ARG001
    return "key-uri" in flags


def _gcp(flags: _Flags, variables: _Variables) -> Iterator[str]:  # noqa: ARG001
    yield from (f"gcp:{key}" for key in flags["key-uri"] if _KEY.fullmatch(key))


def _is_azure(flags: _Flags, variables: _Variables, program: str) -> bool:  # noqa: ARG001
    return "keyvault-name" in flags


def _azure(flags: _Flags, variables: _Variables) -> Iterator[str]:  # noqa: ARG001
    vault, name, version = (
        next(iter(flags.get(each, [])), "") for each in ("keyvault-name", "key-name", "key-version")
    )
    module = next(iter(flags.get("managed-hsm", [])), "false").lower() in {"", "true", "1", "t"}
    parts = [part for part in (name, version) if part]
    if name and all(map(_AZURE_NAME.fullmatch, (vault, *parts))):
        suffix = "managedhsm.azure.net" if module else "vault.azure.net"
        yield f"azure:https://{vault}.{suffix}/keys/{'/'.join(parts)}"


def _is_vault(flags: _Flags, variables: _Variables, program: str) -> bool:
    names = {"vault-address", "vault-key-path", "vault-transit-key", "transit-key"}
    return bool(names & flags.keys()) or "VAULT_KMS_VAULT_ADDR" in variables or "vault-kubernetes-kms" in program


def _vault(flags: _Flags, variables: _Variables) -> Iterator[str]:
    def one(default: str, variable: str, *names: str) -> str:
        given = [value for name in names for value in flags.get(name, []) if value]
        return given[0] if given else variables.get(f"VAULT_KMS_{variable}", "") or default

    address = one(variables.get("VAULT_ADDR", ""), "VAULT_ADDR", "vault-address")
    mount = one("transit", "VAULT_TRANSIT_MOUNT", "transit-mount", "vault-transit-mount").strip("/")
    key = one("kms", "VAULT_TRANSIT_KEY", "transit-key", "vault-transit-key")
    path = next(iter(flags.get("vault-key-path", [])), "")
    if "/keys/" in path:
        mount, _, key = path.strip("/").partition("/keys/")
    namespace = one(variables.get("VAULT_NAMESPACE", ""), "VAULT_NAMESPACE", "vault-namespace")
    try:
        parts = urlsplit(address)
        host = parts.netloc if parts.scheme in {"http", "https"} else ""
    except ValueError:
        host = ""
    if _HOST.fullmatch(host) and _PATH.fullmatch(f"{mount}/{key}"):
        query = f"?namespace={quote(namespace, safe='/')}" if namespace else ""
        yield f"vault:{parts.scheme}://{host}/{mount}/{key}{query}"


def _is_token(flags: _Flags, variables: _Variables, program: str) -> bool:  # noqa: ARG001
    return "p11-lib" in flags


def _token(flags: _Flags, variables: _Variables) -> Iterator[str]:  # noqa: ARG001
    library, label, key = (
        next(iter(value for name in names for value in flags.get(name, []) if value), "")
        for names in (("p11-lib",), ("p11-label", "p11-token"), ("p11-key-label", "kek-label"))
    )
    if _PATH.fullmatch(library):
        pairs = [(name, value) for name, value in (("token", label), ("key", key)) if value]
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
        yield f"pkcs11:{library}{'?' * bool(query)}{query}"


_PLUGINS: tuple[
    tuple[
        KmsService,
        Callable[[_Flags, _Variables, str], bool],
        Callable[[_Flags, _Variables], Iterator[str]],
    ],
    ...,
] = (
    (KmsService.GCP, _is_gcp, _gcp),
    (KmsService.AZURE, _is_azure, _azure),
    (KmsService.TRANSIT, _is_vault, _vault),
    (KmsService.AES_GCM, _is_token, _token),
    (KmsService.AWS, _is_aws, _aws),
)
"""Service, whether a container runs its plugin, and the URLs of it."""
