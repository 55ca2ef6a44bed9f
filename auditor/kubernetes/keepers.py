"""Who keeps a Secret, by its owners, labels and annotations, and therefore where it is rotated.

Where a controller writes a Secret, an edit of it is overwritten: it is changed at the source.
Sources: cert-manager pkg/apis/certmanager/v1 (annotations of Secrets), external-secrets pkg/controllers (labels),
helm.sh/helm pkg/action/validate.go, argo-cd common/common.go, fluxcd kustomize-controller and helm-controller (labels).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auditor.text import NAME, marked, printable


class Keeper(NamedTuple):
    """The keeper of a Secret."""

    name: str
    where: str
    """Where to rotate, with marks for redaction."""
    renews: bool = False
    """Whether it renews by itself what is asked for."""


HERE = Keeper("", "here")
_OWNERS = {
    b"ExternalSecret": ("external-secrets", "at the store that ExternalSecret {} reads"),
    b"SealedSecret": ("sealed-secrets", "in the source of SealedSecret {}, sealed anew"),
    b"Certificate": ("cert-manager", "by renewing Certificate {} under a new key"),
}
_NOTED = (
    (b"cert-manager.io/certificate-name", "cert-manager", "by renewing Certificate {} under a new key", True),
    (b"service.beta.openshift.io/originating-service-name", "OpenShift service CA", "by deleting it: {}", True),
    (b"service.alpha.openshift.io/originating-service-name", "OpenShift service CA", "by deleting it: {}", True),
    (b"reconcile.external-secrets.io/created-by", "external-secrets", "at the store that it is read from", False),
    (b"meta.helm.sh/release-name", "Helm", "in the values of Helm release {}", False),
    (b"kustomize.toolkit.fluxcd.io/name", "Flux", "in the Git source of Kustomization {}", False),
    (b"helm.toolkit.fluxcd.io/name", "Flux", "in the values of HelmRelease {}", False),
    (b"argocd.argoproj.io/tracking-id", "Argo CD", "in the Git source of its application", False),
    (b"argocd.argoproj.io/instance", "Argo CD", "in the Git source of application {}", False),
)  # fmt: skip
"""Label or annotation, keeper, where to rotate, and whether it renews by itself."""


def keeper_of(owners: Sequence[tuple[bytes, bytes]], notes: Mapping[bytes, bytes]) -> Keeper:
    """The keeper of a Secret; HERE where it names none.

    Args:
        owners: kind and name of each owner.
        notes: labels and annotations.
    """
    for kind, name in owners:
        if kind in _OWNERS:
            keeper, where = _OWNERS[kind]
            return Keeper(keeper, where.format(_name(name)), keeper == "cert-manager")
    for note, keeper, where, renews in _NOTED:
        if note in notes:
            return Keeper(keeper, where.format(_name(notes[note])), renews)
    if owners:
        kind, name = owners[0]
        return Keeper(printable(kind), f"at its owner, {printable(kind)} {_name(name)}")
    managed = notes.get(b"app.kubernetes.io/managed-by")
    return Keeper(printable(managed), f"by {printable(managed)}, which keeps it") if managed else HERE


def _name(name: bytes) -> str:
    return marked(printable(name), NAME)
