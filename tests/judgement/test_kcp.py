"""kcp stores objects under logical clusters: an object of one is where it belongs, and one of another is not."""

import random
from pathlib import Path

import pytest

import auditor
from tests.helpers import bolt_builder, sealing
from tests.helpers.objects import StoredObject


@pytest.mark.parametrize(
    ("key", "misplaced"),
    [
        (b"/registry/secrets/root:org:team/default/a", False),
        (b"/registry/secrets/2x8k3v7w1m9q/default/a", False),
        (b"/registry/secrets/default/a", False),
        (b"/registry/secrets/root:org:team/default/b", True),
        (b"/registry/secrets/root:org:team/kube-system/a", True),
        (b"/registry/secrets/default", True),
        (b"/registry/secrets/a", True),
        (b"/registry/secrets/x/y/default/a", True),
    ],
)
def test_an_object_below_its_logical_cluster_is_where_it_belongs(key: bytes, misplaced: bool, tmp_path: Path) -> None:
    value = sealing.seal("secretbox", "key1", sealing.KEY, StoredObject(name=b"a"), random.Random(1))
    (tmp_path / "a.db").write_bytes(bolt_builder.backend([bolt_builder.record(2, key, value)]).seal())
    config = sealing.configuration(tmp_path / "c.json", sealing.provider("secretbox", ("key1", sealing.KEY)))
    audit = auditor.scan(tmp_path / "a.db", auditor.Options(encryption_configs=(config,)))
    assert ("misplaced" in set(audit.findings.finding)) is misplaced
