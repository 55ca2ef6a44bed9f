"""The classified store: what readers return, by source, resource and prefix."""

import dataclasses

import pytest

from auditor.kubernetes import store, trees
from auditor.model.vocabulary import Encoding
from tests.helpers.batches import batch

SECRET = (b"/registry/secrets/n/a", b'{"kind":"Secret","apiVersion":"v1"}')
POD = (b"/registry/pods/n/a", b'{"kind":"Pod","apiVersion":"v1"}')
ELSEWHERE = (b"elsewhere", b"x")


def test_every_record_has_its_resource() -> None:
    classified = store.classify([batch([SECRET, POD, ELSEWHERE])])
    (part,) = classified.parts
    assert [classified.resources[code].name for code in part.resource.tolist()] == ["secrets", "pods", ""]
    assert part.outside.tolist() == [False, False, True]
    assert classified.storage_prefixes == ("/registry",)
    assert classified.match(frozenset({"secrets"}))[part.resource].tolist() == [True, False, False]


def test_rows_keep_what_is_known_of_them() -> None:
    classified = store.classify([batch([SECRET, POD, ELSEWHERE])])
    (part,) = classified.parts
    taken = part.take(part.outside)
    assert (len(taken), taken.batch.key(0), taken.resource.tolist()) == (1, b"elsewhere", [0])


def test_parts_of_one_source_and_buffer_are_together() -> None:
    first, other = batch([SECRET]), dataclasses.replace(batch([POD]), source="another")
    classified = store.classify([other, first, first])
    assert [[part.batch.source for part in parts] for parts in classified.by_source()] == [
        ["another"],
        [first.source] * 2,
    ]
    assert len(store.concatenate(classified.by_source()[1])) == 2


def test_text_larger_than_an_object_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "LARGEST", 8)
    with pytest.raises(ValueError, match="larger"):
        trees.parse(SECRET[1], Encoding.JSON)
