"""KMS plugins: they unwrap data keys, over the socket that kube-apiserver would use.

A plugin gets one call for every distinct wrapped key. An absent plugin gets no further call.
"""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from google.protobuf.message import DecodeError, Message

from auditor.encryption.kms.interface import NO_ANNOTATIONS, KmsError, KmsRefused, WrappedKey
from auditor.protobuf import kms_v1_pb2, kms_v2_pb2

if TYPE_CHECKING:
    import grpc

UID = "etcd-auditor"
FIRST_WAIT = 0.2
LONGEST_SOCKET = 107  # bytes: sockaddr_un holds 108, one of them the end
NO_ACCESS = frozenset({"UNIMPLEMENTED", "PERMISSION_DENIED", "UNAUTHENTICATED"})
"""Status codes of refusals that do not depend on the data key."""
SERVICES = {1: "/v1beta1.KeyManagementService/", 2: "/v2.KeyManagementService/"}
OPTIONS = (
    ("grpc.default_authority", "localhost"),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # this module retries, and counts
    ("grpc.initial_reconnect_backoff_ms", 100),  # shorter than FIRST_WAIT: a retry does connect again
    ("grpc.max_reconnect_backoff_ms", 200),
)


class Plugin:
    """One KMS plugin of an EncryptionConfiguration. Connects at the first call."""

    def __init__(self, name: str, endpoint: str, *, version: int, timeout: float = 3.0, attempts: int = 3) -> None:
        if version not in SERVICES:
            raise KmsError(f"KMS plugin {name}: there is no KMS version {version}; give 1 or 2")
        self.name = name
        self.endpoint = endpoint
        self.version = version
        self.timeout = timeout
        self.attempts = max(1, attempts)
        self.calls = 0
        self._target = _target(name, endpoint)
        self._channel: grpc.Channel | None = None
        self._absent: str | None = None
        self._unwrapped: dict[WrappedKey, bytes] = {}
        self._refused: dict[WrappedKey, KmsError] = {}

    def __repr__(self) -> str:
        return f"Plugin({self.name!r}, {self.endpoint!r})"

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: Mapping[str, bytes] = NO_ANNOTATIONS) -> bytes:
        """The data key or seed in a wrapped key.

        Args:
            wrapped: the wrapped key.
            key_id: id of the KEK; empty for KMS v1.
            annotations: of the value; none for KMS v1.
        """
        key = WrappedKey(wrapped, key_id, frozenset(annotations.items()))
        if (unwrapped := self._unwrapped.get(key)) is not None:
            return unwrapped
        if (refusal := self._refused.get(key)) is not None:
            raise type(refusal)(str(refusal))
        try:
            unwrapped = self._decrypt(wrapped, key_id, annotations)
        except KmsError as error:
            if self._absent is None:
                self._refused[key] = error
            raise
        self._unwrapped[key] = unwrapped
        return unwrapped

    def current_key_id(self) -> str | None:
        """The id of the key that the plugin wraps with now; None for KMS v1, which has none."""
        if self.version == 1:
            return None
        response = self._call("Status", kms_v2_pb2.StatusRequest().SerializeToString())
        status = kms_v2_pb2.StatusResponse()
        if not _parse(status, response) or not status.version.startswith("v2"):
            raise KmsError(f"{self._who} does not speak KMS v2: check apiVersion and endpoint in the configuration")
        if status.healthz != "ok":
            raise KmsError(f"{self._who} reports that it is not healthy: read its log, then run again")
        return status.key_id

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    @property
    def _who(self) -> str:
        return f"KMS plugin {self.name} at {self.endpoint}"

    def _decrypt(self, wrapped: bytes, key_id: str, annotations: Mapping[str, bytes]) -> bytes:
        payload = self._request(wrapped, key_id, annotations)
        if payload is None:
            raise KmsError(f"{self._who} cannot be asked: a stored key id or annotation is not text (damaged value?)")
        response = self._call("Decrypt", payload)
        if self.version == 1:
            first = kms_v1_pb2.DecryptResponse()
            plain = first.plain if _parse(first, response) else b""
        else:
            second = kms_v2_pb2.DecryptResponse()
            plain = second.plaintext if _parse(second, response) else b""
        if not plain:
            raise KmsError(f"{self._who} answered without a data key: check that a KMS plugin serves this socket")
        return plain

    def _request(self, wrapped: bytes, key_id: str, annotations: Mapping[str, bytes]) -> bytes | None:
        if self.version == 1:
            return kms_v1_pb2.DecryptRequest(version="v1beta1", cipher=wrapped).SerializeToString()
        try:
            return kms_v2_pb2.DecryptRequest(
                ciphertext=wrapped, uid=UID, key_id=key_id, annotations=annotations
            ).SerializeToString()
        except ValueError:  # a lone surrogate, which the error would quote
            return None

    def _call(self, method: str, payload: bytes) -> bytes:
        """The response's bytes. Request and response are bytes to grpc, so that it logs no parse errors."""
        if self._absent is not None:
            raise KmsError(self._absent)
        code = ""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(FIRST_WAIT * 2 ** (attempt - 1))
            response, code = self._send(method, payload)
            if response is not None:
                return response
            if code not in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
                kind = KmsError if code in NO_ACCESS else KmsRefused
                raise kind(f"{self._who} refuses {method} ({code}): {_advice(code)}")
        self._absent = (
            f"{self._who} is absent or does not answer ({code} after {self.attempts} attempts of "
            f"{self.timeout:g} s): start it, or check the socket and its permissions, then run again"
        )
        raise KmsError(self._absent)

    def _send(self, method: str, payload: bytes) -> tuple[bytes | None, str]:
        """Response and status code of one call; None where it failed."""
        channel = self._open()
        import grpc

        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SERVICES[self.version] + method)
        self.calls += 1
        try:
            response = call(payload, timeout=self.timeout)
        except grpc.RpcError as error:  # its text may quote the request: only the code's name leaves this function
            return None, error.code().name if isinstance(error, grpc.Call) else "UNKNOWN"
        return response, "OK"

    def _open(self) -> "grpc.Channel":
        if self._channel is None:
            os.environ["GRPC_VERBOSITY"] = "NONE"  # read once, when grpc is loaded
            os.environ.pop("GRPC_TRACE", None)
            try:
                import grpc
            except ImportError as error:
                raise KmsError(f"{self._who} cannot be asked: install the Python package grpcio") from error
            self._channel = grpc.insecure_channel(self._target, options=OPTIONS)
        return self._channel


