"""Resources, and their paths under the storage prefix.

Paths: k8s.io/kubernetes test/integration/etcd/data.go and pkg/kubeapiserver/default_storage_factory_builder.go;
OpenShift: oauth-apiserver pkg/oauth/apiserver/registry and openshift-apiserver pkg/*/apiserver/registry.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the Kubernetes API. Texts are printable."""

    name: str
    """Name as in an EncryptionConfiguration, `secrets` or `deployments.apps`; empty for keys under no prefix."""
    prefix: str
    """Storage prefix; empty for keys under none."""
    path: str
    """Path of its objects, storage prefix included."""
    exempt: bool = False
    """Whether kube-apiserver never encrypts it."""
    by_content: bool = False
    """Whether the name is that of the stored objects' kind, under etcd keys of another resource."""
    unlisted: bool = False
    """Whether no table has its path and no readable object states its group: the name is the path's first segment."""

    @property
    def stored_as(self) -> str:
        """The resource that its etcd keys name: an API server's rule follows the path, whatever kind the object is of.

        Empty for keys under no storage prefix.
        """
        if not self.by_content:
            return self.name
        named = resource_at(self.prefix, self.path[len(self.prefix) + 1 :].split("/")) if self.prefix else None
        return named.name if named is not None else ""


_GROUPS: Final[dict[str, str]] = {
    "": "bindings componentstatuses configmaps endpoints events limitranges namespaces persistentvolumeclaims "
    "persistentvolumes pods podtemplates resourcequotas secrets serviceaccounts",
    "apps": "controllerrevisions daemonsets deployments replicasets statefulsets",
    "auditregistration.k8s.io": "auditsinks",
    "autoscaling": "horizontalpodautoscalers",
    "batch": "cronjobs jobs",
    "certificates.k8s.io": "certificatesigningrequests clustertrustbundles podcertificaterequests",
    "coordination.k8s.io": "leasecandidates leases",
    "discovery.k8s.io": "endpointslices",
    "flowcontrol.apiserver.k8s.io": "flowschemas prioritylevelconfigurations",
    "internal.apiserver.k8s.io": "storageversions",
    "lifecycle.k8s.io": "evictionrequests evictions",
    "networking.k8s.io": "clustercidrs ingressclasses ipaddresses networkpolicies servicecidrs",
    "node.k8s.io": "runtimeclasses",
    "policy": "poddisruptionbudgets",
    "rbac.authorization.k8s.io": "clusterrolebindings clusterroles rolebindings roles",
    "resource.k8s.io": "deviceclasses devicetaintrules podschedulingcontexts podschedulings resourceclaimparameters "
    "resourceclaims resourceclaimtemplates resourceclasses resourceclassparameters resourcepoolstatusrequests "
    "resourceslices",
    "scheduling.k8s.io": "compositepodgroups podgroups priorityclasses workloads",
    "settings.k8s.io": "podpresets",
    "storage.k8s.io": "csidrivers csinodes csistoragecapacities storageclasses volumeattachments "
    "volumeattributesclasses",
    "storagemigration.k8s.io": "storageversionmigrations",
    "admissionregistration.k8s.io": "externaladmissionhookconfigurations initializerconfigurations "
    "mutatingadmissionpolicies mutatingadmissionpolicybindings mutatingwebhookconfigurations "
    "validatingadmissionpolicies validatingadmissionpolicybindings "
    "validatingwebhookconfigurations",
    "route.openshift.io": "routes",
    "template.openshift.io": "templates templateinstances brokertemplateinstances",
    "build.openshift.io": "builds buildconfigs",
    "apps.openshift.io": "deploymentconfigs",
    "image.openshift.io": "images imagestreams",
    "security.openshift.io": "rangeallocations securitycontextconstraints",
    "user.openshift.io": "users groups",
}
_ELSEWHERE: Final[dict[str, str]] = {
    "controllers": "replicationcontrollers",
    "minions": "nodes",
    "ingress": "ingresses.networking.k8s.io",
    "podsecuritypolicy": "podsecuritypolicies.policy",
    "apiregistration.k8s.io/apiservices": "apiservices.apiregistration.k8s.io",
    "apiservices": "apiservices.apiregistration.k8s.io",
    "thirdpartyresources": "thirdpartyresources.extensions",
    "ThirdPartyResourceData": "thirdpartyresourcedatas.extensions",
    "services/specs": "services",
    "services/endpoints": "endpoints",
    "useridentities": "identities.user.openshift.io",
    "registry/sdnnetworks": "clusternetworks.network.openshift.io",
    "registry/sdnsubnets": "hostsubnets.network.openshift.io",
    "registry/sdnnetnamespaces": "netnamespaces.network.openshift.io",
    "registry/egressnetworkpolicy": "egressnetworkpolicies.network.openshift.io",
    "oauth/accesstokens": "oauthaccesstokens.oauth.openshift.io",
    "oauth/authorizetokens": "oauthauthorizetokens.oauth.openshift.io",
    "oauth/clients": "oauthclients.oauth.openshift.io",
    "oauth/clientauthorizations": "oauthclientauthorizations.oauth.openshift.io",
}
_DISSOLVED: Final = "extensions"
"""The group that Deployments, Ingresses and others were in once; they are stored under the paths of today."""
AGGREGATED: Final = frozenset(
    f"{group}.openshift.io" for group in ("apps", "build", "image", "oauth", "project", "route", "template", "user")
)
"""Groups of OpenShift's aggregated API servers, each of which has a configuration beside kube-apiserver's."""
BUILT_IN: Final[dict[str, str]] = {
    **{path: f"{path}.{group}" if group else path for group, paths in _GROUPS.items() for path in paths.split()},
    **_ELSEWHERE,
}
"""Resources by their paths under the storage prefix."""
DEEPER: Final = frozenset(path.split("/")[0] for path in BUILT_IN if "/" in path)
"""First segments that are no resource by themselves."""
EXEMPT: Final = frozenset({"masterleases", "peerserverleases", "ranges", "health"})
"""First segments under the prefix of records that kube-apiserver writes without its transformers."""
EXEMPT_KEYS: Final = ("compact_rev_key", "/bootstrap/")
"""Keys under no prefix that are no objects: that of compaction, and k3s's record, which has its own encryption."""


