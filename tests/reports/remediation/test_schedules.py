"""The script through random schedules of failures, against a model of two clusters.

Never is anything compacted while a value of the old form is in latest, never anything done to another cluster, never
something noted that is not so; when all goes well at last, all is rewritten.
"""

import json
import os
import random
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from auditor.reports.remediation import script
from auditor.reports.remediation.objects import ObjectReference, grouped
from auditor.reports.remediation.plan import Plan
from tests.helpers.cluster_model import NEW, OLD, TREE, World, kill, untrue, wait
from tests.helpers.sweeps import sample

SCHEDULES = sample(range(200), 4)
RUNS = 6
ALL = "a11,a12,a13"


def plan_of(count: int) -> Plan:
    objects = [ObjectReference("secrets", "ns", f"s{number}", f"{TREE}ns/s{number}") for number in range(count)]
    groups, _ = grouped(objects, {"secrets": NEW})
    return Plan(
        origin="a model",
        evidence="e" * 64,
        cluster="uid-aaaa",
        revision=10,
        groups=groups,
        trees=((TREE, NEW),),
        compaction=True,
        defragmentation=True,
    )


class Schedule:
    """One schedule: a world, the script in a folder, and runs of it."""

    def __init__(self, folder: Path, world: World) -> None:
        self.world, self.rng = world, world.rng
        world.install(folder / "bin")
        count = self.rng.randrange(2, 9)
        for name, cluster in world.clusters.items():
            cluster.revision = 2
            cluster.wild = self.rng.random() < 0.3
            for number in range(count):
                cluster.put(f"s{number}", OLD, number, f"{name}-{number}")
            cluster.revision = 10
        self.case = folder / "case"
        self.case.mkdir()
        self.script = self.case / "r.sh"
        self.script.write_text(script.render(replace(plan_of(count), batch=self.rng.choice([2, 3, 50]))))
        self.files = {}
        for name, uid, kind, revision in (
            ("good", "uid-aaaa", "API snapshot", 10),
            ("old", "uid-aaaa", "API snapshot", 9),
            ("other", "uid-bbbb", "API snapshot", 10),
        ):
            self.files[name] = folder / f"{name}.db"
            self.files[name].write_text(json.dumps({"uid": uid, "kind": kind, "revision": revision}))
        self.number = 0
        self.path = f"{folder / 'bin'}:/usr/bin:/bin"

    def start(self, step: str, endpoints: str, **more: str) -> "subprocess.Popen[str]":
        """A run; step: what it may do."""
        self.number += 1
        run = f"run-{self.number}"
        self.world.steps[run] = "nothing" if more.get("HOLD") else step
        confirmation = {
            "dry": {},
            "rewrite": {"APPLY": "yes"},
            "compact": {"COMPACT": "yes"},
            "defragment": {"DEFRAGMENT": more.pop("member", "b")},
        }[step]
        environment = {"PATH": self.path, "RUN_OF": run, "PAUSE": "0", "TRIES": "3", "OPERATOR": run, **more}
        return subprocess.Popen(
            ["sh", self.script],
            env={**environment, **confirmation, **({"ETCDCTL_ENDPOINTS": endpoints} if endpoints else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def kept(self) -> dict[str, str]:
        kind = self.rng.choice(["good", "good", "good", "hash", "old", "other", "none"])
        if kind == "hash":
            return {"PRESERVED_SHA256": "5" * 64, "PRESERVED_REASON": "in the vault"}
        return {} if kind == "none" else {"PRESERVED": str(self.files[kind])}

    def troubled(self) -> str:
        """One or two runs at once, with whatever goes wrong: what they say."""
        world, rng = self.world, self.rng
        world.contexts, world.context = {"a": "a", "b": "b"}, rng.choice("aaaab")
        world.clusters["a"].write = rng.choice([OLD, NEW, NEW, NEW])
        world.clusters["b"].write = rng.choice([OLD, NEW])
        processes = []
        for _ in range(rng.choice([1, 1, 1, 2])):
            step = rng.choice(["dry", "rewrite", "rewrite", "rewrite", "compact", "compact", "defragment"])
            endpoints = rng.choice([ALL, ALL, ALL, "a11", "b11,b12,b13", "b11", "a11,b12", ""])
            more = self.kept() if step != "dry" else {}
            if step == "defragment":
                more |= {"member": rng.choice("bcd")}
            if rng.random() < 0.1:
                more |= {"HOLD": "yes"}
            processes.append(self.start(step, endpoints, **more))
        for process in processes:
            if rng.random() < 0.35:
                group, number = rng.random() < 0.5, rng.choice([9, 9, 15])
                at = world.calls + rng.randrange(1, 60)
                world.at[at] = partial(kill, process.pid, group=group, number=number)
        if rng.random() < 0.3:
            world.at[world.calls + rng.randrange(1, 60)] = self.switch
        said = "".join(process.communicate(timeout=300)[0] for process in processes)
        world.at.clear()
        for process in processes:
            wait(process.pid)
        return said

    def switch(self) -> None:
        """Another context, or another kubeconfig in its place."""
        if self.rng.random() < 0.5:
            self.world.context = self.rng.choice("ab")
        else:
            self.world.contexts = {"a": self.rng.choice("ab"), "b": self.rng.choice("ab")}

    def check(self, said: str) -> None:
        assert self.world.violations == [], said
        for notes in self.case.glob("*.notes"):
            assert untrue(self.world, notes) == [], said

    def well(self, step: str, **more: str) -> str:
        said, _ = (process := self.start(step, ALL, **more)).communicate(timeout=300)
        self.check(said)
        assert process.returncode == 0, (step, said, [path.read_text() for path in self.case.glob("*.notes")])
        return said


@pytest.mark.parametrize("seed", SCHEDULES)
def test_a_schedule_of_failures_does_no_harm(seed: int, tmp_path: Path) -> None:
    with World(random.Random(seed)) as world:
        schedule = Schedule(tmp_path, world)
        for _ in range(RUNS):
            schedule.check(schedule.troubled())
        # all goes well at last; what was written in the old form since the evidence is another script's
        world.troubled = False
        world.contexts, world.context = {"a": "a", "b": "b"}, "a"
        cluster = world.clusters["a"]
        cluster.write = NEW
        for name in cluster.old:
            if name.startswith("x"):
                cluster.put(name, NEW, 0, cluster.secrets[name].uid)
        for link in schedule.case.glob("*.broken"):
            link.unlink()
        preserved = {"PRESERVED": str(schedule.files["good"])}
        if cluster.wild and not _proven(schedule.case):
            # an object to rewrite is left, which shows whose etcd it is
            cluster.put("s0", OLD, 0, cluster.secrets["s0"].uid if "s0" in cluster.secrets else "")
            for notes in schedule.case.glob("*.notes"):
                with notes.open("a") as out:
                    out.write("\nagain now .\n")
        schedule.well("rewrite", **preserved)
        assert cluster.old == []
        schedule.well("compact", **preserved)
        assert cluster.compacted > 10
        # a copy of a data directory is not in this model
        vault = {"PRESERVED_SHA256": "5" * 64, "PRESERVED_REASON": "in the vault"}
        for member in "bdc":  # the leader, 12, is c
            schedule.well("defragment", **vault, member=member)
        assert all(cluster.members.values())
        before = (cluster.revision, cluster.compacted)
        assert "0 rewritten now" in schedule.well("rewrite")
        assert "done before" in schedule.well("compact")
        assert (cluster.revision, cluster.compacted) == before


def _proven(folder: Path) -> bool:
    return any("\nproof " in path.read_text() for path in folder.glob("*.notes"))


def test_the_model_notices_harm(tmp_path: Path) -> None:
    """Each rule can fail: a script without its checks breaks it."""
    with World(random.Random(1)) as world:
        schedule = Schedule(tmp_path, world)
        world.troubled = False
        text = schedule.script.read_text()
        world.context = "b"
        world.clusters["b"].write = NEW
        schedule.script.write_text(text.replace("EA_CLUSTER=uid-aaaa", "EA_CLUSTER=uid-bbbb"))
        process = schedule.start("rewrite", "", PRESERVED=str(schedule.files["other"]))
        said, _ = process.communicate(timeout=300)
        assert any("in another cluster" in each for each in world.violations), said
        world.violations.clear()
        environment = {"PATH": schedule.path, "RUN_OF": "run-9", "ETCDCTL_ENDPOINTS": "a11", "HOME": os.devnull}
        world.steps["run-9"] = "compact"
        subprocess.run(["etcdctl", "compaction", "10"], env=environment, check=True, capture_output=True)
        assert any("old form" in each for each in world.violations)
