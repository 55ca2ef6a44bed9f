"""A KMS plugin for the tests: a real gRPC server on a unix socket, speaking KMS v1 and v2.

It wraps as the plugin did that made the fixtures: `<kek id>|<nonce><AES-GCM ciphertext and tag>`.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor.protobuf import kms_v1_pb2 as v1
from auditor.protobuf import kms_v2_pb2 as v2

ANNOTATIONS = {"version.lab.example.com": b"1"}
SECRET_DETAIL = "the-plugin-quotes-something-confidential"


def read_keks(*paths: Path) -> dict[str, bytes]:
    """Every key of the fixtures' kek-*.json files, under its id."""
    return {name: bytes.fromhex(key) for path in paths for name, key in json.loads(path.read_text()).items()}


class KmsPlugin:
    """Serves while the `with` block lasts. `current` may be changed at any time; so may the switches below it."""

    def __init__(
        self,
        folder: Path,
        keks: Mapping[str, bytes],
        *,
        current: str | None = None,
        socket: str = "kms.sock",
        abstract: str | None = None,
    ) -> None:
        self.keks = dict(keks)
        self.current = current or next(iter(self.keks))
        self.refusing = False
        self.hanging = False
        self.healthz = "ok"
        self.version = "v2"
        self.refusal = grpc.StatusCode.INVALID_ARGUMENT
        self.unavailable = 0  # so many Decrypt calls are still to fail as UNAVAILABLE
        self.garbage = False
        self.calls: Counter[str] = Counter()  # "v2/Decrypt" and the like
        self.requests: list[Any] = []
        self.path = None if abstract else folder / socket
        self.endpoint = f"unix:///@{abstract}" if abstract else f"unix://{self.path}"
        self._address = f"unix-abstract:{abstract}" if abstract else f"unix:{self.path}"
        self._released = threading.Event()
        self._pool = ThreadPoolExecutor(8)
        self._server = grpc.server(self._pool)
        self._server.add_generic_rpc_handlers((self._service("v1beta1"), self._service("v2")))

    def __enter__(self) -> Self:
        self._server.add_insecure_port(self._address)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.stop(0).wait()
        self._pool.shutdown()

    def wrap(self, dek: bytes, kek: str | None = None) -> bytes:
        kek = kek or self.current
        nonce = os.urandom(12)
        return kek.encode() + b"|" + nonce + AESGCM(self.keks[kek]).encrypt(nonce, dek, None)

    def unwrap(self, wrapped: bytes) -> bytes:
        kek, _, rest = wrapped.partition(b"|")
        return AESGCM(self.keks[kek.decode()]).decrypt(rest[:12], rest[12:], None)

    def _service(self, package: str) -> grpc.GenericRpcHandler:
        methods: dict[str, tuple[Any, Callable[[Any, grpc.ServicerContext], Any]]] = (
            {
                "Version": (v1.VersionRequest, lambda _request, _context: self._version()),
                "Encrypt": (
                    v1.EncryptRequest,
                    lambda request, _context: v1.EncryptResponse(cipher=self.wrap(request.plain)),
                ),
                "Decrypt": (v1.DecryptRequest, self._decrypt_v1),
            }
            if package == "v1beta1"
            else {
                "Status": (v2.StatusRequest, lambda _request, _context: self._status()),
                "Encrypt": (v2.EncryptRequest, lambda request, _context: self._encrypt_v2(request)),
                "Decrypt": (v2.DecryptRequest, self._decrypt_v2),
            }
        )
        return grpc.method_handlers_generic_handler(
            f"{package}.KeyManagementService",
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._counted(f"{package}/{name}", behaviour),
                    request_deserializer=request.FromString,
                    response_serializer=lambda answer: b"\xff" if self.garbage else answer.SerializeToString(),
                )
                for name, (request, behaviour) in methods.items()
            },
        )

    def _counted(
        self, name: str, behaviour: Callable[[Any, grpc.ServicerContext], Any]
    ) -> Callable[[Any, grpc.ServicerContext], Any]:
        def behave(request: Any, context: grpc.ServicerContext) -> Any:
            self.calls[name] += 1
            self.requests.append(request)
            if self.hanging:
                self._released.wait()
            if self.refusing:
                context.abort(self.refusal, SECRET_DETAIL)
            if self.unavailable and name.endswith("/Decrypt"):
                self.unavailable -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, SECRET_DETAIL)
            return behaviour(request, context)

        return behave

    def _version(self) -> v1.VersionResponse:
        return v1.VersionResponse(version="v1beta1", runtime_name="lab", runtime_version="1")

    def _status(self) -> v2.StatusResponse:
        return v2.StatusResponse(version=self.version, healthz=self.healthz, key_id=self.current)

    def _encrypt_v2(self, request: v2.EncryptRequest) -> v2.EncryptResponse:
        return v2.EncryptResponse(ciphertext=self.wrap(request.plaintext), key_id=self.current, annotations=ANNOTATIONS)

    def _decrypt_v1(self, request: v1.DecryptRequest, context: grpc.ServicerContext) -> v1.DecryptResponse:
        if request.version != "v1beta1":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, SECRET_DETAIL)
        return v1.DecryptResponse(plain=self._unwrapped(request.cipher, context))

    def _decrypt_v2(self, request: v2.DecryptRequest, context: grpc.ServicerContext) -> v2.DecryptResponse:
        kek = request.ciphertext.partition(b"|")[0].decode("utf-8", "replace")
        if not request.uid or request.key_id != kek or dict(request.annotations) != ANNOTATIONS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, SECRET_DETAIL)
        return v2.DecryptResponse(plaintext=self._unwrapped(request.ciphertext, context))

    def _unwrapped(self, wrapped: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return self.unwrap(wrapped)
        except (InvalidTag, KeyError, ValueError):
            return context.abort(grpc.StatusCode.INTERNAL, SECRET_DETAIL)
