"""The real command, many times over: one process imports it, and a fork of that is each run."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.helpers.fixtures import FIXTURES

_SERVER = """
import json, os, sys
from auditor import audit
from auditor.__main__ import main
from auditor.cli import app
from auditor.reports import csv, dataset, html, json as _json, parquet, remediation, sarif, terminal
for line in sys.stdin:
    arguments, out, err = json.loads(line)
    child = os.fork()
    if not child:
        for descriptor, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["etcd-auditor", *arguments]
        try:
            main()
        except SystemExit as end:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Server:
    """Where the runs are forked off. `left`: the folder for its temporary files, which is to stay empty."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.left = Path(self._folder.name) / "left"
        self.left.mkdir()
        environment = {**os.environ, "TMPDIR": str(self.left), "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
            cwd=FIXTURES.parent,
        )
        atexit.register(self.stop)

    def run(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        out, err = (Path(self._folder.name) / name for name in ("out", "err"))
        line = list(map(str, arguments))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([line, str(out), str(err)]) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        texts = [path.read_bytes().decode("utf-8", "replace") for path in (out, err)]
        return subprocess.CompletedProcess(line, code, *texts)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


@cache
def server() -> Server:
    return Server()


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """One run of the command."""
    return server().run(*arguments)
