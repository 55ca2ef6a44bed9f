"""Pages of kine's in raw bytes: what they hold is what the database holds, wherever its parts lie."""

from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor import Options
from auditor.evidence.images.groups import Claims, assign
from auditor.model.audit import Audit
from tests.helpers import kine_stages
from tests.helpers.kine_stages import KINE

NOISE = bytes(range(1, 256)) * 300
PAGE = 4096
STAGE = KINE / "kine-bundled" / "8-rotated"
OTHER = KINE / "k3s-like" / "8-rotated"
BEFORE = 777
FIRST_PAGE = slice(BEFORE, BEFORE + PAGE)


def carve(folder: Path, raw: bytes) -> Audit:
    (folder / "disk.img").write_bytes(raw)
    return auditor.scan(folder / "disk.img", Options(carve=True, resources=("*",)))


def parts(audit: Audit, folder: Path) -> dict[str, bytes]:
    """The bytes of every row, put together as its columns say: by source, offset, and extents."""
    found = {}
    raw = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for row in audit.inventory.to_dict("records"):
        if row["extents"]:
            value = b"".join(_part(each, raw, row["source"]) for each in row["extents"].split(";"))
        else:
            value = raw[row["source"]][row["offset"] : row["offset"] + row["size"]]
        found[f"{row['id']} {row['state']}"] = value
    return found


def _part(extent: str, raw: dict[str, bytes], source: str) -> bytes:
    place, _, length = extent.rpartition("+")
    name, _, offset = place.rpartition(":")
    return raw[name or source][int(offset) : int(offset) + int(length)]


def whole(audit: Audit, folder: Path) -> set[bytes]:
    return {value for name, value in parts(audit, folder).items() if "lost" not in name}


def spilled(audit: Audit) -> int:
    return int((audit.inventory.extents.astype(str) != "").sum())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kine_stages.unpack(STAGE, tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def known(stage: Path) -> Audit:
    """The database with its log, as kine left it."""
    return auditor.scan(stage, Options(resources=("*",)))


VISIBLE = ("latest", "history", "deleted", "old-value")


def test_a_database_in_an_image_gives_all_that_it_shows_and_nothing_else(
    stage: Path, known: Audit, tmp_path: Path
) -> None:
    """Of the database without its log: what that shows is what lies in the file."""
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "state.db").write_bytes((stage / "state.db").read_bytes())
    shown = auditor.scan(alone, Options(resources=("*",)))
    shown_ids = shown.inventory[shown.inventory.place.isin(VISIBLE)].id.tolist()
    values = {value for name, value in parts(shown, alone).items() if name.split()[0] in set(shown_ids)}
    audit = carve(tmp_path, NOISE[:BEFORE] + (stage / "state.db").read_bytes() + NOISE)
    carved = whole(audit, tmp_path)
    assert values <= carved
    assert spilled(audit) > 2
    assert {value for value in carved if value.startswith(b"k8s")} <= whole(known, stage) | whole(shown, alone)
    assert set(audit.inventory.place) == {"unplaced"}
    assert all("overflow pages" in text for text in audit.inventory[audit.inventory.extents != ""].detail)


def test_a_database_without_its_first_page_gives_the_same(stage: Path, tmp_path: Path) -> None:
    raw = bytearray(NOISE[:BEFORE] + (stage / "state.db").read_bytes())
    before = carve(tmp_path, bytes(raw))
    values = whole(before, tmp_path)
    raw[FIRST_PAGE] = NOISE[:PAGE]
    audit = carve(tmp_path, bytes(raw))
    assert whole(audit, tmp_path) == values
    assert spilled(audit) == spilled(before) > 2


def test_a_log_alone_gives_its_values_with_their_overflow_pages(tmp_path: Path) -> None:
    stage = kine_stages.unpack(KINE / "k3s-like" / "3-rewritten", tmp_path / "other")
    known = auditor.scan(stage, Options(resources=("*",)))
    audit = carve(tmp_path, NOISE[:99] + (stage / "state.db-wal").read_bytes())
    assert whole(audit, tmp_path) <= whole(known, stage)
    assert spilled(audit) > 0
    secrets = known.inventory[(known.inventory.resource == "secrets") & (known.inventory.place == "latest")]
    carved = set(audit.inventory.key)
    assert {key for key, source in zip(secrets.key, secrets.source, strict=True) if source.endswith("-wal")} <= carved


def test_a_value_whose_overflow_page_is_overwritten_is_cut_and_never_mixed(stage: Path, tmp_path: Path) -> None:
    raw = bytearray(NOISE[:BEFORE] + (stage / "state.db").read_bytes())
    before = carve(tmp_path, bytes(raw))
    rows = before.inventory[(before.inventory.extents != "") & (before.inventory.provider == "identity")]
    values = parts(before, tmp_path)
    for extents in rows.extents:
        last, _, _ = extents.rpartition(";")[2].partition("+")
        raw[int(last) - 4 : int(last) - 4 + PAGE] = NOISE[:PAGE]
    after = parts(carve(tmp_path, bytes(raw)), tmp_path)
    assert len(rows)
    whole_before = set(values.values())
    assert {value for name, value in after.items() if "lost" not in name} <= whole_before
    for row in rows.to_dict("records"):
        value = values[f"{row['id']} {row['state']}"]
        cut = [each for name, each in after.items() if "tail-lost" in name and each and value.startswith(each)]
        assert cut


def test_two_databases_are_groups_of_their_own(stage: Path, tmp_path: Path) -> None:
    other = kine_stages.unpack(OTHER, tmp_path / "other")
    raw = (stage / "state.db").read_bytes() + NOISE[:333] + (other / "state.db").read_bytes()
    audit = carve(tmp_path, raw)
    groups = [note for note in audit.notes if note.startswith("group ")]
    assert len(groups) == 2
    assert all("of kine's" in note and "cluster " in note for note in groups)
    assert any("several databases or generations" in note for note in audit.notes)
    assert all("of pages" in text for text in audit.inventory[audit.inventory.extents != ""].detail)


def test_three_parts_that_contradict_each_other_are_three_groups() -> None:
    part = np.array([0, 1, 2, 3])
    subject, content = np.array([7, 7, 7, 7]), np.array([1, 2, 3, 1])
    assert assign(part, (Claims(part, subject, content),)).tolist() == [0, 1, 2, 0]


def test_a_page_that_leads_to_itself_ends(stage: Path, tmp_path: Path) -> None:
    """Every overflow page that carving follows is made to name itself as the next one."""
    raw = bytearray((stage / "state.db").read_bytes())
    before = carve(tmp_path, bytes(raw)).inventory
    for extents in before[before.extents != ""].extents:
        for extent in extents.split(";")[1:]:
            at = int(extent.partition("+")[0]) - 4
            raw[at : at + 4] = (at // PAGE + 1).to_bytes(4, "big")
    audit = carve(tmp_path, bytes(raw))
    rows = audit.inventory
    readable = rows[(rows.extents != "") & (rows.provider == "identity")]
    assert not len(readable)
