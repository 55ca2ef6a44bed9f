"""The only import of the client library: etcd3, over messages compiled from protos/.

etcd3's own stubs are protoc's for protobuf 3, which current protobuf refuses. They are one module, `etcd3.etcdrpc`;
another takes its place before etcd3 imports it. The services in protos/ have no method that writes, and neither has
this client.
"""

import logging
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

PLACE = "etcd3.etcdrpc"


def load() -> Any:
    """The module `etcd3`. Starts gRPC: no fork may follow."""
    if PLACE not in sys.modules:
        os.environ["GRPC_VERBOSITY"] = "NONE"  # read once, when grpc is loaded; its lines would land on standard error
        os.environ.pop("GRPC_TRACE", None)
        logging.getLogger("grpc").addHandler(logging.NullHandler())
        sys.modules[PLACE] = _messages()
    import etcd3

    return etcd3


def _messages() -> ModuleType:
    from auditor.protobuf import rpc_pb2

    module = ModuleType(PLACE, "etcd's messages and services, from protos/.")
    module.__dict__.update({name: part for name, part in vars(rpc_pb2).items() if not name.startswith("_")})
    for service in rpc_pb2.DESCRIPTOR.services_by_name.values():
        module.__dict__[f"{service.name}Stub"] = _stub(service)
    return module


def _stub(service: Any) -> Callable[[Any], Any]:
    """The class that protoc's gRPC plugin writes for a service, without its demand for one version of grpcio."""
    from google.protobuf.message_factory import GetMessageClass

    def connect(channel: Any) -> Any:
        stub = ModuleType(service.name)
        for method in service.methods:
            kind = f"{_arity(method.client_streaming)}_{_arity(method.server_streaming)}"
            call = getattr(channel, kind)(
                f"/{service.full_name}/{method.name}",
                request_serializer=GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            setattr(stub, method.name, call)
        return stub

    return connect


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"
