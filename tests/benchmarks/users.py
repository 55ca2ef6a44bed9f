"""What the column `used_by` costs: 50,000 Pods, in clear and encrypted, as protobuf and as JSON, and 1,000 Secrets.

Each Pod names one of the Secrets; in "json, of others" none does.

    python -m tests.benchmarks.users [--pods 50000] [--rounds 5]

Seconds of used_by.of_selections() in one process, the least of the rounds: wall time, then processor time.
"""

import argparse
import json
import random
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest import mock

import auditor
from auditor import Options
from auditor.audit import used_by
from auditor.protobuf import references_pb2 as pb
from tests.helpers import sealing
from tests.helpers.objects import StoredObject, envelope

SECRETS = 1000
KEY = bytes(range(32))


def pod(number: int) -> bytes:
    """A Pod of some 3 KB with as many fields as usual: two containers, a dozen variables, five volumes."""
    made = pb.Pod()
    for note in range(4):
        made.metadata.annotations.add(key=b"example.com/note-%d" % note, value=b"v" * 30)
    replicas = b"web-%d" % (number // 3)
    made.metadata.owner_references.add(kind=b"ReplicaSet", name=replicas, api_version=b"apps/v1", controller=True)
    for _ in range(2):
        container = made.spec.containers.add()
        for variable in range(6):
            added = container.env.add()
            if variable == 3:
                added.value_from.secret_key_ref.inline.name = b"secret-%d" % (number % SECRETS)
    made.spec.volumes.add().inline.secret.secret_name = b"secret-%d" % (number // 7 % SECRETS)
    for _ in range(4):
        made.spec.volumes.add()
    made.spec.image_pull_secrets.add(name=b"secret-0")
    # what is not declared: conditions, managed fields, and the rest
    undeclared = b"\x1a\x20" + b"c" * 32
    return made.SerializeToString() + undeclared * 14 + b"\x1a\xc4\x13" + b"m" * 2500


def as_json(number: int, name: str) -> bytes:
    reference = {"secretKeyRef": {"name": f"{name}-{number % SECRETS}", "key": "x"}}
    filler = [{"name": f"V{each}", "value": "v" * 30} for each in range(24)]
    spec = {"containers": [{"env": [*filler, {"name": "S", "valueFrom": reference}]}], "note": "n" * 1500}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}).encode()


def stored(number: int, form: str, rng: random.Random) -> tuple[bytes, bytes]:
    key = b"/registry/pods/team-%02d/pod-%06d" % (number % 20, number)
    name = "other" if "others" in form else "secret"
    value = as_json(number, name) if "json" in form else envelope(b"v1", b"Pod", pod(number))
    if "encrypted" in form:
        value = b"k8s:enc:aesgcm:v1:key1:" + sealing.gcm(KEY, value, key, rng)
    return key, value


def secrets() -> list[tuple[bytes, bytes]]:
    things = (
        StoredObject(b"team-%02d" % (number % 20), b"secret-%d" % number, {b"password": b"hunter2"})
        for number in range(SECRETS)
    )
    return [(thing.key, thing.protobuf()) for thing in things]


def measure(form: str, pods: int, rounds: int, folder: Path) -> str:
    rng = random.Random(1)
    pairs = [*secrets(), *(stored(number, form, rng) for number in range(pods))]
    snapshot = sealing.database(folder / "made.db", pairs)
    config = sealing.configuration(
        folder / "config.json", sealing.provider("aesgcm", ("key1", KEY)), {"identity": {}}, resources=("pods",)
    )
    options = Options(encryption_configs=(config,) if "encrypted" in form else (), quick=True)
    times: list[tuple[float, float]] = []
    whole = used_by.of_selections

    def timed(*arguments: object, **more: object) -> object:
        before = time.perf_counter(), time.process_time()
        result = partial(whole, *arguments, **more)()  # type: ignore[arg-type]
        times.append((time.perf_counter() - before[0], time.process_time() - before[1]))
        return result

    with mock.patch.object(used_by, "of_selections", timed):
        for _ in range(rounds):
            auditor.scan(snapshot, options)
    wall, processor = map(min, zip(*times, strict=True))
    return f"{form:24} {snapshot.stat().st_size / 1e6:6.0f} MB  {wall:5.2f} s  {processor:5.2f} processor seconds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for form in ("protobuf", "json", "json, of others", "encrypted protobuf", "encrypted json"):
        with tempfile.TemporaryDirectory() as folder:
            print(measure(form, asked.pods, asked.rounds, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
