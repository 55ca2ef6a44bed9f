"""--junit, --markdown and --metrics: what a pipeline is told, and no name unless --names asks for it."""

import os
import re
import stat
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION

NAMED = re.compile(r"payments|platform|old0")
OPTIONS = ("junit", "markdown", "metrics")
SAMPLE = re.compile(r'[a-z_:]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? -?[0-9]+')


def written(tmp_path: Path, evidence: str, *options: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the text of each report."""
    paths = {name: tmp_path / f"r.{name}" for name in OPTIONS}
    done = run("scan", MIGRATION / evidence, *(f"--{name}={path}" for name, path in paths.items()), *options)
    return done.returncode, {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.exists()}


def metrics(text: str) -> dict[str, int]:
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def test_findings_fail_a_case_each_kind_and_are_counted(tmp_path: Path) -> None:
    code, reports = written(tmp_path, "3-rewritten.db")
    assert code == 1
    suite = ET.fromstring(reports["junit"]).find("testsuite")
    assert suite is not None
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    failure = cases["no plaintext"].find("failure")
    assert failure is not None
    assert failure.get("message") == "29 findings of severity medium or above"
    assert len((failure.text or "").split()) == 29
    assert suite.get("failures") == "1"
    assert cases["no weak-provider"].find("failure") is None  # low
    assert reports["markdown"].startswith("## etcd-auditor: FINDINGS: 29 readable values of 28 Secrets")
    numbers = metrics(reports["metrics"])
    assert numbers["etcd_audit_exit_code"] == 1
    assert numbers['etcd_audit_readable_values{place="history"}'] == 28
    assert numbers['etcd_audit_readable_values{place="deleted"}'] == 1
    assert numbers['etcd_audit_findings{severity="high"}'] == 29
    assert numbers["etcd_audit_evidence_timestamp_seconds"] == 1795406359


def test_names_only_where_they_are_asked_for(tmp_path: Path) -> None:
    _, reports = written(tmp_path, "3-rewritten.db")
    assert not any(NAMED.search(text) for text in reports.values())
    (tmp_path / "named").mkdir()
    _, reports = written(tmp_path / "named", "3-rewritten.db", "--names")
    assert NAMED.search(reports["junit"])
    assert NAMED.search(reports["markdown"])
    assert not NAMED.search(reports["metrics"])


def test_what_was_not_read_is_an_error(tmp_path: Path) -> None:
    code, reports = written(tmp_path, "5-defragmented.db", "--quick")
    assert code == 3
    suite = ET.fromstring(reports["junit"]).find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")
    assert metrics(reports["metrics"])["etcd_audit_exit_code"] == 3
    assert metrics(reports["metrics"])["etcd_audit_gaps"] > 0
    assert "INCONCLUSIVE" in reports["markdown"]


def test_a_good_state_passes_everywhere(tmp_path: Path) -> None:
    code, reports = written(tmp_path, "5-defragmented.db")
    assert code == 0
    suite = ET.fromstring(reports["junit"]).find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")


def test_metrics_are_of_the_text_format_and_others_may_read_them(tmp_path: Path) -> None:
    written(tmp_path, "5-defragmented.db", "--case", 'ticket "7"')
    text = (tmp_path / "r.metrics").read_text()
    for line in text.splitlines():
        assert line.startswith(("# HELP etcd_audit_", "# TYPE etcd_audit_")) or 'case="ticket \\"7\\""' in line
    assert stat.S_IMODE((tmp_path / "r.metrics").stat().st_mode) & 0o600 == 0o600
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "r.metrics").stat().st_mode) == 0o644 & ~umask
    assert stat.S_IMODE((tmp_path / "r.junit").stat().st_mode) == 0o600


def test_samples_have_the_form(tmp_path: Path) -> None:
    written(tmp_path, "5-defragmented.db")
    lines = [line for line in (tmp_path / "r.metrics").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(SAMPLE.fullmatch(line) for line in lines)


def test_a_run_without_a_conclusion_leaves_the_metrics_of_the_run_before(tmp_path: Path) -> None:
    target = tmp_path / "r.prom"
    target.write_text("before\n")
    evidence = tmp_path / "none.db"
    evidence.write_bytes(b"no database" * 1000)
    done = run("scan", evidence, "--metrics", target, "--force")
    assert done.returncode == 2
    assert target.read_text() == "before\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none.db", "r.prom"]


@pytest.mark.parametrize("name", OPTIONS)
def test_accepted_findings_do_not_fail(name: str, tmp_path: Path) -> None:
    ignore = tmp_path / "ignore.yaml"
    ignore.write_text("accepted:\n  - finding: plaintext\n    reason: a test\n    expires: 2099-12-31\n")
    code, reports = written(tmp_path, "3-rewritten.db", "--ignore", str(ignore))
    assert code == 0
    expected = {"junit": 'failures="0"', "markdown": "ACCEPTED FINDINGS", "metrics": 'findings{severity="high"} 0'}
    assert expected[name] in reports[name]
