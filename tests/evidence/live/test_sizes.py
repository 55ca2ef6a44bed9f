"""Many Secrets, and large ones: by both ways the same."""

from itertools import pairwise
from pathlib import Path

import auditor
from auditor.evidence.live import range_read
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.helpers.observers import Calling

COUNT = 100_000
LIMITS = ("--max-txn-ops=20000", "--max-request-bytes=100000000", "--quota-backend-bytes=4000000000")


def test_a_hundred_thousand_secrets(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", *LIMITS) as etcd:
        value = StoredObject(b"shop", b"s", {b"password": b"hunter2"}).protobuf()
        for start in range(0, COUNT, 10_000):
            pairs = [(b"/registry/secrets/shop/s%06d" % (start + number), value) for number in range(10_000)]
            revision = etcd.put_many(pairs)
        snapshot = auditor.scan(etcd.url, auditor.Options(rows=False))
        calls = []
        ranged = auditor.scan(
            etcd.url,
            auditor.Options(range_only=True, rows=False),
            observer=Calling(received=lambda done, total: calls.append((done, total))),
        )
    assert snapshot.tally.objects == ranged.tally.objects == COUNT
    assert ranged.evidence.live is not None
    assert ranged.evidence.live.revision == revision
    assert 5 < len(calls) < COUNT // range_read.FIRST  # the pages grew
    assert ranged.evidence.size == COUNT * (len(b"/registry/secrets/shop/s000000") + len(value))


def test_values_of_a_megabyte(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", *LIMITS) as etcd:
        things = [StoredObject(b"shop", b"s%02d" % number, {b"password": b"x" * 1_000_000}) for number in range(40)]
        etcd.put_many((thing.key, thing.protobuf()) for thing in things)
        calls = []
        ranged = auditor.scan(
            etcd.url,
            auditor.Options(range_only=True),
            observer=Calling(received=lambda done, total: calls.append(done)),
        )
        snapshot = auditor.scan(etcd.url)
    latest = snapshot.inventory[snapshot.inventory["place"] == "latest"].sort_values("key")
    assert ranged.inventory["size"].tolist() == latest["size"].tolist()
    assert len(latest) == 40
    assert ranged.inventory["size"].min() > 1_000_000
    steps = [after - before for before, after in pairwise(calls)]
    assert max(steps) < 2 * range_read.TARGET  # all but the first page, of which nothing was known
