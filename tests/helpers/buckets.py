"""Servers of object stores in processes of their own, and objects that are put into a bucket of S3."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""A signature that moto does not check; it must be there."""


@contextmanager
def served(server: str, *arguments: str, inside: Sequence[str] = ()) -> Iterator[str]:
    """The address of one of the servers in tests/helpers, in a process of its own. inside: of Network.inside()."""
    with subprocess.Popen(
        [*inside, sys.executable, "-m", f"tests.helpers.{server}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def put(url: str, raw: bytes, **headers: str) -> None:
    """Put an object, or make a bucket."""
    headers = {"Authorization": SIGNED, "Content-Type": "application/octet-stream", **headers}
    with urllib.request.urlopen(urllib.request.Request(url, raw, headers, method="PUT"), timeout=60):
        pass


def delete(url: str) -> None:
    """Remove an object."""
    request = urllib.request.Request(url, headers={"Authorization": SIGNED}, method="DELETE")
    with urllib.request.urlopen(request, timeout=60):
        pass
