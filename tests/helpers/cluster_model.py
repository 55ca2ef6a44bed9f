"""Two clusters in memory, with stand-ins for kubectl, etcdctl and etcd-auditor that ask for them, and that fail.

A stand-in is a dozen lines of bash that pass its arguments on to this process and print its answer. Whatever the
script does to a cluster goes through `World.call`, so that it is held there against what must never be.
"""

import json
import os
import random
import re
import shlex
import signal
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

OLD, NEW = "k8s\\x00", "k8s:enc:aescbc:v1:key1:"
TREE = "/registry/secrets/"
END = b"\0END\0"
STAND_IN = """\
#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port} || exit 97
printf '%s\\0' "${{0##*/}}" "${{RUN_OF:-none}}" "${{ETCDCTL_ENDPOINTS:-}}" "$@" >&3
printf 'STDIN\\0' >&3
case " $* " in *" --filename - "* | *" txn "*) cat >&3 ;; esac
printf '\\0END\\0' >&3
IFS= read -r code <&3
IFS= read -r error <&3
[ -z "$error" ] || printf '%s\\n' "$error" >&2
cat <&3
exit "$code"
"""
Answer = tuple[int, str, str]
"""Exit code, one line of standard error, standard output."""


@dataclass
class Value:
    """A Secret as it is stored."""

    uid: str
    revision: int
    form: str
    content: int


@dataclass
class Cluster:
    """One cluster and its etcd."""

    uid: str
    etcd_id: int
    secrets: dict[str, Value] = field(default_factory=dict)
    revision: int = 10
    write: str = OLD
    """The form that its API server writes."""
    wild: bool = False
    """Whether its namespaces are encrypted."""
    compacted: int = 0
    members: dict[str, bool] = field(default_factory=lambda: {"11": False, "12": False, "13": False})
    """Whether each member was defragmented."""
    leader: str = "12"
    log: list[tuple[str, str, int, str]] = field(default_factory=list)
    """Name, uid, revision and form of all that was ever stored."""
    counter: int = 0

    def put(self, name: str, form: str, content: int, uid: str = "") -> None:
        self.revision += 1
        self.counter += 1
        uid = uid or f"{self.uid}-{name}-{self.counter}"
        self.secrets[name] = Value(uid, self.revision, form, content)
        self.log.append((name, uid, self.revision, form))

    @property
    def old(self) -> list[str]:
        return [name for name, value in self.secrets.items() if value.form == OLD]


