"""A live etcd, by its snapshot and by its keys, beside the same etcd's file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import auditor
from auditor.errors import AuditorError, UsageError
from auditor.evidence.scratch import NoRoom
from auditor.model.vocabulary import LiveWay, Place, Trailer
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, restore
from tests.helpers.fixtures import PLAINTEXT, REWRITTEN, truth
from tests.helpers.members import program, programs
from tests.helpers.objects import StoredObject
from tests.reports import test_schema
from tests.system import test_secrecy

CONFIGURATION = REWRITTEN.with_suffix(".encryption.json")
EVERYTHING = auditor.Options(resources=("*",), encryption_configs=(str(CONFIGURATION),))
WHERE = ["id", "source", "offset", "page", "also_in", "same_as_latest"]
"""What a row of a range cannot say as the same row of a database does."""


@pytest.fixture(scope="module", params=programs())
def etcd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """What 3-rewritten restores to, written on, deleted from, compacted: with freed pages."""
    name = program(request.param)
    folder = tmp_path_factory.mktemp("live")
    with restore(REWRITTEN, folder / "data") as first:
        stored = first.get_all()
    with Etcd(folder / "other", program=name) as etcd:
        for key, kv in sorted(stored.items(), key=lambda each: each[1].mod_revision):
            etcd.put(key, kv.value)
        for number in range(40):
            etcd.put(b"/registry/secrets/live/s%d" % number, StoredObject(b"live", b"s", {b"p": b"x" * 999}).protobuf())
        revision = etcd.delete(b"/registry/secrets/live/s1", b"/registry/secrets/live/s2")
        etcd.put(b"/registry/secrets/live/s20", StoredObject(b"live", b"s20", {b"p": b"new"}).protobuf())
        etcd.compact(revision)
        etcd.put(b"/registry/secrets/live/s21", StoredObject(b"live", b"s21", {b"p": b"newer"}).protobuf())
        yield etcd


def test_the_snapshot_taken_gives_the_rows_of_the_snapshot_kept(etcd: Etcd, tmp_path: Path) -> None:
    before = etcd.put(b"elsewhere", b"")
    kept = tmp_path / "kept.db"
    live = auditor.scan(etcd.url, replace(EVERYTHING, keep=str(kept)))
    offline = auditor.scan(kept, EVERYTHING)
    assert len(live.findings) > 40
    assert {Place.LATEST, Place.HISTORY, Place.FREED} <= {place for place, *_ in live.tally.places}
    pd.testing.assert_frame_equal(live.findings, offline.findings)
    pd.testing.assert_frame_equal(live.inventory, offline.inventory)
    assert live.evidence.sha256 == offline.evidence.sha256
    assert live.evidence.trailer == Trailer.MATCHES
    assert live.complete == offline.complete
    assert oct(kept.stat().st_mode) == "0o100600"
    assert list(tmp_path.iterdir()) == [kept]
    assert etcd.put(b"elsewhere", b"") == before + 1  # nobody wrote meanwhile


def test_the_member_and_the_way_are_told(etcd: Etcd) -> None:
    status = etcd.get_all()
    for options in (EVERYTHING, replace(EVERYTHING, range_only=True)):
        live = auditor.scan(etcd.url, options).evidence.live
        assert live is not None
        assert live.endpoint == etcd.url
        assert live.revision == max(kv.mod_revision for kv in status.values())
        assert live.way is (LiveWay.RANGE if options.range_only else LiveWay.SNAPSHOT)
        assert live.member_id
        assert live.cluster_id


def test_a_range_gives_the_latest_rows_without_offsets(etcd: Etcd) -> None:
    snapshot = auditor.scan(etcd.url, EVERYTHING).inventory
    audit = auditor.scan(etcd.url, replace(EVERYTHING, range_only=True))
    ranged = audit.inventory
    assert len(ranged) > 60
    assert ranged["offset"].isna().all()
    assert ranged["page"].isna().all()
    assert set(ranged["place"]) == {"latest"}
    latest = snapshot[snapshot["place"] == "latest"]
    pd.testing.assert_frame_equal(_comparable(ranged), _comparable(latest))
    assert not audit.complete
    assert {part.what for part in audit.unexamined if part.decisive} == {
        "history, deleted objects and freed pages",
        "keys outside /registry/",
    }
    accepted = auditor.scan(etcd.url, replace(EVERYTHING, range_only=True, accept_partial=True))
    assert accepted.complete
    assert [part.what for part in accepted.unexamined] == [part.what for part in audit.unexamined]


def test_the_json_report_is_of_its_schema(etcd: Etcd) -> None:
    for options in (EVERYTHING, replace(EVERYTHING, range_only=True)):
        document = test_schema.document_of(auditor.scan(etcd.url, options))
        assert test_schema.faults(document) == []
        assert document["evidence"]["live"]["endpoint"] == etcd.url
        of_none = {"weak-provider", "configuration"}
        values = [row for row in document["findings"] if row["finding"] not in of_none]
        assert values
        assert all((row["offset"] == "") == options.range_only for row in values)


def test_only_the_prefix_asked_for_is_read(etcd: Etcd) -> None:
    etcd.put(b"/registryx/secrets/n/s", StoredObject().protobuf())
    etcd.put(b"/other/registry/secrets/n/s", StoredObject().protobuf())
    found = auditor.scan(etcd.url, auditor.Options(range_only=True, storage_prefixes=("other/registry/",)))
    assert found.inventory["key"].tolist() == ["/other/registry/secrets/n/s"]
    both = auditor.scan(etcd.url, auditor.Options(range_only=True, storage_prefixes=("/registryx", "/other/registry")))
    assert len(both.inventory) == 2
    default = auditor.scan(etcd.url, auditor.Options(range_only=True))
    assert default.inventory["key"].str.startswith("/registry/").all()
    with pytest.raises(AuditorError, match="holds no key under /nothing"):
        auditor.scan(etcd.url, auditor.Options(range_only=True, storage_prefixes=("/nothing",)))
    etcd.delete(b"/registryx/", b"/registryx0")
    etcd.delete(b"/other/", b"/other0")


@pytest.mark.parametrize("way", [[], ["--range"], ["--hunt"], ["--range", "--hunt"], ["--quick"]], ids=" ".join)
def test_no_value_leaves(tmp_path: Path, way: list[str]) -> None:
    reports = {"--csv": "a.csv", "--inventory": "b.parquet", "--html": "c.html", "--json": "d.json"}
    paths = [part for option, name in reports.items() for part in (option, str(tmp_path / name))]
    with restore(PLAINTEXT, tmp_path.parent / f"{tmp_path.name}-etcd") as etcd:
        done = run("scan", etcd.url, *paths, *way, "-v")
    assert done.returncode in {1, 3}
    assert done.stdout.startswith("FINDINGS")
    assert done.stderr == ""
    texts = {**test_secrecy.texts_of(tmp_path), "stdout": done.stdout}
    assert set(reports.values()) < set(texts)
    assert test_secrecy.leaks(test_secrecy.forbidden(PLAINTEXT), texts) == []


def test_a_copy_found_in_a_range_has_no_offset(tmp_path: Path) -> None:
    canary = truth(REWRITTEN)["secrets"]["payments/old0"]["canary"].encode()
    with restore(REWRITTEN, tmp_path / "data") as etcd:
        thing = StoredObject(b"payments", b"copy", {b"password": canary}, kind=b"ConfigMap")
        etcd.put(b"/registry/configmaps/payments/copy", thing.protobuf())
        audit = auditor.scan(etcd.url, replace(EVERYTHING, resources=("secrets",), range_only=True, hunt=True))
    copies = audit.findings[audit.findings["finding"] == "copied-value"]
    assert copies["key"].tolist() == ["/registry/configmaps/payments/copy"]
    assert copies["offset"].isna().all()
    assert "old0" in copies["detail"].item()


def test_the_command_keeps_what_it_took(etcd: Etcd, tmp_path: Path) -> None:
    kept = tmp_path / "kept.db"
    assert run("scan", etcd.url, "--keep", kept).returncode == 1
    sums = (tmp_path / "kept.db.SHA256SUMS").read_text()
    assert sums.endswith("  kept.db\n")
    assert sums.split()[0] == auditor.scan(kept).evidence.sha256
    again = run("scan", etcd.url, "--keep", kept)
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert run("scan", etcd.url, "--keep", kept, "--force").returncode == 1
    assert {path.name for path in tmp_path.iterdir()} == {"kept.db", "kept.db.SHA256SUMS"}


def test_keys_of_a_live_etcd(etcd: Etcd) -> None:
    done = run("keys", etcd.url, "--encryption-config", CONFIGURATION)
    assert done.returncode in {0, 3}
    assert "aescbc" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (auditor.Options(range_only=True, quick=True), "give one of them"),
        (auditor.Options(range_only=True, keep="x.db"), "--range reads keys and no file"),
        (auditor.Options(wal_dir="wal"), "no --wal-dir"),
    ],
)
def test_options_that_do_not_fit(etcd: Etcd, options: auditor.Options, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        auditor.scan(etcd.url, options)


def test_a_file_is_no_endpoint() -> None:
    with pytest.raises(UsageError, match="belong to a live endpoint"):
        auditor.scan(PLAINTEXT, auditor.Options(range_only=True))


def test_a_full_disk(etcd: Etcd, tmp_path: Path) -> None:
    """A limit on the size of files fails the write as a full disk does."""
    import resource
    import signal

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, old[1]))
    try:
        with pytest.raises(NoRoom, match=r"after [0-9,]+ bytes: name another folder with --work-dir"):
            auditor.scan(etcd.url, auditor.Options(work_dir=str(tmp_path)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(columns=[*WHERE, "evidence"]).sort_values("key").reset_index(drop=True)
