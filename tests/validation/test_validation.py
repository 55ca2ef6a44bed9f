"""A few worlds of `python -m tests.validation`, and whether its measures see what goes wrong."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Audit
from tests.helpers.kms_plugin import KmsPlugin
from tests.validation import job, table
from tests.validation.history import IDENTITY, Truth, Write, blocks, same_as_latest
from tests.validation.measure import pieces
from tests.validation.stores import KineStore
from tests.validation.words import EXPLANATIONS
from tests.validation.workload import Workload
from tests.validation.worlds import World, world

SEEDS = (*range(1_000_000, 1_000_020), *range(99_990, 99_996))
"""Of the suite, beside those of the table; the last are of dqlite and of dumps."""
KINE = 1_000_009
"""A world that needs no server, with readable and encrypted Secrets."""


@pytest.fixture(scope="module")
def plugin() -> Iterator[KmsPlugin]:
    with job.kms() as server:
        yield server


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_missed_or_said_that_is_not_so_but_what_is_explained(seed: int, plugin: KmsPlugin) -> None:
    result = world(seed, plugin)
    if result.void:
        pytest.xfail(result.void)
    unexplained = {name for name in result.counts.missed if "|".join(name.split("|")[:3]) not in EXPLANATIONS}
    assert not unexplained, result.counts.misses
    assert result.counts.tried.total() > 20


Columns = dict[Any, list[Any]]
Change = Callable[[Audit], Columns]


def without_rows(audit: Audit) -> Columns:
    return {name: [] for name in audit.inventory}


def moved(audit: Audit) -> Columns:
    columns = audit.inventory.to_dict("list")
    return {**columns, "offset": [cell + 1 for cell in columns["offset"]]}


def renamed(name: str, cell: str) -> Change:
    def change(audit: Audit) -> Columns:
        columns = audit.inventory.to_dict("list")
        return {**columns, name: [cell] * len(columns[name])}

    return change


@pytest.mark.parametrize(
    ("change", "measures"),
    [
        (without_rows, {"recall", "readable parts"}),
        (moved, {"bytes", "false whole value"}),
        (renamed("place", "freed"), {"recall"}),
        (renamed("key", "/registry/secrets/default/another"), {"recall", "key"}),
        (renamed("mod_revision", "7"), {"recall"}),
        (renamed("provider", "aescbc"), {"provider and key"}),
        (renamed("same_as_latest", "elsewhere"), {"same_as_latest"}),
        (renamed("decrypted", "failed"), {"decrypted"}),
    ],
    ids=["no rows", "offsets", "places", "keys", "revisions", "providers", "same_as_latest", "decrypted"],
)
def test_the_measures_see_what_is_wrong(
    change: Change, measures: set[str], plugin: KmsPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    class Changed:
        def __init__(self, audit: Audit) -> None:
            self.keys = audit.keys
            self.inventory = pd.DataFrame(change(audit), dtype=object)

    real = auditor.scan
    monkeypatch.setattr("tests.validation.worlds.auditor.scan", lambda path, options: Changed(real(path, options)))
    result = world(KINE, plugin)
    missed = {name.split("|")[1] for name in result.counts.missed}
    assert measures <= missed


def test_a_run_goes_on_where_it_stopped(
    tmp_path: Path, plugin: KmsPlugin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, seen = tmp_path / "results.jsonl", list[int]()
    real = world(KINE, plugin)

    def fake(seed: int, _: KmsPlugin) -> World:
        seen.append(seed)
        return replace(real, seed=seed)

    monkeypatch.setattr(job, "world", fake)
    assert job.run(range(5), results, 2) == 0
    assert job.run(range(8), results, 2) == 0
    assert seen == list(range(8))
    assert [(line["first"], line["last"]) for line in table.read(results)] == [(0, 1), (2, 3), (4, 4), (5, 6), (7, 7)]
    page = table.make(results)
    assert "8 random worlds" in page
    assert "0 missed" in capsys.readouterr().out


def test_a_store_that_is_not_at_its_revision_voids_the_world(
    plugin: KmsPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KineStore, "revision", lambda _: 7)
    monkeypatch.setattr(Workload, "run", lambda work, _: work.create() or work.restart())
    result = world(KINE, plugin)
    assert result.void == "revision 7 after a restart, 2 before"
    assert not result.counts.tried
    record = job.portion([KINE], plugin)
    assert record["worlds"] == {}
    assert record["void"] == [f"seed {KINE}, kine: {result.void}"]


def test_an_interval_of_no_miss_is_at_most_three_in_n() -> None:
    low, high = table.interval(0, 1000)
    assert low == 0
    assert 0.0029 < high < 0.0037
    low, high = table.interval(5, 100)
    assert low < 0.05 < high


def test_the_truth_of_a_store_follows_its_compactions() -> None:
    key, other = b"/registry/secrets/a/a", b"/registry/secrets/a/b"
    truth = Truth([Write(key, 2, b"x"), Write(other, 3, b"y"), Write(key, 4, b"z"), Write(other, 5)])
    assert {at: place for at, (place, _) in truth.visible(5).items()} == {
        (key, 2): "history",
        (key, 4): "latest",
        (other, 3): "deleted",
    }
    assert set(truth.visible(3)) == {(key, 2), (other, 3)}
    truth.compacted.append((5, 4))
    assert set(truth.visible(5)) == {(key, 4), (other, 3)}
    truth.compacted.append((6, 5))
    assert set(truth.visible(6)) == {(key, 4)}


def test_what_is_current_is_decided_by_value() -> None:
    def write(name: bytes, **data: str) -> Write:
        return Write(name, 2, b"x", IDENTITY, {field.encode(): text.encode() for field, text in data.items()})

    current = {b"a": write(b"a", one="1", two="2"), b"b": write(b"b", one="3")}
    assert same_as_latest(write(b"a", one="2"), current) == "yes"
    assert same_as_latest(write(b"a", one="2", two="9"), current) == "part"
    assert same_as_latest(write(b"a", one="3"), current) == "elsewhere"
    assert same_as_latest(write(b"c", one="8"), current) == "no"


def test_parts_are_runs_of_blocks() -> None:
    raw = blocks("abcdefgh", 45)
    assert list(pieces(b"--" + raw + b"--" + raw[15:])) == [(2, 47, "abcdefgh"), (49, 79, "abcdefgh")]
