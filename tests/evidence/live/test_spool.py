"""The private file: without a name, and with one only at the end."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from auditor.errors import AuditorError
from auditor.evidence.live.spool import Spool


@pytest.fixture(params=["nameless", "no O_TMPFILE"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which file systems can have such a file."""
    if request.param != "nameless":
        monkeypatch.delattr(os, "O_TMPFILE")


@pytest.mark.usefixtures("_way")
def test_it_gets_its_name_once_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "kept.db"
    with Spool("", target) as spool:
        spool.write(b"not this")
        spool.clear()
        spool.write(b"this")
        assert not target.exists()
        spool.keep(force=False)
        os.close(spool.release())
    assert target.read_bytes() == b"this"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("_way")
def test_another_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "kept.db"
    target.write_bytes(b"another's")
    with Spool("", target) as spool:
        spool.write(b"mine")
        with pytest.raises(AuditorError, match="exists"):
            spool.keep(force=False)
    assert target.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [target]
    with Spool("", target) as spool:
        spool.write(b"mine")
        spool.keep(force=True)
    assert target.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("keep", [False, True])
def test_nothing_is_left_of_what_failed(tmp_path: Path, *, keep: bool) -> None:
    with suppress(ZeroDivisionError), Spool(str(tmp_path), tmp_path / "kept.db" if keep else None) as spool:
        spool.write(b"part")
        assert (len(list(tmp_path.iterdir())) > 0) == (keep and not hasattr(os, "O_TMPFILE"))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
