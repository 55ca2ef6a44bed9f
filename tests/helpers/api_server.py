"""An API server for the real kubectl: objects in a real etcd, encrypted, updated conditionally; it fails when told to.

What it does as kube-apiserver does: the write provider is the first of a list and the others read; an update that
changes nothing is written only where the stored value is stale (k8s.io/apiserver pkg/storage/etcd3/store.go,
GuaranteedUpdate); uid and resourceVersion of the object that is put are preconditions.
"""

import base64
import json
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auditor.encryption.transformers import TRANSFORMERS
from auditor.model.vocabulary import Provider
from auditor.protobuf import kubernetes_pb2 as pb
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers import sealing
from tests.helpers.ciphertexts import PREFIXES
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.helpers.objects import field as proto

IDENTITY = ("identity", "", b"")
REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests"}
CUT = 1
"""The failure that ends a body before its end."""
_ONE = re.compile(r"/api/v1/(?:namespaces/(?P<namespace>[^/]+)/)?(?P<resource>secrets|namespaces)/(?P<name>[^/?]+)")

Fault = Callable[[str, str, int], int]
"""Method, path and number of a request -> 0, CUT, or the status to fail with."""


@dataclass
class ApiServer:
    """`with ApiServer(etcd, uid) as server:` serves kubectl at server.url. providers: of form, key name, key."""

    etcd: Etcd
    uid: str
    providers: list[tuple[str, str, bytes]] = field(default_factory=lambda: [IDENTITY])
    fault: Fault = lambda method, path, number: 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda method, path: None
    """Called before each request: what others do meanwhile."""
    prefix: str = "/registry"
    """Storage prefix."""

    def __enter__(self) -> Self:
        self._rng = random.Random(7)
        self.lock = threading.Lock()
        self.create(StoredObject(b"", b"kube-system", kind=b"Namespace", uid=self.uid.encode()))
        handler = type("Handler", (_Handler,), {"api": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def create(self, thing: StoredObject, form: tuple[str, str, bytes] | None = None) -> int:
        """Put an object as the write provider, or `form`, writes it: its revision."""
        resource = "namespaces" if thing.kind == b"Namespace" else "secrets"
        key = self.key(resource, thing.namespace.decode(), thing.name.decode())
        return self.etcd.put(key, self.seal(thing, form))

    def seal(self, thing: StoredObject, form: tuple[str, str, bytes] | None = None) -> bytes:
        kind, name, key = form or self.providers[0]
        if kind == "identity" or thing.kind == b"Namespace":
            return thing.protobuf()
        return sealing.seal(kind, name, key, thing, self._rng)

    def key(self, resource: str, namespace: str, name: str) -> bytes:
        return "/".join((self.prefix, resource, *filter(None, (namespace,)), name)).encode()

    def opened(self, key: bytes, value: bytes) -> tuple[bytes, bool]:
        """The plaintext, and whether the value is stale."""
        for number, (form, name, secret) in enumerate(self.providers):
            if form == "identity":
                if not value.startswith(b"k8s:enc:"):
                    return value, number > 0
                continue
            prefix = PREFIXES[form] + name.encode() + b":"
            if value.startswith(prefix):
                plain = TRANSFORMERS[Provider[form.upper()]](secret).open(value[len(prefix) :], key)
                if plain is not None:
                    return plain, number > 0
        raise ValueError("no provider reads it")

    def stored(self, key: bytes) -> Any:
        """The record of a key in etcd, or None."""
        answer = self.etcd.call("Range", rpc.RangeRequest(key=key))
        return answer.kvs[0] if answer.kvs else None

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        bare = path.partition("?")[0]
        if method == "GET" and bare in _DISCOVERY:
            return 200, _DISCOVERY[bare]
        match = _ONE.fullmatch(bare)
        if match is None:
            return 404, status(404)
        key = self.key(match["resource"], match["namespace"] or "", match["name"])
        with self.lock:
            record = self.stored(key)
            if record is None:
                return 404, status(404, match["resource"], match["name"])
            plain, stale = self.opened(key, record.value)
            thing = _thing(plain)
            if method == "GET":
                return 200, _document(thing, record.mod_revision)
            return self._update(key, record, (thing, stale), json.loads(body), dry="dryRun=All" in path)

    def _update(
        self, key: bytes, record: Any, current: tuple[StoredObject, bool], document: dict[str, Any], *, dry: bool
    ) -> tuple[int, dict[str, Any]]:
        thing, stale = current
        metadata = document["metadata"]
        same = (metadata.get("resourceVersion"), metadata.get("uid")) == (str(record.mod_revision), thing.uid.decode())
        if not same:
            return 409, status(409, "secrets", thing.name.decode())
        data = {name.encode(): base64.b64decode(value) for name, value in document.get("data", {}).items()}
        new = StoredObject(thing.namespace, thing.name, data, uid=thing.uid, kind=thing.kind)
        if dry or not (stale or data != (thing.data or {})):
            return 200, _document(new, record.mod_revision)
        compare = kv_compare(key, record.mod_revision)
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=self.seal(new)))
        done = self.etcd.call("Txn", rpc.TxnRequest(compare=[compare], success=[put]))
        if not done.succeeded:
            return 409, status(409, "secrets", thing.name.decode())
        return 200, _document(new, done.header.revision)