def _target(name: str, endpoint: str) -> str:
    """The endpoint as gRPC's core writes it. As in kube-apiserver, it is a URL and its path counts."""
    if not endpoint.startswith("unix:///"):
        raise KmsError(
            f"KMS plugin {name}: its endpoint is no unix socket; write unix:///path/to.sock or unix:///@name"
        )
    path = unquote(urlsplit(endpoint).path)
    socket = path.removeprefix("/@")
    if socket in {"", "/"} or "\0" in path:
        raise KmsError(f"KMS plugin {name}: its endpoint names no socket; write unix:///path/to.sock or unix:///@name")
    if len(os.fsencode(socket)) > LONGEST_SOCKET:
        raise KmsError(f"KMS plugin {name}: the path of its socket is too long; link to it from a shorter one")
    return f"unix-abstract:{quote(socket)}" if path.startswith("/@") else f"unix:{quote(socket)}"


def _parse(message: Message, response: bytes) -> bool:
    """Whether the response is such a message, which is filled from it."""
    try:
        message.ParseFromString(response)
    except DecodeError:
        return False
    return True


def _advice(code: str) -> str:
    if code == "UNIMPLEMENTED":
        return "it does not speak this KMS version; check apiVersion and endpoint in the configuration"
    if code in {"PERMISSION_DENIED", "UNAUTHENTICATED"}:
        return "give the plugin access to its key, then run again"
    return "give it the key-encryption key that wrapped this data key, or read the plugin's log"
