"""A store with every kind of reference to a Secret, in the shapes in which controllers write their objects."""

import json
from collections.abc import Callable
from typing import Any

from auditor.protobuf import references_pb2 as pb
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject, envelope

SHOP = "shop"
Manifest = dict[str, Any]


def put(etcd: Etcd, path: str, value: bytes) -> None:
    etcd.put(f"/registry/{path}".encode(), value)


def secret(etcd: Etcd, name: str, namespace: str = SHOP, **more: Any) -> None:
    data = more.pop("data", {b"password": b"PASSWORD-4c81aa-" + name.encode()})
    thing = StoredObject(namespace.encode(), name.encode(), data, more.pop("type", b"Opaque"), **more)
    etcd.put(thing.key, thing.protobuf())


def stored(message: Any, kind: str, api_version: str = "v1") -> bytes:
    return envelope(api_version.encode(), kind.encode(), message.SerializeToString())


def custom(etcd: Etcd, resource: str, kind: str, name: str, namespace: str = SHOP, **parts: Any) -> None:
    """A custom resource, which kube-apiserver stores as JSON. resource: PLURAL.GROUP."""
    plural, _, group = resource.partition(".")
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **parts.pop("metadata", {})}
    manifest = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": meta, **parts}
    path = "/".join(filter(None, (group, plural, namespace, name)))
    put(etcd, path, json.dumps(manifest).encode() + b"\n")


def pod(*owner: str, **fill: Callable[[Any], None]) -> Any:
    """A Pod. owner: kind, name, API version of its controller; fill: called with the spec."""
    made = pb.Pod()
    if owner:
        kind, name, version = (each.encode() for each in owner)
        made.metadata.owner_references.add(kind=kind, name=name, api_version=version, controller=True)
    for each in fill.values():
        each(made.spec)
    return made


def env(name: str) -> Callable[[Any], None]:
    def fill(spec: Any) -> None:
        spec.containers.add().env.add().value_from.secret_key_ref.inline.name = name.encode()

    return fill


def workload(name: str) -> Any:
    made = pb.Workload()
    env(name)(made.spec.template.spec)
    return made


def pods(etcd: Etcd) -> None:
    """The references of Pods, each to a Secret of its own name."""
    ways: dict[str, Callable[[Any], None]] = {
        "env": env("env"),
        "env-from": lambda spec: setattr(spec.containers.add().env_from.add().secret_ref.inline, "name", b"env-from"),
        "volume": lambda spec: setattr(spec.volumes.add().inline.secret, "secret_name", b"volume"),
        "projected": lambda spec: setattr(
            spec.volumes.add().inline.projected.sources.add().secret.inline, "name", b"projected"
        ),
        "pull": lambda spec: setattr(spec.image_pull_secrets.add(), "name", b"pull"),
        "init": lambda spec: setattr(
            spec.init_containers.add().env.add().value_from.secret_key_ref.inline, "name", b"init"
        ),
        "ephemeral": lambda spec: setattr(
            spec.ephemeral_containers.add().inline.env_from.add().secret_ref.inline, "name", b"ephemeral"
        ),
        "csi": lambda spec: setattr(spec.volumes.add().inline.csi.node_publish_secret_ref, "name", b"csi"),
    }
    for name, fill in ways.items():
        secret(etcd, name)
        put(etcd, f"pods/{SHOP}/uses-{name}", stored(pod(fill=fill), "Pod"))
    # the owners of Pods stand for them: a Deployment, a CronJob, a custom resource; a Node does not
    secret(etcd, "owned")
    put(etcd, f"deployments/{SHOP}/web", stored(workload("owned"), "Deployment", "apps/v1"))
    replicas = workload("owned")
    replicas.metadata.owner_references.add(kind=b"Deployment", name=b"web", api_version=b"apps/v1", controller=True)
    put(etcd, f"replicasets/{SHOP}/web-1", stored(replicas, "ReplicaSet", "apps/v1"))
    for number in range(3):
        running = pod("ReplicaSet", "web-1", "apps/v1", fill=env("owned"))
        put(etcd, f"pods/{SHOP}/web-1-{number}", stored(running, "Pod"))
    put(etcd, f"cronjobs/{SHOP}/nightly", stored(pb.CronJob(), "CronJob", "batch/v1"))
    job = pb.Job()
    env("owned")(job.spec.template.spec)
    job.metadata.owner_references.add(kind=b"CronJob", name=b"nightly", api_version=b"batch/v1", controller=True)
    put(etcd, f"jobs/{SHOP}/nightly-1", stored(job, "Job", "batch/v1"))
    put(etcd, f"pods/{SHOP}/mirror", stored(pod("Node", "n1", "v1", fill=env("owned")), "Pod"))
    put(etcd, f"pods/{SHOP}/orphan", stored(pod("ReplicaSet", "gone", "apps/v1", fill=env("owned")), "Pod"))
    custom(etcd, "rollouts.argoproj.io", "Rollout", "canary", spec={"replicas": 1})
    put(etcd, f"pods/{SHOP}/canary-1", stored(pod("Rollout", "canary", "argoproj.io/v1", fill=env("owned")), "Pod"))
    daemons = pb.DaemonSet()
    env("owned")(daemons.spec.template.spec)
    put(etcd, f"daemonsets/{SHOP}/agent", stored(daemons, "DaemonSet", "apps/v1"))


