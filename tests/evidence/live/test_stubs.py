"""The client library over our messages."""

import subprocess
import sys

from auditor.evidence.live import stubs


def test_there_is_no_way_to_write() -> None:
    import grpc

    library = stubs.load()
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        services = ("KV", "Watch", "Lease", "Cluster", "Maintenance", "Auth")
        methods = {
            name
            for service in services
            for name, part in vars(getattr(library.etcdrpc, f"{service}Stub")(channel)).items()
            if callable(part)
        }
    assert methods == {"Range", "Watch", "MemberList", "Status", "Snapshot", "Authenticate", "UserGet", "RoleGet"}


def test_the_commands_start_without_it() -> None:
    """A process that has started gRPC must not fork, and the command forks; also, it takes a quarter of a second."""
    code = "import sys, auditor.__main__, auditor.cli.app; print({'grpc', 'etcd3', 'numpy', 'ssl'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
