"""The ten snapshots that a real kube-apiserver wrote, against the truth beside each."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.arrays.buffer import Buffer
from auditor.evidence.bbolt import meta
from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.kubernetes import prefixes
from auditor.model.vocabulary import Encoding, Place, Provider
from auditor.protobuf import kubernetes_pb2 as k8s
from tests.helpers.etcd import restore
from tests.helpers.fixtures import SNAPSHOTS, canaries, name_of, truth

PLACES = {
    "migration-aescbc/1-plaintext": {"latest": 27, "history": 1, "deleted": 1, "freed": 7},
    "migration-aescbc/2-enabled": {"latest": 27, "history": 1, "deleted": 1},
    "migration-aescbc/3-rewritten": {"history": 28, "deleted": 1},
    "migration-aescbc/4-compacted": {"freed": 29},
    "providers/1-every-provider": {"latest": 7},
    "providers/2-kek-rotated": {"latest": 7},
    "providers/3-wildcards": {"latest": 7},
}
"""Readable Secrets by place, as fixtures/README.md counts them; the stages not named here have none."""
SECRET = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret"
"""How the stored value of a v1 Secret begins."""

each_snapshot = pytest.mark.parametrize("path", SNAPSHOTS, ids=name_of)


@each_snapshot
def test_every_current_key_is_read_as_etcdctl_reads_it(path: Path) -> None:
    expected = {
        entry["key"]: (entry["provider"], entry["key_name"], entry["mod_revision"], entry["version"], entry["size"])
        for entry in truth(path)["stored"]
    }
    found = {}
    with EvidenceFile.open(path, hashed=False) as file:
        reading = snapshot.read_file(file)
        for batch in reading.batches:
            stored = prefixes.classify(batch)
            for row in np.flatnonzero(batch.place == Place.LATEST).tolist():
                provider, encoding = Provider(int(stored.provider[row])), Encoding(int(stored.encoding[row]))
                name = batch.data.slice(int(stored.name_at[row]), max(int(stored.name_len[row]), 0)).decode()
                versioned = provider.label if provider.label.startswith("kms") else f"{provider.label} v1"
                label = f"identity {encoding.label}" if provider is Provider.IDENTITY else versioned
                main, version = int(batch.mod_revision[row]), int(batch.version[row])
                found[batch.key(row).decode()] = (label, name, main, version, int(batch.value_len[row]))
    # etcdctl was asked a moment after the snapshot: what was written in between is not in the file
    later = {key for key, entry in expected.items() if entry[2] > reading.backend.newest_record}
    assert len(later) <= 4
    assert not any("/secrets/" in key for key in later)
    assert {key: found[key] for key in found.keys() - later} == {key: expected[key] for key in expected.keys() - later}


@each_snapshot
def test_readable_secrets_are_those_of_the_readme_and_lie_where_the_rows_say(path: Path) -> None:
    found = auditor.scan(path).findings
    plaintext = found[found.finding == "plaintext"]
    assert Counter(plaintext.place) == PLACES.get(name_of(path), {})
    raw = path.read_bytes()
    begins = {at for at in range(len(raw)) if raw.startswith(SECRET, at)}
    assert set(plaintext.offset) == begins
    for offset, size in zip(plaintext.offset, plaintext["size"], strict=True):
        unknown = k8s.Unknown.FromString(raw[offset + 4 : offset + size])
        assert (unknown.type_meta.api_version, unknown.type_meta.kind) == (b"v1", b"Secret")


@each_snapshot
def test_every_canary_that_grep_sees_lies_in_a_row(path: Path) -> None:
    found = auditor.scan(path).findings
    spans = list(zip(found.offset, found.offset + found["size"], strict=True))
    raw = path.read_bytes()
    for canary in canaries(path):
        at = raw.find(canary)
        while at >= 0:
            assert any(start <= at < end for start, end in spans)
            at = raw.find(canary, at + 1)


@each_snapshot
def test_rows_never_overlap(path: Path) -> None:
    rows = auditor.scan(path, auditor.Options(resources=("*",))).inventory.sort_values("offset")
    ends = (rows.offset + rows["size"]).to_numpy()
    assert (rows.offset.to_numpy()[1:] >= ends[:-1]).all()


@each_snapshot
def test_latest_values_are_the_bytes_that_a_restored_etcd_returns(path: Path, tmp_path: Path) -> None:
    rows = auditor.scan(path, auditor.Options(resources=("*",))).inventory
    raw = path.read_bytes()
    with restore(path, tmp_path / "data") as etcd:
        served = {key.decode(): kv for key, kv in etcd.get_all().items()}
    latest = rows[rows.place == "latest"]
    assert len(latest) > 50
    for key, offset, size, revision in zip(latest.key, latest.offset, latest["size"], latest.mod_revision, strict=True):
        assert raw[offset : offset + size] == served[key].value
        assert revision == served[key].mod_revision


def test_the_fixtures_metas_lead_to_one_tree() -> None:
    for path in SNAPSHOTS:
        metas = meta.read(Buffer(path.read_bytes()), path.name)
        assert not metas.differ
        assert not metas.faults
