"""A store of credentials of every class: copies, leftovers, expired and renewed ones, tokens that may do anything."""

import base64
import gzip
import json
from typing import Any

from auditor.protobuf import kubernetes_pb2 as k8s
from auditor.protobuf import rbac_pb2, references_pb2
from tests.helpers.certificates import certificate, key_pem, kubeconfig, seconds, text, token
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject, envelope
from tests.helpers.users import env, pod, put, stored

SHARED = b"SHARED-PASSWORD-91c2"
FIRST, SECOND = b"DATABASE-PASSWORD-1-77ab", b"DATABASE-PASSWORD-2-77ab"
REFRESH = b"REFRESH-TOKEN-5c11d0e2"
POWERFUL, WEAK = token(sub="system:serviceaccount:ops:admin"), token(sub="system:serviceaccount:ops:weak")
KUBECONFIG = kubeconfig(
    **{"client-certificate-data": text(certificate("2031-01-01", 5)), "client-key-data": text(key_pem(5))}
)
MANIFEST = (
    "---\n# x\napiVersion: v1\nkind: Secret\nmetadata:\n  name: chart-secret\n"
    "---\nkind: ConfigMap\nmetadata:\n  name: no\n"
)
RELEASE = base64.b64encode(gzip.compress(json.dumps({"name": "shop", "manifest": MANIFEST}).encode()))
VALUES = (SHARED, FIRST, SECOND, REFRESH, POWERFUL, WEAK, KUBECONFIG, RELEASE, key_pem(0), key_pem(3), key_pem(4))
"""What must not leave."""


def secret(etcd: Etcd, path: str, data: dict[bytes, bytes], type_: str = "Opaque", **notes: Any) -> None:
    namespace, name = path.encode().split(b"/")
    thing = StoredObject(
        namespace, name, data, type_.encode(), labels=notes.get("annotations"), selectors=notes.get("labels")
    )
    etcd.put(thing.key, thing.protobuf())


def rbac(etcd: Etcd) -> None:
    """ops/admin is a cluster admin, ops/weak reads the Secrets of its own namespace alone."""
    for name in ("admin", "weak", "default"):
        put(etcd, f"serviceaccounts/ops/{name}", stored(references_pb2.ServiceAccount(), "ServiceAccount"))
    group = "rbac.authorization.k8s.io/v1"
    all_ = rbac_pb2.Role(rules=[rbac_pb2.PolicyRule(verbs=[b"*"], api_groups=[b"*"], resources=[b"*"])])
    put(etcd, "clusterroles/cluster-admin", stored(all_, "ClusterRole", group))
    own = rbac_pb2.Role(rules=[rbac_pb2.PolicyRule(verbs=[b"get"], api_groups=[b""], resources=[b"secrets"])])
    put(etcd, "roles/ops/reader", stored(own, "Role", group))
    for path, kind, role, account in (
        ("clusterrolebindings/admins", b"ClusterRole", b"cluster-admin", b"admin"),
        ("rolebindings/ops/readers", b"Role", b"reader", b"weak"),
    ):
        binding = rbac_pb2.Binding(
            subjects=[rbac_pb2.Subject(kind=b"ServiceAccount", namespace=b"ops", name=account)],
            role_ref=rbac_pb2.RoleRef(kind=kind, name=role),
        )
        put(etcd, path, stored(binding, "Binding", group))


def fill(etcd: Etcd) -> None:
    """The whole store."""
    for name, team in (("shop", b"checkout"), ("ops", b"platform"), ("plain", None)):
        space = k8s.Object()
        if team:
            space.metadata.labels.add(key=b"team", value=team)
        put(etcd, f"namespaces/{name}", envelope(b"v1", b"Namespace", space.SerializeToString()))
    rbac(etcd)
    put(etcd, "pods/shop/web", stored(pod(fill=env("db")), "Pod"))
    # one value, three Secrets; and one of two fields changed later
    secret(etcd, "shop/a", {b"password": SHARED, b"username": b"admin"}, "kubernetes.io/basic-auth")
    secret(etcd, "ops/b", {b"pw": SHARED})
    secret(etcd, "plain/c", {b"password": SHARED})
    secret(etcd, "shop/db", {b"db-password": FIRST, b"host": b"db.example", b"ca.crt": certificate("2040-01-01", 9)})
    secret(etcd, "shop/db", {b"db-password": SECOND, b"host": b"db.example"})
    account = {b"kubernetes.io/service-account.name": b"admin"}
    tokens = "kubernetes.io/service-account-token"
    beside = {b"ca.crt": certificate("2040-01-01", 9), b"namespace": b"ops"}
    secret(etcd, "ops/admin-token", {b"token": POWERFUL, **beside}, tokens, annotations=account)
    weak = {b"kubernetes.io/service-account.name": b"weak"}
    secret(etcd, "ops/weak-token", {b"token": WEAK, **beside}, tokens, annotations=weak)
    secret(etcd, "ops/kubeconfig", {b"value": KUBECONFIG}, "cluster.x-k8s.io/secret")
    secret(etcd, "shop/oidc", {b"id-token": token(exp=seconds("2033-02-01")), b"refresh-token": REFRESH})
    # renewed under the same key; two of cert-manager's; one expired
    tls = "kubernetes.io/tls"
    secret(etcd, "shop/tls", {b"tls.crt": certificate("2027-01-01", 0), b"tls.key": key_pem(0)}, tls)
    secret(etcd, "shop/tls", {b"tls.crt": certificate("2028-01-01", 0), b"tls.key": key_pem(0)}, tls)
    for name, number in (("one", 3), ("two", 4)):
        kept = {b"cert-manager.io/certificate-name": name.encode()}
        data = {b"tls.crt": certificate(f"203{number}-01-01", number), b"tls.key": key_pem(number)}
        secret(etcd, f"ops/cm-{name}", data, tls, annotations=kept)
    expired = {b"tls.crt": certificate("2021-01-01", 6), b"tls.key": key_pem(6)}
    secret(etcd, "shop/old-tls", expired, tls)
    secret(etcd, "ops/bundle", {b"ca-bundle.crt": certificate("2040-01-01", 9)})
    secret(etcd, "ops/empty", {})
    secret(etcd, "shop/sh.helm.release.v1.shop.v1", {b"release": RELEASE}, "helm.sh/release.v1")


ROWS = [
    ("0", "current", "write path", "", ""),
    ("1", "current", "another cluster's credentials", "ops/kubeconfig (value)", "2031-01-01"),
    ("2", "current", "service account token", "ops/admin-token (token)", "none stated"),
    ("3", "current", "database", "shop/db (db-password)", "none stated"),
    ("3", "changed", "database", "shop/db (db-password)", "none stated"),
    ("4", "current", "Helm release", "shop/sh.helm.release.v1.shop.v1 (release)", "none stated"),
    ("4", "current", "TLS", "ops/cm-one (tls.key);ops/cm-two (tls.key)", "2034-01-01"),
    ("4", "current", "TLS", "shop/tls (tls.key)", "2028-01-01"),
    ("4", "current", "other", "shop/oidc (id-token)", "2033-02-01"),
    ("4", "current", "other", "shop/oidc (refresh-token)", "none stated"),
    ("4", "current", "password", "ops/b (pw);plain/c (password);shop/a (password)", "none stated"),
    ("4", "current", "service account token", "ops/weak-token (token)", "none stated"),
    ("4", "expired", "TLS", "shop/old-tls (tls.key)", "2021-01-01"),
]
"""Order, status, class, Secrets and end of every row of the list."""
CREDENTIALS = 13
