"""Classes of credentials, and how each is rotated: by a Secret's type, the names of its data and its labels.

Never by a value: the class of a Secret whose names say nothing is the last of all.
"""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple


class CredentialClass(NamedTuple):
    """A class of credentials."""

    name: str
    order: int
    """1 for what makes others worthless, 2 for tokens that may do anything, 3 for what other systems take, 4 else."""
    rotate: str
    """How it is rotated."""
    revoke: bool = False
    """Whether a new one leaves the old one valid, so that the issuer, or a delete, must end it."""


_NEW = "make a new one at its issuer"
TOKEN = CredentialClass("service account token", 4, "delete the Secret: the token ends with it; use bound tokens", True)
POWERFUL_TOKEN = TOKEN._replace(order=2)
REST = CredentialClass("other", 4, "change it where it is issued, then here")
_SELECTED = (
    (b"argocd.argoproj.io/secret-type", b"cluster", CredentialClass("another cluster's credentials", 1, _NEW, True)),
    (b"argocd.argoproj.io/secret-type", b"", CredentialClass("Git", 3, f"{_NEW}, then in the repository", True)),
    (b"istio/multiCluster", b"", CredentialClass("another cluster's credentials", 1, _NEW, True)),
    (
        b"sealedsecrets.bitnami.com/sealed-secrets-key", b"",
        CredentialClass("encryption key", 1, "renew it, seal every SealedSecret anew, then delete the old key", True),
    ),
)  # fmt: skip
"""Label, value (empty for any), and class."""
_TYPED = {
    b"kubernetes.io/service-account-token": TOKEN,
    b"kubernetes.io/dockerconfigjson": CredentialClass("registry", 3, "make a new token at the registry", True),
    b"kubernetes.io/dockercfg": CredentialClass("registry", 3, "make a new token at the registry", True),
    b"kubernetes.io/ssh-auth": CredentialClass("SSH", 3, "make a new key pair, and take the old public key away", True),
    b"kubernetes.io/basic-auth": CredentialClass("password", 4, "change it at the system that takes it"),
    b"bootstrap.kubernetes.io/token": CredentialClass("bootstrap token", 4, "delete the Secret", True),
    b"cluster.x-k8s.io/secret": CredentialClass("another cluster's credentials", 1, _NEW, True),
    b"helm.sh/release.v1": CredentialClass("Helm release", 4, "rotate the Secrets of its manifest, then upgrade it"),
}
_NAMED: tuple[tuple[str, CredentialClass], ...] = (
    (r"encryption[-_.]?(config|key|provider)|kms[-_.]?(key|credential|token)|unseal|master[-_.]?key|seal[-_.]?key",
     CredentialClass("encryption or KMS credential", 1, "make a new key, encrypt all anew, then drop the old one")),
    (r"(^|[-_.])ca[-_.]?key|(^|[-_.])(sa|service-account)\.key$|signing[-_.]?key|issuer[-_.]?key",
     CredentialClass("CA or signing key", 1, "make a new CA, trust both, issue all anew, then drop the old one", True)),
    (r"etcd.*(key|password)|(key|password).*etcd",
     CredentialClass("etcd client key", 1, "issue a new certificate; only a new CA ends the old one", True)),
    (r"kubeconfig|\.kubeconfig$|^kube[-_.]?config",
     CredentialClass("kubeconfig", 1, "issue a new one; a client certificate ends with its CA or its end", True)),
    (r"dockerconfig|registry|harbor|quay|ecr",
     CredentialClass("registry", 3, "make a new token at the registry", True)),
    (r"aws|azure|gcp|google|cloud|s3|access[-_.]?key|secret[-_.]?access|service[-_.]?account.*json|tenant|subscription",
     CredentialClass("cloud", 3, "make a new key at the cloud, then delete the old one", True)),
    (r"git|bitbucket|deploy[-_.]?key|^identity$|webhook[-_.]?secret",
     CredentialClass("Git", 3, "make a new key or token at the Git server", True)),
    (r"postgres|mysql|maria|mongo|redis|database|(^|[-_.])(db|pg|sql)([-_.]|$)|jdbc|dsn|connection[-_.]?string",
     CredentialClass("database", 3, "change it in the database")),
    (r"ssh|id_(rsa|ed25519|ecdsa)",
     CredentialClass("SSH", 3, "make a new key pair, and take the old public key away", True)),
)  # fmt: skip
"""Names of data, and the class of what stands there."""
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in _NAMED)
TLS = CredentialClass("TLS", 4, "issue a new certificate under a new key; revoke the old one at its CA", True)
PASSWORD = CredentialClass("password", 4, "change it at the system that takes it")
_BESIDE = re.compile(
    r"^(user(name)?|login|name|host(name)?|port|url|uri|server|endpoint|database|dbname|type|email|region|project|"
    r"insecure|enable.*|token-id|description|expiration|auth-extra-groups|usage-.*|namespace|.*\.crt|.*cert(ificate)?|"
    r".*cert\.pem|.*-chain\.pem|root-cert\.pem|known_hosts|ssh-publickey|.*\.pub|caBundle)$",
    re.IGNORECASE,
)
"""Names of data that stand beside a credential and need not change."""


def class_of(type_: bytes, field: bytes, labels: Mapping[bytes, bytes], fields: Collection[bytes]) -> CredentialClass:
    """The class of one value.

    Args:
        type_: of the Secret.
        field: name of the value.
        labels: of the Secret.
        fields: names of all its data.
    """
    for label, value, kind in _SELECTED:
        if label in labels and value in {b"", labels[label]}:
            return kind
    if type_ in _TYPED:
        return _TYPED[type_]
    text = field.decode("utf-8", "replace")
    for pattern, kind in _PATTERNS:
        if pattern.search(text):
            return kind
    if type_ != b"kubernetes.io/tls" and re.search("pass|pwd", text, re.IGNORECASE):
        return PASSWORD
    certified = any(name.endswith((b".crt", b"cert.pem")) for name in fields)
    return TLS if certified or type_ == b"kubernetes.io/tls" else REST


def is_beside(field: bytes) -> bool:
    """Whether the value of a name stands beside a credential, such as a user name."""
    return _BESIDE.fullmatch(field.decode("utf-8", "replace")) is not None
