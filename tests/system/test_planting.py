"""A readable Secret that is planted anywhere in honest, encrypted evidence keeps the audit from ending with 0.

Whatever it destroys where it is written, checksums are made right again: nothing but its own bytes gives it away.
Run as a program, this module writes the table of what each way alone misses (auditor/docs/planting.md).
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from unittest import mock

import pytest

import auditor
from auditor import Options
from auditor.audit import media
from auditor.evidence import ledger
from auditor.evidence.ledger import Account
from tests.helpers import kine_stages, planting
from tests.helpers.fixtures import MIGRATION, repair
from tests.helpers.planting import FORMS, Evidence, ends_with_0, planted
from tests.helpers.sweeps import sample

STEP = 509
"""Bytes between two places: a prime, so that they fall on every part of an element."""
MADE: dict[str, Callable[[Path], Evidence]] = {"snapshot": planting.snapshot, "log": planting.log}
WAYS = {"both": (True, True), "ledger": (True, False), "sweep": (False, True)}


def fixture(stage: str, folder: Path) -> Evidence:
    raw = (MIGRATION / f"{stage}.db").read_bytes()
    (folder / "planted.db").write_bytes(raw)
    return Evidence(folder / "planted.db", folder / "planted.db", str(MIGRATION / f"{stage}.encryption.json"), repair)


def places(path: Path, size: int, first: int) -> list[int]:
    """Where a Secret of this size may be planted: anywhere but inside one readable value, whose part it then is."""
    rows = auditor.scan(path, Options(resources=("*",))).inventory
    rows = rows[rows.provider == "identity"]
    readable = [(at, at + length) for at, length in zip(rows.offset.tolist(), rows["size"].tolist(), strict=True)]
    end = path.stat().st_size - 32 - size
    every = [*range(first, end, STEP), end]
    return [at for at in every if not any(begin < at and at + size <= stop for begin, stop in readable)]


@pytest.mark.parametrize(("stage", "form"), sample(list(product(["5-defragmented", "7-rotated"], FORMS)), 4))
def test_in_a_snapshot(stage: str, form: str, tmp_path: Path) -> None:
    evidence = fixture(stage, tmp_path)
    assert ends_with_0(evidence)
    raw, content = evidence.file.read_bytes(), FORMS[form]
    for at in sample(places(evidence.file, len(content), 2 * 4096), 12):
        evidence.file.write_bytes(repair(raw[:at] + content + raw[at + len(content) :]))
        assert not ends_with_0(evidence), f"{form} at {at}"
        evidence.file.write_bytes(raw)


@pytest.mark.parametrize(("make", "form"), sample(list(product(MADE, FORMS)), 4))
def test_in_every_interval_that_is_no_row(make: str, form: str, tmp_path: Path) -> None:
    evidence = MADE[make](tmp_path)
    assert ends_with_0(evidence)
    for account, at, content in planted(evidence, FORMS[form], len(form), 25):
        evidence.file.write_bytes(content)
        assert not ends_with_0(evidence), f"{form} in {account.name} at {at}"


@pytest.mark.parametrize("form", sample(list(FORMS), 2))
def test_in_a_database_of_kine(form: str, tmp_path: Path) -> None:
    """None of its stages ends with 0: their leftovers are what they are for. The Secret itself must be told."""
    stage = kine_stages.STAGES[0]
    folder = kine_stages.unpack(stage, tmp_path)
    raw = (folder / "state.db").read_bytes()
    for at in sample(places(folder / "state.db", len(FORMS[form]), 100), 8):
        (folder / "state.db").write_bytes(raw[:at] + FORMS[form] + raw[at + len(FORMS[form]) :])
        audit = auditor.scan(folder / "state.db", Options(encryption_configs=(kine_stages.configuration(stage),)))
        rows = audit.inventory[audit.inventory.source == "state.db"]
        around = (rows.offset < at + len(FORMS[form])) & (rows.offset + rows["size"] > at)
        assert around.any() or not audit.complete, f"{form} at {at}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", MADE)
def test_each_way_alone_passes_honest_evidence(way: str, make: str, tmp_path: Path) -> None:
    with alone(way):
        assert ends_with_0(MADE[make](tmp_path))


def test_the_ledger_alone_meets_what_has_no_signature(tmp_path: Path) -> None:
    """Bytes that begin as nothing does: the sweep knows no signature of them."""
    evidence = planting.snapshot(tmp_path)
    for account, at, content in planted(evidence, b"S3cr3t" * 40, 1, 12):
        evidence.file.write_bytes(content)
        with alone("ledger"):
            assert not ends_with_0(evidence), f"{account.name} at {at}"


@contextmanager
def alone(way: str) -> Iterator[None]:
    """Both ways, or one of them."""
    by_ledger, by_sweep = WAYS[way]
    with mock.patch.object(ledger, "enabled", by_ledger), mock.patch.object(media, "enabled", by_sweep):
        yield


def counts(make: str, content: bytes) -> Iterator[tuple[Account, str, bool]]:
    """For every planted Secret and every way: the account of its place, the way, and whether it was missed."""
    with tempfile.TemporaryDirectory() as folder:
        evidence = MADE[make](Path(folder))
        for account, _, raw in planted(evidence, content, 3, 24):
            evidence.file.write_bytes(raw)
            for way in WAYS:
                with alone(way):
                    yield account, way, ends_with_0(evidence)


def main() -> None:
    """Print the rows of the table."""
    for make in MADE:
        for form, content in {**FORMS, "text of no known beginning": b"S3cr3t-" * 40}.items():
            planted_in: Counter[Account] = Counter()
            missed: Counter[tuple[Account, str]] = Counter()
            for account, way, was_missed in counts(make, content):
                planted_in[account] += way == "both"
                missed[account, way] += was_missed
            for account, count in sorted(planted_in.items()):
                cells = (str(missed[account, way]) for way in WAYS)
                sys.stdout.write(f"| {make} | {account.name.lower()} | {form} | {count} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