def others(etcd: Etcd) -> None:
    """The references of all other kinds that declare them."""
    names = (
        "sa-token",
        "sa-pull",
        "ingress",
        "gateway",
        "webhook",
        "api",
        "volume-csi",
        "volume-azure",
        "class",
        "spc",
    )
    for name in names:
        secret(etcd, name)
    account = pb.ServiceAccount()
    account.secrets.add(name=b"sa-token")
    account.image_pull_secrets.add(name=b"sa-pull")
    put(etcd, f"serviceaccounts/{SHOP}/builder", stored(account, "ServiceAccount"))
    ingress = pb.Ingress()
    ingress.spec.tls.add(secret_name=b"ingress")
    put(etcd, f"ingress/{SHOP}/front", stored(ingress, "Ingress", "networking.k8s.io/v1"))
    tls = {"certificateRefs": [{"name": "gateway"}, {"group": "x", "kind": "Other", "name": "spc"}]}
    listeners = [{"name": "https", "tls": tls}]
    custom(etcd, "gateways.gateway.networking.k8s.io", "Gateway", "edge", spec={"listeners": listeners})
    hook = pb.Object()
    hook.metadata.annotations.add(key=b"cert-manager.io/inject-ca-from-secret", value=b"shop/webhook")
    path = "validatingwebhookconfigurations/policy"
    put(etcd, path, stored(hook, "ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1"))
    injected = {"annotations": {"cert-manager.io/inject-ca-from": "shop/api-cert"}}
    kind = "apiservices.apiregistration.k8s.io"
    custom(etcd, kind, "APIService", "v1.metrics", "", metadata=injected, spec={"group": "m"})
    custom(etcd, "certificates.cert-manager.io", "Certificate", "api-cert", spec={"secretName": "api"})
    volume = pb.PersistentVolume()
    volume.spec.inline.csi.node_stage_secret_ref.name = b"volume-csi"
    volume.spec.inline.csi.node_stage_secret_ref.namespace = b"shop"
    put(etcd, "persistentvolumes/pv-1", stored(volume, "PersistentVolume"))
    azure = pb.PersistentVolume()
    azure.spec.inline.azure_file.secret_name = b"volume-azure"
    azure.spec.claim_ref.claim_namespace = b"shop"
    put(etcd, "persistentvolumes/pv-2", stored(azure, "PersistentVolume"))
    storage = pb.StorageClass()
    storage.parameters.add(key=b"csi.storage.k8s.io/provisioner-secret-name", value=b"class")
    storage.parameters.add(key=b"csi.storage.k8s.io/provisioner-secret-namespace", value=b"shop")
    storage.parameters.add(key=b"csi.storage.k8s.io/node-stage-secret-name", value=b"${pvc.name}")
    put(etcd, "storageclasses/fast", stored(storage, "StorageClass", "storage.k8s.io/v1"))
    kind = "secretproviderclasses.secrets-store.csi.x-k8s.io"
    custom(etcd, kind, "SecretProviderClass", "vault", spec={"secretObjects": [{"secretName": "spc"}]})
    mounted = pb.Pod()
    mounted.spec.volumes.add().inline.csi.volume_attributes.add(key=b"secretProviderClass", value=b"vault")
    put(etcd, f"pods/{SHOP}/mounts-vault", stored(mounted, "Pod"))