def kv_compare(key: bytes, revision: int) -> Any:
    """That a key is still of a revision."""
    return rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=revision)


class _Handler(BaseHTTPRequestHandler):
    api: ApiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        return

    def do_GET(self) -> None:
        self._handle("GET")

    def do_PUT(self) -> None:
        self._handle("PUT")

    def _handle(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.api.before(method, self.path)
        number = len(self.api.requests)
        self.api.requests.append((method, self.path))
        fault = self.api.fault(method, self.path, number)
        kind = "application/json"
        if self.path.startswith("/openapi/v2"):
            code, data, kind = 200, OPENAPI, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        else:
            code, document = (fault, status(fault)) if fault > CUT else self.api.answer(method, self.path, body)
            data = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault == CUT else data)
        self.close_connection = self.close_connection or fault == CUT


def _openapi() -> bytes:
    """The least by which kubectl up to 1.26 believes that Secrets take dryRun (googleapis/gnostic openapiv2)."""
    dry_run = proto(8, proto(1, proto(2, proto(3, proto(4, b"dryRun")))))
    kind = proto(
        13, proto(1, b"x-kubernetes-group-version-kind") + proto(2, proto(2, b"group: ''\nkind: Secret\nversion: v1\n"))
    )
    path = proto(2, proto(1, b"/api/v1/secrets") + proto(2, proto(8, dry_run + kind)))
    return proto(1, b"2.0") + proto(8, path)


def status(code: int, resource: str = "", name: str = "") -> dict[str, Any]:
    """The Status object of a failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'{resource} "{name}" failed',
        "reason": REASONS.get(code, "Timeout" if code == 504 else "InternalError"),
        "details": {"name": name, "kind": resource},
        "code": code,
    }


def _thing(plain: bytes) -> StoredObject:
    unknown = pb.Unknown.FromString(plain[4:])
    secret = pb.Secret.FromString(unknown.raw)
    meta = secret.metadata
    data = {entry.key: entry.value for entry in secret.data}
    return StoredObject(meta.namespace, meta.name, data, kind=unknown.type_meta.kind, uid=meta.uid)


def _document(thing: StoredObject, revision: int) -> dict[str, Any]:
    tree = thing.tree()
    tree["metadata"]["resourceVersion"] = str(revision)
    if thing.kind == b"Namespace":
        tree.pop("data", None)
        tree["metadata"].pop("namespace")
    return tree


def _resource(name: str, kind: str, *, namespaced: bool) -> dict[str, Any]:
    verbs = ["get", "list", "update", "patch"]
    return {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": verbs}


OPENAPI = _openapi()
_DISCOVERY: dict[str, dict[str, Any]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            _resource("secrets", "Secret", namespaced=True),
            _resource("namespaces", "Namespace", namespaced=False),
        ],
    },
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
}


def kubeconfig(path: Path, servers: dict[str, str], current: str) -> Path:
    """A kubeconfig with a context for each server."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
        "users": [{"name": "operator", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "operator"}} for name in servers],
        "current-context": current,
    }
    path.write_text(json.dumps(document))
    return path
