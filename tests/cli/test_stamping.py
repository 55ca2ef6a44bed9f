"""Time stamps of reports by an authority that openssl answers for, and what verify says of them and of forgeries."""

import hashlib
import random
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from auditor.verify import timestamps
from auditor.verify.checks import Outcome
from tests.helpers.command import run
from tests.helpers.fixtures import REWRITTEN
from tests.helpers.tsa import Authority


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Authority]:
    """A folder with a stamped report, and the authority."""
    folder = tmp_path_factory.mktemp("stamped")
    authority = Authority(folder / "authority")
    out = folder / "reports"
    out.mkdir()
    with authority.serving() as url:
        end = run("scan", REWRITTEN, "--csv", out / "a.csv", "--json", out / "a.json", "--timestamp", url)
    assert end.returncode == 1, end.stderr
    assert "a.csv.SHA256SUMS.tsr" in end.stdout
    return folder, authority


def copy(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder / "reports", to / "reports")


def test_openssl_verifies_it_and_the_authority_learns_a_hash_alone(stamped: tuple[Path, Authority]) -> None:
    folder, authority = stamped
    listed = folder / "reports" / "a.csv.SHA256SUMS"
    files = ["-data", str(listed), "-in", f"{listed}.tsr", "-CAfile", str(authority.root)]
    end = subprocess.run(["openssl", "ts", "-verify", *files], capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stderr
    (question,) = authority.questions
    assert hashlib.sha256(listed.read_bytes()).digest() in question
    assert len(question) < 100


def test_verify_says_when_and_by_whom(stamped: tuple[Path, Authority]) -> None:
    folder, authority = stamped
    for report in ("a.json", "a.csv.SHA256SUMS"):
        end = run("verify", folder / "reports" / report, "--tsa-roots", authority.root)
        assert end.returncode == 0, end.stdout + end.stderr
        assert "by the time stamp of CN=Authority of the tests" in end.stdout


def test_without_roots_nobody_vouches_for_the_authority(stamped: tuple[Path, Authority]) -> None:
    end = run("verify", stamped[0] / "reports" / "a.json")
    assert end.returncode == 0, end.stdout + end.stderr
    assert "names CN=Authority of the tests; nothing of that is verified" in end.stdout


def test_another_authority_is_not_trusted(stamped: tuple[Path, Authority], tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    end = run("verify", stamped[0] / "reports" / "a.json", "--tsa-roots", other.root)
    assert end.returncode == 1
    assert "no authority under the certificates of --tsa-roots signed it" in end.stdout


def test_a_stamp_of_other_reports_differs(stamped: tuple[Path, Authority], tmp_path: Path) -> None:
    """The reports are sealed anew, and the old stamp is laid beside them."""
    reports = copy(stamped[0], tmp_path)
    stamp = (reports / "a.csv.SHA256SUMS.tsr").read_bytes()
    end = run("scan", REWRITTEN, "--csv", reports / "a.csv", "--json", reports / "a.json", "--force", "--case", "x")
    assert end.returncode == 1
    (reports / "a.csv.SHA256SUMS.tsr").write_bytes(stamp)
    end = run("verify", reports / "a.json")
    assert end.returncode == 1
    assert "it is of something else than a.csv.SHA256SUMS as it stands" in end.stdout


@pytest.mark.parametrize("at", [0, 40, 400, -1])
def test_a_damaged_stamp_is_none(at: int, stamped: tuple[Path, Authority], tmp_path: Path) -> None:
    reports = copy(stamped[0], tmp_path)
    stamp = reports / "a.csv.SHA256SUMS.tsr"
    raw = bytearray(stamp.read_bytes())
    raw[at] ^= 0xFF
    stamp.write_bytes(raw)
    end = run("verify", reports / "a.json", "--tsa-roots", stamped[1].root)
    assert end.returncode == 1
    assert "Traceback" not in end.stderr
    stamp.unlink()
    end = run("verify", reports / "a.json", "--tsa-roots", stamped[1].root)
    assert (end.returncode, "has no time stamp" in end.stdout) == (1, True)
    assert run("verify", reports / "a.json").returncode == 0


def test_no_damage_raises_or_moves_the_time(stamped: tuple[Path, Authority], tmp_path: Path) -> None:
    """Of forged certificates the libraries raise what they like, and warn."""
    listed = copy(stamped[0], tmp_path) / "a.csv.SHA256SUMS"
    stamp, rng = listed.with_name(f"{listed.name}.tsr"), random.Random(3161)
    whole = stamp.read_bytes()
    (verified,) = timestamps.check(listed, stamped[1].root)
    time = verified.text.partition(",")[0]
    for _ in range(600):
        raw = bytearray(whole[: rng.choice([len(whole)] * 3 + [rng.randrange(len(whole))])])
        for _ in range(rng.choice([1, 2, 8]) if raw else 0):
            raw[rng.randrange(len(raw))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        stamp.write_bytes(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (trusted,) = timestamps.check(listed, stamped[1].root)
            (named,) = timestamps.check(listed, None)
        assert trusted.outcome is Outcome.DIFFERS or trusted.text.startswith(time)
        assert named.outcome in {Outcome.NOTE, Outcome.DIFFERS}


def test_an_authority_that_gives_none_costs_no_report(stamped: tuple[Path, Authority], tmp_path: Path) -> None:
    authority = Authority(tmp_path / "own")
    reports: list[str | Path] = ["--json", tmp_path / "a.json", "--force", "--timestamp"]
    with authority.serving() as url:
        authority.refusing = b"0\x05\x30\x03\x02\x01\x02"  # PKIStatus 2: rejection
        end = run("scan", REWRITTEN, *reports, url)
        assert (end.returncode, "has no time stamp: the authority grants none (status 2)" in end.stderr) == (2, True)
        authority.refusing, authority.leads = b"", url
        end = run("scan", REWRITTEN, *reports, url)
        assert (end.returncode, "the authority answers with status 302" in end.stderr) == (2, True)
    end = run("scan", REWRITTEN, *reports, url)
    assert (end.returncode, "the authority is not reached" in end.stderr) == (2, True)
    assert authority.questions == []
    assert run("verify", tmp_path / "a.json").returncode == 0


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "tsa.example", "https://me@tsa.example/", "file:///etc/passwd"])
def test_what_is_no_address_is_refused_before_anything_is_read(url: str, tmp_path: Path) -> None:
    end = run("scan", REWRITTEN, "--json", tmp_path / "a.json", "--timestamp", url)
    assert (end.returncode, "takes the URL of an authority" in end.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert run("scan", REWRITTEN, "--timestamp", "http://127.0.0.1:9/").returncode == 2
