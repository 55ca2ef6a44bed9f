"""The freelist against the trees: what `bbolt check` fails is a gap."""

import struct
from pathlib import Path

import pytest

import auditor
from auditor import Audit
from tests.helpers import bolt_builder as bolt
from tests.helpers.ciphertexts import ciphertext

CASES = Path(__file__).parents[3] / "fixtures" / "cases" / "freelist-that-names-a-live-page"
SEALED = ciphertext("aescbc", b"key1", bytes(range(48)))


def test_a_snapshot_whose_freelist_names_a_live_page(tmp_path: Path) -> None:
    audit = auditor.scan(CASES / "snapshot.db")
    assert len(audit.inventory) == 1
    reasons = [gap.reason for gap in audit.gaps]
    assert any(reason.startswith("page 3 at offset 12288: the freelist names it as free") for reason in reasons)
    assert any(reason.startswith("page 2 at offset 8192: no root reaches it") for reason in reasons)
    assert len(reasons) == 2


def test_the_file_of_etcds_own_test(tmp_path: Path) -> None:
    reasons = [gap.reason for gap in auditor.scan(CASES / "corrupted_backup.db").gaps]
    assert any(reason.startswith("page 3 at offset 12288: the freelist names it as free") for reason in reasons)
    assert any(reason.startswith("page 3 at offset 12288: the freelist names it twice") for reason in reasons)
    assert any(reason.startswith("page 4 at offset 16384: no root reaches it") for reason in reasons)


def scan(folder: Path, *ids: int, count: int | None = None, freed: int = 2) -> Audit:
    """A database of some freed pages, of which the first is its freelist, with these ids."""
    pages = [bolt.leaf("<", 2, [])] * freed
    made = bolt.backend([bolt.record(2, b"/registry/secrets/a/b", SEALED)], freed=pages)
    first = next(page for page in range(2, 9) if page != made.root and not made.look(made.at(page) + 10, "H"))
    at = made.at(first)
    body = struct.pack(f"<{len(ids)}Q", *(first + number for number in ids))
    head = bolt.header("<", first, bolt.FREELIST, len(ids) if count is None else count, 0)
    made.data[at : at + 4096] = (head + body).ljust(4096, b"\0")
    made.patch_metas(bolt.FREELIST_FIELD, "Q", first)
    (folder / "a.db").write_bytes(made.seal())
    return auditor.scan(folder / "a.db")


def test_a_sound_freelist_is_no_gap(tmp_path: Path) -> None:
    assert not scan(tmp_path, 1).gaps
    assert not scan(tmp_path, 2, 1, freed=3).gaps


@pytest.mark.parametrize(
    ("ids", "words"),
    [((1, 1), "twice"), ((1, 0), "it is in use"), ((1, 900), "outside"), ((1, -99), "outside"), ((), "no root")],
)
def test_ids_that_are_wrong_are_gaps(tmp_path: Path, ids: tuple[int, ...], words: str) -> None:
    if -99 in ids:
        ids = (1, -2)
    (gap,) = scan(tmp_path, *ids).gaps
    assert words in gap.reason


def test_more_ids_than_fit_are_a_gap(tmp_path: Path) -> None:
    assert "do not fit" in scan(tmp_path, 1, count=600).gaps[0].reason
