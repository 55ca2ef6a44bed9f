"""A network of its own: hosts in network namespaces that a bridge joins; links that are cut, and packets that are lost.

All of it lives in one process id, mount and network namespace whose first process ends with the test's: whatever ends
the test, the kernel ends every process in it, and with them namespaces, links and rules.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.helpers.tools import REQUIRED

PACKAGES = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux"}
"""Debian's packages of the programs."""
PREFIX = "198.18.23."
"""Of RFC 2544, for tests of networks; nothing outside the namespaces can reach it, nor the other way."""
SETUP = (
    "mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up && ip link add bridge type bridge && "
    "ip link set bridge up && echo ready && exec cat"
)
TOP = Path(__file__).parents[2]


class Network:
    """Hosts by their names, each with an address of its own."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.hosts = {host: f"{PREFIX}{number}" for number, host in enumerate(hosts, 1)}
        self._user = ["--user", "--map-root-user"] if os.geteuid() else []

    def __enter__(self) -> Self:
        for program, package in PACKAGES.items():
            if shutil.which(program) is None:
                missing = f"no network is made: there is no {program} on the PATH (apt-get install {package})"
                if os.environ.get(REQUIRED):
                    pytest.fail(missing)
                pytest.skip(missing)
        own = ["--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=KILL"]
        self._outer = subprocess.Popen(
            ["unshare", *self._user, *own, "sh", "-c", SETUP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._outer.stdout is not None
        if self._outer.stdout.readline() != b"ready\n":
            self.__exit__()
            pytest.skip("no network namespaces can be made here: neither as root nor in a user namespace")
        (self._first,) = psutil.Process(self._outer.pid).children()
        try:
            for host, address in self.hosts.items():
                self._add(host, address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._outer.stdin is not None
        assert self._outer.stdout is not None
        self._outer.kill()
        self._outer.stdin.close()
        self._outer.stdout.close()
        self._outer.wait()

    def _add(self, host: str, address: str) -> None:
        self._run("ip", "netns", "add", host)
        self._run("ip", "link", "add", f"to-{host}", "type", "veth", "peer", "name", "eth0", "netns", host)
        self._run("ip", "link", "set", f"to-{host}", "master", "bridge", "up")
        self._run("ip", "-n", host, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            self._run("ip", "-n", host, "link", "set", link, "up")

    def inside(self, host: str = "") -> list[str]:
        """What stands before a command that is to run on a host; without one on the bridge."""
        place = f"/proc/{self._first.pid}/root/run/netns/{host}" if host else f"/proc/{self._first.pid}/ns/net"
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", f"--target={self._first.pid}", *user, "--mount", "--pid", f"--net={place}", f"--wd={TOP}"]

    def _run(self, *command: str, host: str = "") -> None:
        subprocess.run([*self.inside(host), *command], check=True, capture_output=True, timeout=60)

    def cut(self, host: str) -> None:
        """Set the link of a host down: whoever waits for an answer gets none, not even a refusal."""
        self._run("ip", "link", "set", f"to-{host}", "down")

    def mend(self, host: str) -> None:
        """Set it up again."""
        self._run("ip", "link", "set", f"to-{host}", "up")

    def lose(self, host: str, percent: int) -> None:
        """Have packets that come to a host be lost at random, from now on."""
        self._filter(host, "loss", f"iifname eth0 numgen random mod 100 < {percent} counter drop")

    def refuse(self, host: str, other: str) -> None:
        """Have a host refuse every connection of another one."""
        self._filter(host, "refused", f"ip saddr {self.hosts[other]} meta l4proto tcp reject with tcp reset")

    def _filter(self, host: str, table: str, rule: str) -> None:
        """Have a host's input pass a rule, in a table of its own."""
        self._run("nft", "add", "table", "inet", table, host=host)
        self._run("nft", "add", "chain", "inet", table, "in", "{ type filter hook input priority 0; }", host=host)
        self._run("nft", "add", "rule", "inet", table, "in", *rule.split(), host=host)

    def admit(self, host: str) -> None:
        """Have it refuse nobody any more."""
        self._run("nft", "delete", "table", "inet", "refused", host=host)

    def lost(self, host: str) -> int:
        """The number of packets that were lost on the way to a host."""
        rules = subprocess.run(
            [*self.inside(host), "nft", "list", "table", "inet", "loss"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.split()
        return int(rules[rules.index("packets") + 1])

    def processes(self, host: str) -> list[psutil.Process]:
        """The processes on a host."""
        first = Path("/proc", str(self._first.pid))
        place, network = (first / "ns/pid").readlink(), (first / "root/run/netns" / host).stat().st_ino
        own = []
        for process in psutil.process_iter():
            its = Path("/proc", str(process.pid), "ns")
            try:
                if (
                    (its / "pid").readlink() == place
                    and (its / "net").stat().st_ino == network
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    own.append(process)
            except (OSError, psutil.Error):
                continue
        return own

    def orphans(self) -> list[psutil.Process]:
        """The processes whose parents have ended: the first process of the namespace is their parent now."""
        own = []
        for process in self._first.children():
            try:
                if process.status() != psutil.STATUS_ZOMBIE:
                    own.append(process)
            except psutil.Error:
                continue
        return own
