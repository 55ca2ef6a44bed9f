"""The one place where the client library is loaded: etcd3, over messages compiled from protos/.

etcd3 brings stubs that protoc made for protobuf 3, and current protobuf refuses them. They stand in one module,
`etcd3.etcdrpc`, which is filled here before etcd3 looks for it. The services in protos/ have no method that writes, so
this client has none either.
"""

import logging
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

PLACE = "etcd3.etcdrpc"


def load() -> Any:
    """The module `etcd3`. Starts gRPC: only ever called where no fork follows."""
    if PLACE not in sys.modules:
        os.environ["GRPC_VERBOSITY"] = "NONE"  # read once, when grpc is loaded; its lines would land on standard error
        os.environ.pop("GRPC_TRACE", None)
        logging.getLogger("grpc").addHandler(logging.NullHandler())
        sys.modules[PLACE] = _messages()
    import etcd3

    return etcd3


def _messages() -> ModuleType:
    from auditor.protobuf import rpc_pb2

    made = ModuleType(PLACE, "etcd's messages and services, from protos/.")
    made.__dict__.update({name: part for name, part in vars(rpc_pb2).items() if not name.startswith("_")})
    for service in rpc_pb2.DESCRIPTOR.services_by_name.values():
        made.__dict__[f"{service.name}Stub"] = _stub(service)
    return made


def _stub(service: Any) -> Callable[[Any], Any]:
    """What protoc's gRPC plugin would write for a service, without its demand for one version of grpcio."""
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