def resource_at(prefix: str, segments: list[str]) -> Resource | None:
    """The resource of a path under `prefix` by its first segments; None where more segments are needed."""
    head = segments[0]
    path = f"{prefix}/{head}"
    if head in EXEMPT:
        return Resource(head, prefix, path, exempt=True)
    if head in DEEPER or "." in head:
        if len(segments) < 2:
            return None
        path = f"{path}/{segments[1]}"
        name = BUILT_IN.get(f"{head}/{segments[1]}", f"{segments[1]}.{head}" if "." in head else head)
        return Resource(name, prefix, path)
    known = BUILT_IN.get(head)
    return Resource(known or head, prefix, path, unlisted=known is None)


def path_of(name: str) -> str:
    """The path of a resource's objects under the storage prefix."""
    built_in = next((path for path, resource in BUILT_IN.items() if resource == name), None)
    plural, _, group = name.partition(".")
    return built_in or (f"{group}/{plural}" if group else name)


@cache
def _names() -> dict[tuple[str, str], str]:
    """Resources of the table by plural and group; those of the groups that Kubernetes dissolved by plural alone."""
    names = {(plural, group): name for name in BUILT_IN.values() for plural, _, group in (name.partition("."),)}
    return {**{(plural, _DISSOLVED): name for (plural, _), name in names.items()}, **names}


def of_kind(api_version: str, kind: str) -> str:
    """The resource whose objects are of a kind, named as in an EncryptionConfiguration; empty where none is known.

    The plural of a kind that no table has is guessed as Kubernetes does (apimachinery pkg/api/meta/restmapper.go).
    """
    group = api_version.rpartition("/")[0]
    singular = kind.lower()
    plurals = [singular, f"{singular}s", f"{singular}es", f"{singular.removesuffix('y')}ies"]
    known = next((_names()[plural, group] for plural in plurals if (plural, group) in _names()), "")
    if known or "." not in group:
        return known
    guess = 2 if singular.endswith("s") else 3 if singular.endswith("y") else 1
    return f"{plurals[guess]}.{group}"
