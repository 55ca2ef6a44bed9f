"""A cluster to remedy: a real etcd behind an API server, the evidence of it, and the script of that evidence, run."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.helpers.api_server import IDENTITY, ApiServer, kubeconfig
from tests.helpers.etcd import Etcd, binary
from tests.helpers.fixtures import FIXTURES
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, configuration, provider

REQUIRED = "ETCD_AUDITOR_TEST_KUBECTL"
"""Set where kubectl must be there: its absence is a failure then. May be its path."""
UID = "71314e90-44b9-4311-833c-506d91031055"
OTHER_UID = "00000000-44b9-4311-833c-506d91031055"
CBC = ("aescbc", "key1", KEY)
CANARY = b"CANARY-rem-5c1e"


def kubectl() -> str:
    """The path of a real kubectl."""
    asked = os.environ.get(REQUIRED, "")
    path = asked if "/" in asked else shutil.which("kubectl")
    if path is None:
        if asked:
            pytest.fail(f"{REQUIRED} is set, and there is no kubectl: apt-get install kubernetes-client")
        pytest.skip("no kubectl")
    return path


def secret(number: int, namespace: bytes = b"ns") -> StoredObject:
    return StoredObject(namespace, b"s%03d" % number, {b"password": CANARY + b"-%03d" % number}, uid=b"u-%03d" % number)


def program(path: Path, *lines: str) -> Path:
    """A program of a shell."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


def auditor_program(folder: Path) -> Path:
    """etcd-auditor as a program."""
    return program(folder / "etcd-auditor", f'PYTHONPATH="{FIXTURES.parent}" exec "{sys.executable}" -m auditor "$@"')


@dataclass
class Migration:
    """A cluster with `count` plain Secrets and its evidence; the write path is encrypted after that."""

    folder: Path
    count: int = 4
    uid: str = UID
    etcd: Etcd = None  # type: ignore[assignment]
    """Its etcd, or one member of it; started where none is given."""
    prefix: str = "/registry"
    """Storage prefix."""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.own = self.etcd is None
        if self.own:
            self.etcd = Etcd(self.folder / "data")
        self.server = ApiServer(self.etcd, self.uid, prefix=self.prefix).__enter__()
        for number in range(self.count):
            self.server.create(secret(number), IDENTITY)
        self.evidence = self.etcd.save(self.folder / "evidence.db")
        self.config = configuration(self.folder / "config.json", provider("aescbc", ("key1", KEY)), {"identity": {}})
        self.server.providers = [CBC, IDENTITY]
        self.kubeconfig = kubeconfig(self.folder / "kubeconfig", {"one": self.server.url}, "one")
        self.script = self.folder / "case" / "r.sh"
        self.script.parent.mkdir()
        program(self.folder / "bin" / "kubectl", f'exec "{kubectl()}" "$@"')
        program(self.folder / "bin" / "etcdctl", f'exec "{binary("etcdctl")}" "$@"')
        auditor_program(self.folder / "bin")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.__exit__(kind, error, at)
        if self.own:
            self.etcd.__exit__(kind, error, at)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig),
            "PAUSE": "0",
            "OPERATOR": "tester",
        }

    @property
    def live(self) -> dict[str, str]:
        return {"ETCDCTL_ENDPOINTS": self.etcd.endpoint}

    def make(self, *options: str, evidence: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The script of the evidence."""
        command = [str(self.folder / "bin" / "etcd-auditor"), "scan", str(evidence or self.evidence)]
        command += ["--encryption-config", self.config, "--remediation", str(self.script), "--force", *options]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str, shell: str = "sh", **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [shell, self.script, *arguments],
            env={**self.variables, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, shell: str = "sh", **environment: str) -> tuple[int, str]:
        """Exit code, and all that the script says; no value is in it."""
        with self.start(*arguments, shell=shell, **environment) as process:
            said, _ = process.communicate(timeout=600)
        assert CANARY.decode() not in said
        return process.returncode, said

    def apply(self, **environment: str) -> tuple[int, str]:
        return self.run(APPLY="yes", PRESERVED=str(self.evidence), **self.live, **environment)

    def snapshot(self, name: str = "later.db") -> Path:
        path = self.folder / name
        path.unlink(missing_ok=True)
        return self.etcd.save(path)

    @property
    def plain(self) -> list[str]:
        """The names of the Secrets that are plain in latest."""
        return [
            key.decode().rpartition("/")[2]
            for key, record in self.etcd.get_all().items()
            if key.startswith(f"{self.prefix}/secrets/".encode()) and not record.value.startswith(b"k8s:enc:")
        ]

    @property
    def notes(self) -> list[str]:
        return [line for path in self.script.parent.glob("*.notes") for line in path.read_text().splitlines()]

    @property
    def written(self) -> list[str]:
        """The paths of the updates that the API server was asked for."""
        return [path for method, path in self.server.requests if method == "PUT" and "dryRun" not in path]

    def compacted(self) -> int:
        """The revision up to which the history is gone: of the oldest that can still be read, less one."""
        import grpc

        from auditor.protobuf import rpc_pb2 as rpc

        last = self.etcd.call("Range", rpc.RangeRequest(key=b"x")).header.revision
        for revision in range(1, last + 1):
            try:
                self.etcd.call("Range", rpc.RangeRequest(key=b"x", revision=revision))
            except grpc.RpcError:
                continue
            return revision
        return int(last)


def report(path: Path) -> Any:
    return json.loads(path.read_text())
