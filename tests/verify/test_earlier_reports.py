"""Reports of 0.1.0, format version 1: verified as before, to the row and to the evidence, and baselines still."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES, MIGRATION

COMPACTED = MIGRATION / "4-compacted.db"
CONFIG = MIGRATION / "4-compacted.encryption.json"
REPORTS = FIXTURES / "reports-0.1.0"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A copy of the folder, the page unpacked as 0.1.0 wrote it."""
    folder = tmp_path / "reports"
    shutil.copytree(REPORTS, folder)
    page = folder / "report.html.gz"
    page.with_suffix("").write_bytes(gzip.decompress(page.read_bytes()))
    page.unlink()
    return folder


@pytest.mark.parametrize("name", ["report.json", "report.html", "report.csv.SHA256SUMS"])
def test_a_report_of_the_first_version_is_as_reported(reports: Path, name: str) -> None:
    done = run("verify", reports / name, COMPACTED)
    assert done.returncode == 0, done.stderr
    assert "63 findings" in done.stdout
    assert "ALL AS REPORTED" in done.stdout


def _other_cell(report: bytes) -> bytes:
    return report.replace(b'"opened": "yes"', b'"opened": "failed"', 1)


def _new_name(report: bytes) -> bytes:
    return report.replace(b'"opened": "yes"', b'"decrypted": "yes"', 1)


def _other_version(report: bytes) -> bytes:
    return report.replace(b'"version": 1', b'"version": 2', 1)


@pytest.mark.parametrize("change", [_other_cell, _new_name, _other_version])
def test_a_change_of_it_is_reported(reports: Path, change: Callable[[bytes], bytes]) -> None:
    target = reports / "report.json"
    doctored = change(target.read_bytes())
    assert doctored != target.read_bytes()
    target.write_bytes(doctored)
    assert run("verify", target, COMPACTED).returncode == 1


def test_its_ignore_file_says_what_fits_no_row_any_more(tmp_path: Path) -> None:
    """A value under a weak provider had a row of its own; the row of all of them is accepted by none of their names."""
    ignored = tmp_path / "ignore.yaml"
    entry = "  - finding: {}\n    namespace: payments\n    reason: RISK-1\n    expires: 2999-12-31\n"
    ignored.write_text("accepted:\n" + entry.format("weak-provider") + entry.format("plaintext"))
    done = run("scan", COMPACTED, "--encryption-config", CONFIG, "--ignore", ignored)
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert "Note: ignore.yaml: accepted[0] fits no finding." in text
    assert "accepted[1]" not in text
    assert "Findings of 15 values are accepted by --ignore" in text


def test_it_is_a_baseline(reports: Path, tmp_path: Path) -> None:
    """Its 34 rows of values under a weak provider are the one row of that provider today."""
    written = tmp_path / "new.json"
    run("scan", COMPACTED, "--encryption-config", CONFIG, "--baseline", reports / "report.json", "--json", written)
    baseline = json.loads(written.read_text())["baseline"]
    assert (baseline["new"], baseline["still"], baseline["gone"]) == (0, 30, [])