def custom_resources(etcd: Etcd) -> None:
    """Fields that name a Secret, as controllers shape them; each Secret has the name of what names it."""
    names = (
        "flux-git", "flux-values", "istio", "monitor", "bearer", "capi", "remote-write", "external", "password-of",
        "annotated", "configured", "settings",
    )  # fmt: skip
    for name in names:
        secret(etcd, name)
    secret(etcd, "cloud", "crossplane-system")
    secret(etcd, "root-ca", "cert-manager")
    custom(
        etcd,
        "gitrepositories.source.toolkit.fluxcd.io",
        "GitRepository",
        "app",
        spec={"secretRef": {"name": "flux-git"}},
    )
    values = [{"kind": "ConfigMap", "name": "bearer"}, {"kind": "Secret", "name": "flux-values"}]
    custom(etcd, "helmreleases.helm.toolkit.fluxcd.io", "HelmRelease", "app", spec={"valuesFrom": values})
    servers = [{"tls": {"mode": "SIMPLE", "credentialName": "istio"}}]
    custom(etcd, "gateways.networking.istio.io", "Gateway", "mesh", spec={"servers": servers})
    endpoint = {
        "basicAuth": {"username": {"name": "monitor", "key": "u"}, "password": {"name": "monitor", "key": "p"}},
        "authorization": {"type": "Bearer", "credentials": {"name": "bearer", "key": "token"}},
    }
    custom(etcd, "servicemonitors.monitoring.coreos.com", "ServiceMonitor", "app", spec={"endpoints": [endpoint]})
    write = [{"tlsConfig": {"keySecret": {"name": "remote-write", "key": "k"}}}]
    custom(etcd, "prometheuses.monitoring.coreos.com", "Prometheus", "k8s", spec={"remoteWrite": write})
    reference = {"namespace": "crossplane-system", "name": "cloud", "key": "creds"}
    custom(
        etcd, "providerconfigs.aws.crossplane.io", "ProviderConfig", "default", "",
        spec={"credentials": {"source": "Secret", "secretRef": reference}},
    )  # fmt: skip
    identity = {"identityRef": {"kind": "Secret", "name": "capi"}}
    custom(etcd, "vsphereclusters.infrastructure.cluster.x-k8s.io", "VSphereCluster", "east", spec=identity)
    store = {"provider": {"vault": {"auth": {"tokenSecretRef": {"name": "external", "key": "t"}}}}}
    custom(etcd, "secretstores.external-secrets.io", "SecretStore", "vault", spec=store)
    custom(etcd, "clusterissuers.cert-manager.io", "ClusterIssuer", "ca", "", spec={"ca": {"secretName": "root-ca"}})
    user = {"secret": "password-of", "note": "istio", "conditions": [{"message": "flux-git"}]}
    custom(etcd, "kafkausers.kafka.strimzi.io", "KafkaUser", "app", status=user)
    ingress = pb.Ingress()
    ingress.metadata.annotations.add(key=b"nginx.ingress.kubernetes.io/auth-secret", value=b"annotated")
    ingress.metadata.annotations.add(key=b"nginx.ingress.kubernetes.io/app-root", value=b"configured")
    put(etcd, f"ingress/{SHOP}/admin", stored(ingress, "Ingress", "networking.k8s.io/v1"))
    config = pb.ConfigMap()
    config.data.add(key=b"CREDENTIALS_NAME", value=b"shop/configured")
    config.data.add(key=b"other", value=b"annotated")
    put(etcd, f"configmaps/{SHOP}/settings", stored(config, "ConfigMap"))
    # labels by which controllers select a Secret
    secret(etcd, "argo-repo", "argocd", selectors={b"argocd.argoproj.io/secret-type": b"repository"})
    secret(etcd, "sealing", "kube-system", selectors={b"sealedsecrets.bitnami.com/sealed-secrets-key": b"active"})
    secret(etcd, "mesh", "istio-system", selectors={b"istio/multiCluster": b"true"})
    secret(etcd, "mesh-off", "istio-system", selectors={b"istio/multiCluster": b"false"})


