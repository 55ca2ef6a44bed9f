"""Documents that wrap an EncryptionConfiguration: Secrets, ConfigMaps, RKE's state and cluster.yml.

Sources: gardener pkg/component/kubernetes/apiserver/secrets.go, library-go pkg/operator/encryption/secrets, HyperShift
(a Secret, each under a field of its own name); rke cluster/state.go (FullState, State.EncryptionConfig) and
types/rke_types.go (services.kube-api.secrets_encryption_config.custom_config).
"""

import base64
import binascii
import re
from collections.abc import Collection, Sequence
from typing import Any

from auditor.encryption.strict_yaml import Reader

DEEPEST = 3
"""Wrappings, one in another: a ConfigMap that holds RKE's state."""
MARK = "EncryptionConfig"
_STATED = re.compile(r"[\"']?kind[\"']?\s{0,16}:\s{0,16}(?:![^\s]{1,64}\s{1,16})?[\"']?EncryptionConfig")
"""A document's statement that it is one."""
_FIELDS = {"Secret": (("data", True), ("stringData", False)), "ConfigMap": (("data", False), ("binaryData", True))}
"""Fields of an object that hold texts, and whether these are in base64."""
_STATES = ("currentState", "desiredState")
_CUSTOM = ("services", "kube-api", "secrets_encryption_config", "custom_config")
_TRUE = frozenset({"true", "yes", "on", "y"})
_KINDS = (
    "APIServer AdmissionConfiguration Application AuthenticationConfiguration AuthorizationConfiguration Backup",
    "Cluster ClusterClass ClusterConfiguration ClusterRole Config ConfigMap ConfigMapList ControllerManagerConfig",
    "CronJob CustomResourceDefinition DaemonSet Deployment EgressSelectorConfiguration EncryptionConfig",
    "EncryptionConfiguration Etcd ExternalSecret HelmChart HelmChartConfig HelmRelease HostedCluster",
    "HostedControlPlane InitConfiguration Job JoinConfiguration KMSConfiguration KubeAPIServer",
    "KubeProxyConfiguration KubeadmConfig KubeadmConfigTemplate KubeadmControlPlane KubeadmControlPlaneTemplate",
    "KubeletConfiguration Kustomization List Machine MachineConfig MachineConfigPool MachineDeployment MachineSet",
    "Namespace Node Pod PodList Policy RKE2Config RKE2ConfigTemplate RKE2ControlPlane ResourceConfig SealedSecret",
    "Secret SecretList Service ServiceAccount Shoot StatefulSet Template TracingConfiguration",
)
_NAMED = frozenset(kind for kinds in _KINDS for kind in kinds.split())
"""Kinds that are named in a message: no other text of the file is."""


def unwrap(reader: Reader, document: Any, depth: int = 0) -> Any:
    """The configuration in a document that wraps one; any other document itself."""
    if not isinstance(document, dict) or depth > DEEPEST:
        return document
    kind = document.get("kind")
    if isinstance(kind, str) and kind in _FIELDS:
        return _in_object(reader, document, kind, depth)
    if "kind" not in document and (custom := _custom(document)) is not None:
        enabled = str(_at(document, (*_CUSTOM[:-1], "enabled"))).lower() in _TRUE
        unused = "" if enabled else ", which RKE does not use: secrets_encryption_config is not enabled"
        reader.note(f"it is RKE's cluster.yml: its custom_config is read{unused}")
        return custom
    if "kind" not in document and any(isinstance(document.get(name), dict) for name in _STATES):
        return _in_state(reader, document, depth)
    return document


def is_of(document: dict[str, Any], kinds: Collection[tuple[str, str]]) -> bool:
    """Whether the document has one of these pairs of apiVersion and kind."""
    version, kind = document.get("apiVersion"), document.get("kind")
    return isinstance(version, str) and isinstance(kind, str) and (version, kind) in kinds


def described(document: dict[str, Any]) -> str:
    """A document of another kind, in words that quote no text of it but that of a known kind."""
    version, kind = document.get("apiVersion"), document.get("kind")
    if not isinstance(kind, str) or not kind:
        return "a document without a kind"
    if kind not in _NAMED:
        return "an object of another kind"
    if version == "v1":
        return f"a v1 {kind}"
    return f"{'an' if kind[0] in 'AEI' else 'a'} {kind} of {'another version' if version else 'no version'}"


def _in_object(reader: Reader, document: dict[str, Any], kind: str, depth: int) -> Any:
    """The configuration in the one field of a Secret or ConfigMap that holds one."""
    inner: dict[str, str] = {}
    for part_name, in_base64 in _FIELDS[kind]:
        part = document.get(part_name)
        for name, value in part.items() if isinstance(part, dict) else ():
            text = _decoded(value) if in_base64 and isinstance(value, str) else value
            if isinstance(text, str) and MARK in text:
                inner[name] = text
    if not inner:
        reader.fail("", f"a v1 {kind}, and no field of it holds an EncryptionConfiguration")
    if len(set(inner.values())) > 1:  # a text about it names the kind too, and does not state it
        inner = {name: text for name, text in inner.items() if _STATED.search(text)} or inner
    if len(set(inner.values())) > 1:
        reader.fail("", f"a v1 {kind} that holds several EncryptionConfigurations: give the one in force as a file")
    text = next(iter(inner.values()))
    return unwrap(reader, reader.parse(text.encode("utf-8", "surrogatepass")), depth + 1)


def _custom(document: dict[str, Any]) -> dict[str, Any] | None:
    """The configuration that RKE's cluster.yml holds; None for another document."""
    part = _at(document, _CUSTOM)
    return part if isinstance(part, dict) else None


def _at(document: dict[str, Any], path: Sequence[str]) -> Any:
    """What stands at a path; None where nothing does."""
    part: Any = document
    for name in path:
        part = part.get(name) if isinstance(part, dict) else None
    return part


def _in_state(reader: Reader, document: dict[str, Any], depth: int) -> Any:
    """The configuration in RKE's state: that of the current state, which is in force, else of the desired one."""
    states = [document.get(name) for name in _STATES]
    texts = [state.get("encryptionConfig") for state in states if isinstance(state, dict)]
    found = [text for text in texts if isinstance(text, str) and MARK in text]
    if not found:
        reader.fail("", "an RKE state, and neither its current nor its desired state holds an EncryptionConfiguration")
    if len(set(found)) > 1:
        reader.note("RKE's current and desired state hold different configurations: the current one is read")
    return unwrap(reader, reader.parse(found[0].encode("utf-8", "surrogatepass")), depth + 1)


def _decoded(text: str) -> str | None:
    """The text in base64; None where it is none."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
        return raw.decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8")
    except (binascii.Error, ValueError):
        return None