class World:
    """Both clusters, and what happens when. Faults and others' writes are drawn from `rng` while `troubled`."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        same = rng.random() < 0.3
        self.clusters = {"a": Cluster("uid-aaaa", 77), "b": Cluster("uid-bbbb", 77 if same else 88)}
        self.contexts = {"a": "a", "b": "b"}
        self.context = "a"
        self.troubled = True
        self.violations: list[str] = []
        self.calls = 0
        self.at: dict[int, Callable[[], None]] = {}
        """What happens at the call of a number."""
        self.steps: dict[str, str] = {}
        """What each run may do: dry, rewrite, compact, defragment, held."""
        self.checked: dict[str, int] = {}
        """The revision at which each run last asked etcd for the newest values."""
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        world = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                data = b""
                while not data.endswith(END):
                    part = self.request.recv(1 << 16)
                    if not part:
                        return
                    data += part
                head, _, stdin = data.removesuffix(END).partition(b"\0STDIN\0")
                program, run, endpoints, *arguments = head.decode().split("\0")
                code, error, out = world.call(program, run, endpoints, arguments, stdin.decode())
                self.wfile.write(f"{code}\n{error}\n{out}".encode())

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A stand-in that was killed does not wait for its answer."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    def install(self, folder: Path) -> None:
        folder.mkdir()
        for name in ("kubectl", "etcdctl", "etcd-auditor"):
            path = folder / name
            path.write_text(STAND_IN.format(port=self.server.server_address[1]))
            path.chmod(0o755)

    def chance(self, share: float) -> bool:
        return self.troubled and self.rng.random() < share

    def call(self, program: str, run: str, endpoints: str, arguments: list[str], stdin: str) -> Answer:
        with self._lock:
            self.calls += 1
            if (event := self.at.pop(self.calls, None)) is not None:
                event()
            if program == "kubectl":
                return self._kubectl(run, arguments, stdin)
            if program == "etcdctl":
                return self._etcdctl(run, endpoints, arguments, stdin)
            return self._auditor(endpoints, arguments)

    # ---- kubectl

    def _kubectl(self, run: str, arguments: list[str], stdin: str) -> Answer:
        if arguments[:2] == ["config", "current-context"]:
            return 0, "", f"{self.context}\n"
        if arguments[:2] == ["config", "view"]:
            asked = next((each.partition("=")[2] for each in arguments if each.startswith("--context=")), self.context)
            return 0, "", f"https://{self.contexts[asked]}"
        asked = next((each.partition("=")[2] for each in arguments if each.startswith("--context=")), self.context)
        if self.chance(0.01):  # another kubeconfig in the place of the first
            self.contexts = {"a": self.rng.choice("ab"), "b": self.rng.choice("ab")}
        server = next((each[-1] for each in arguments if each.startswith("--server=")), self.contexts[asked])
        cluster = self.clusters[server]
        self._others(cluster)
        if self.chance(0.03):
            return 1, self.rng.choice(["error: You must be logged in to the server", "Unable to connect"]), ""
        words = [each for each in arguments if not each.startswith(("--context=", "--server=", "--request-timeout="))]
        if words[0] == "get":
            return self._get(cluster, words[1:])
        return self._replace(cluster, run, words, stdin)

    def _others(self, cluster: Cluster, share: float = 0.04) -> None:
        """What other clients do meanwhile."""
        if self.chance(share):
            name = self.rng.choice([*cluster.secrets, "x1", "x2"])
            value = cluster.secrets.get(name)
            if value is not None and self.rng.random() < 0.25:
                del cluster.secrets[name]
                cluster.revision += 1
            else:
                cluster.put(name, cluster.write, self.rng.randrange(1 << 30), value.uid if value else "")

    def _get(self, cluster: Cluster, words: list[str]) -> Answer:
        if words[:2] == ["namespace", "kube-system"]:
            return 0, "", cluster.uid
        names = [each.partition("/")[2] for each in words if each.startswith("secrets/")]
        code, error, lines = 0, "", []
        output = next(each for before, each in pairwise(words) if before == "--output")
        facts = output.startswith("custom-columns=")
        lines.append(f"Namespace kube-system {cluster.uid} 3" if facts else f"Namespace {cluster.uid} {{}}")
        for name in names:
            if self.chance(0.04):
                code, error = 1, f"Error from server ({self.rng.choice(['Forbidden', 'Timeout'])}): failed"
                continue
            value = cluster.secrets.get(name)
            if value is None or self.chance(0.02):  # a list that is only a part
                continue
            if facts:
                lines.append(f"Secret   {name}   {value.uid}   {value.revision}")
            else:
                text = {"name": name, "uid": value.uid, "revision": value.revision, "content": value.content}
                lines.append(f"Secret {value.uid} {json.dumps(text)}")
        out = "".join(f"{line}\n" for line in lines)
        if self.chance(0.03):
            return 1, "unexpected error when reading response body", out[: self.rng.randrange(len(out) + 1)]
        return code, error, out

    def _replace(self, cluster: Cluster, run: str, words: list[str], stdin: str) -> Answer:
        dry = "--dry-run=server" in words
        code, error, out = 0, "", ""
        documents = []
        for line in stdin.splitlines():
            try:
                documents.append(json.loads(line))
            except ValueError:
                code, error = 1, "error: parsing"
        for document in documents:
            if self.chance(0.06):
                code, error = 1, f"Error from server ({self.rng.choice(['Conflict', 'TooManyRequests'])}): failed"
                continue
            value = cluster.secrets.get(document["name"])
            if value is None or (value.uid, value.revision) != (document["uid"], document["revision"]):
                code, error = 1, "Error from server (Conflict): changed"
                continue
            if not dry:
                self._held_against(cluster, run, "rewrite", f"replace of {document['name']}")
                if value.form != cluster.write:  # an update that changes nothing is written only where it is stale
                    cluster.put(document["name"], cluster.write, value.content, value.uid)
            if self.chance(0.04):  # written, and the answer is lost
                code, error = 1, "Error from server (Timeout): failed"
                continue
            out += f"secret/{document['name']}\n"
        return code, error, out

    def _held_against(self, cluster: Cluster, run: str, step: str, what: str) -> None:
        if cluster is not self.clusters["a"]:
            self.violations.append(f"{what} in another cluster")
        if self.steps.get(run) != step:
            self.violations.append(f"{what} by a run that may only {self.steps.get(run)}")

    # ---- etcdctl

    def _etcdctl(self, run: str, endpoints: str, arguments: list[str], stdin: str) -> Answer:
        cluster = self.clusters[endpoints[0]]
        if self.chance(0.03):
            return 1, "context deadline exceeded", ""
        words = [each for each in arguments if not each.startswith("--command-timeout")]
        match words[0], words[1:2]:
            case "endpoint", ["status"]:
                out = "".join(self._status(cluster, each) for each in endpoints.split(","))
            case "endpoint", _:
                return (1, "unhealthy", "") if self.chance(0.05) else (0, "", "healthy\n")
            case "member", _:
                out = "".join(f"{int(each):x}, started\n" for each in cluster.members)
            case "compaction", _:
                return self._compaction(cluster, run, int(words[-1]))
            case "defrag", _:
                self._held_against(cluster, run, "defragment", "defragmentation")
                cluster.members[endpoints[1:]] = True
                out = ""
            case "txn", _:
                names = [line.removeprefix(f"get {TREE}ns/") for line in stdin.splitlines() if line.startswith("get ")]
                out = f'"ClusterID" : {cluster.etcd_id}\n"Succeeded" : true\n'
                out += "".join(
                    f'"ClusterID" : 0\n{self._pair(cluster, name)}"Count" : {int(name in cluster.secrets)}\n'
                    for name in names
                )
            case _:
                return self._read(cluster, run, words)
        if self.chance(0.03):
            out = out[: self.rng.randrange(len(out) + 1)]
            return 1, "cut", out
        return 0, "", out

    def _status(self, cluster: Cluster, endpoint: str) -> str:
        member = endpoint[1:]
        done = cluster.members[member]
        return (
            f'"ClusterID" : {cluster.etcd_id}\n"MemberID" : {member}\n"Revision" : {cluster.revision}\n'
            f'"RaftTerm" : 2\n"DBSize" : {1000 if done else 2000}\n"Leader" : {cluster.leader}\n"Errors" : []\n'
            f'"Endpoint" : "{endpoint}"\n\n'
        )

    def _pair(self, cluster: Cluster, name: str) -> str:
        value = cluster.secrets.get(name)
        if value is None:
            return ""
        return (
            f'"Key" : "{TREE}ns/{name}"\n"ModRevision" : {value.revision}\n"Version" : 1\n"Value" : "{value.form}x"\n'
            '"Lease" : 0\n'
        )

    def _read(self, cluster: Cluster, run: str, words: list[str]) -> Answer:
        head = f'"ClusterID" : {cluster.etcd_id}\n"Revision" : {cluster.revision}\n'
        revision = next((int(each.partition("=")[2]) for each in words if each.startswith("--rev=")), 0)
        if revision and revision < cluster.compacted:
            return 1, "Error: etcdserver: mvcc: required revision has been compacted", ""
        if words[1] == "/registry/namespaces/kube-system":
            value = "k8s:enc:aescbc:v1:key1:x" if cluster.wild else f"k8s\\x00 {cluster.uid}"
            return 0, "", f'{head}"Key" : "{words[1]}"\n"ModRevision" : 3\n"Value" : "{value}"\n"Count" : 1\n'
        newest = sorted(cluster.secrets, key=lambda name: -cluster.secrets[name].revision)[:20]
        self.checked[run] = cluster.revision
        pairs = "".join(self._pair(cluster, name) for name in newest)
        return 0, "", f'{head}{pairs}"More" : false\n"Count" : {len(cluster.secrets)}\n'

    def _compaction(self, cluster: Cluster, run: str, revision: int) -> Answer:
        self._held_against(cluster, run, "compact", "compaction")
        # what an API server writes after the last look, no look shows
        seen = self.checked.get(run, cluster.revision)
        if any(cluster.secrets[name].revision <= seen for name in cluster.old):
            self.violations.append(f"compaction while {cluster.old} are of the old form")
        if revision > cluster.revision:
            return 1, "future revision", ""
        cluster.compacted = max(cluster.compacted, revision)
        return (1, "deadline exceeded", "") if self.chance(0.2) else (0, "", f"compacted revision {revision}\n")

    # ---- etcd-auditor

    def _auditor(self, endpoints: str, arguments: list[str]) -> Answer:
        if arguments[0] == "watch":
            if self.chance(0.1):
                return self.rng.choice([2, 3]), "no endpoint answers", ""
            code = 1 if self.clusters[endpoints[0]].old else 0
            self._others(self.clusters[endpoints[0]], 0.2)
            return code, "", "read\n"
        document = json.loads(Path(arguments[1]).read_text())
        if document["uid"] not in arguments:
            return 2, "of another cluster", ""
        lines = [
            ' "complete": true,',
            ' "evidence": {',
            f'  "kind": "{document["kind"]}",',
            f'  "sha256": "{"5" * 64}",',
            '  "trailer": "matches",',
            '  "changed": "",',
            f'   "revision": {document["revision"]},',
            " },",
            ' "counts": {',
            '  "gaps": 0,',
            " },",
        ]
        return 1, "", "\n".join(lines) + "\n"


def untrue(world: World, notes: Path) -> list[str]:
    """The whole lines of notes that are not so."""
    cluster = world.clusters["a"]
    known = set(cluster.log)
    odd = []
    for line in notes.read_text().splitlines()[1:]:
        words = line.split()
        if words[-1:] != ["."]:
            continue
        match words[0]:
            case "done":
                good = (words[3], words[4], int(words[5]), NEW) in known and len(words) == 7
            case "written":
                good = any((words[3], words[4], int(words[5]), form) in known for form in (OLD, NEW))
            case "compacted":
                good = cluster.compacted >= int(words[1])
            case "defragmented":
                good = cluster.members[str(int(words[1], 16))]
            case "etcd":
                good = words[1] == str(cluster.etcd_id)
            case "proof":
                good = any(each[0] == words[3] and each[2] == int(words[4]) for each in known)
            case _:
                good = words[0] in {"preserved", "verified", "rewritten", "gone", "again", "compacting"}
        if not good:
            odd.append(line)
    return odd


def kill(pid: int, *, group: bool, number: int = signal.SIGKILL) -> None:
    """Kill a run, or a run with all that it started."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except ProcessLookupError:
        return


def batches(text: str) -> list[str]:
    """The names in the batches of a script."""
    return [name for line in re.findall(r"^batch .*$", text, re.MULTILINE) for name in shlex.split(line)[3:]]


def wait(group: int) -> None:
    """Wait for what a killed run has started: it may still be at work."""
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