def hostile(etcd: Etcd) -> None:
    """Objects that name what is not there, in vain, very deep or without end."""
    secret(etcd, "alone")
    secret(etcd, "alone", "other")
    put(etcd, "pods/elsewhere/web", stored(pod(fill=env("alone")), "Pod"))
    custom(etcd, "things.example.com", "Thing", "alone", spec={"kind": "alone", "name": "alone", "list": ["alone"]})
    custom(etcd, "things.example.com", "Thing", "b", spec={"secretName": "alone", "secretNamespace": "third"})
    custom(etcd, "things.example.com", "Thing", "c", spec={"secretName": ["x", 3, None, {"name": ["alone"]}]})
    custom(etcd, "things.example.com", "Thing", "d", spec={"secretRef": "fourth/alone", "auth": "a/b/alone"})


ALL = (pods, others, custom_resources, hostile)
EXPECTED = {
    **{f"shop/{name}": f"pods/shop/uses-{name}" for name in ("env", "env-from", "volume", "projected", "pull", "init")},
    "shop/ephemeral": "pods/shop/uses-ephemeral",
    "shop/csi": "pods/shop/uses-csi",
    "shop/owned": "cronjobs.batch/shop/nightly;daemonsets.apps/shop/agent;deployments.apps/shop/web;pods/shop/mirror;"
    "pods/shop/orphan;rollouts.argoproj.io/shop/canary",
    "shop/sa-token": "serviceaccounts/shop/builder",
    "shop/sa-pull": "serviceaccounts/shop/builder",
    "shop/ingress": "ingresses.networking.k8s.io/shop/front",
    "shop/gateway": "gateways.gateway.networking.k8s.io/shop/edge",
    "shop/webhook": "validatingwebhookconfigurations.admissionregistration.k8s.io/policy",
    "shop/api": "apiservices.apiregistration.k8s.io/v1.metrics;certificates.cert-manager.io/shop/api-cert (names)",
    "shop/volume-csi": "persistentvolumes/pv-1",
    "shop/volume-azure": "persistentvolumes/pv-2",
    "shop/class": "storageclasses.storage.k8s.io/fast",
    "shop/spc": "pods/shop/mounts-vault;secretproviderclasses.secrets-store.csi.x-k8s.io/shop/vault",
    "shop/flux-git": "gitrepositories.source.toolkit.fluxcd.io/shop/app (names)",
    "shop/flux-values": "helmreleases.helm.toolkit.fluxcd.io/shop/app (names)",
    "shop/istio": "gateways.networking.istio.io/shop/mesh (names)",
    "shop/monitor": "servicemonitors.monitoring.coreos.com/shop/app (names)",
    "shop/bearer": "servicemonitors.monitoring.coreos.com/shop/app (names)",
    "shop/remote-write": "prometheuses.monitoring.coreos.com/shop/k8s (names)",
    "crossplane-system/cloud": "providerconfigs.aws.crossplane.io/default (names)",
    "shop/capi": "vsphereclusters.infrastructure.cluster.x-k8s.io/shop/east (names)",
    "shop/external": "secretstores.external-secrets.io/shop/vault (names)",
    "cert-manager/root-ca": "clusterissuers.cert-manager.io/ca (names)",
    "shop/password-of": "kafkausers.kafka.strimzi.io/shop/app (names)",
    "shop/annotated": "ingresses.networking.k8s.io/shop/admin (names)",
    "shop/configured": "configmaps/shop/settings (names)",
    "shop/settings": "no reference found",
    "argocd/argo-repo": "Argo CD by label argocd.argoproj.io/secret-type",
    "kube-system/sealing": "sealed-secrets by label sealedsecrets.bitnami.com/sealed-secrets-key",
    "istio-system/mesh": "Istio by label istio/multiCluster",
    "istio-system/mesh-off": "no reference found",
    "shop/alone": "no reference found",
    "other/alone": "no reference found",
}
"""The cell `used_by` of every Secret of the store."""


def fill(etcd: Etcd) -> None:
    """The whole store."""
    put(etcd, "namespaces/kube-system", stored(pb.Object(), "Namespace"))
    for part in ALL:
        part(etcd)
