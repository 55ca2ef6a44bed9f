"""A real S3 server (moto's) on a port of its own, in a process of its own; prints its address.

    python -m tests.helpers.s3_server [--faults N] [--host ADDRESS]

Objects with `denied` in their names are refused, as by a policy of the bucket. With --faults one answer in N is "slow
down", and as many objects are cut half-way.
"""

import argparse
import sys
import threading
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class Policy:
    """What stands before the server."""

    def __init__(self, faults: int) -> None:
        self._server = DomainDispatcherApplication(create_backend_app)
        self._faults, self._requests = faults, count(1)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        reads = environ["REQUEST_METHOD"] in {"GET", "HEAD"}
        if reads and "denied" in environ["PATH_INFO"]:
            return self._refused(start, "403 Forbidden", "AccessDenied")
        number = next(self._requests) if reads and self._faults else 1
        if self._faults and number % self._faults == 0:
            return self._refused(start, "503 Slow Down", "SlowDown")
        answer = self._server(environ, start)
        of_object = environ["PATH_INFO"].count("/") > 1 and environ["REQUEST_METHOD"] == "GET"
        if self._faults and of_object and number % self._faults == self._faults // 2:
            return self._cut(answer)
        return answer  # type: ignore[no-any-return]

    @staticmethod
    def _refused(start: Any, status: str, code: str) -> list[bytes]:
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'.encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    @staticmethod
    def _cut(answer: Iterable[bytes]) -> Iterator[bytes]:
        """Half of the answer, then the end of the connection."""
        body = b"".join(answer)
        yield body[: len(body) // 2]
        if len(body) > 1:
            raise ConnectionAbortedError


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    server = make_server(arguments.host, 0, Policy(arguments.faults), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://{arguments.host}:{server.server_port}", flush=True)
    sys.stdin.read()
