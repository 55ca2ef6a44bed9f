"""The alert rules of the page on pipelines, run by promtool over the metrics that the command writes."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES, MIGRATION
from tests.helpers.tools import tool

PAGE = FIXTURES.parent / "auditor" / "docs" / "pipeline.md"
RULES = next(
    text
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    if "groups:" in text
)
SUCCESS, NEWEST = "etcd_audit_last_success_timestamp_seconds", "etcd_audit_evidence_timestamp_seconds"
HOUR = 3600
DAYS = 4


@dataclass(frozen=True)
class Night:
    """What a collector reads in the first hour, and for days after: no other audit writes the file anew."""

    evidence: str
    options: tuple[str, ...] = ()
    age: int | None = 0
    """Hours since the newest object of the evidence when it is audited; None where none shows its time."""
    at: int = 1
    """Hours after the audit at which the rules are asked."""
    alerts: tuple[str, ...] = field(default=())


NIGHTS = {
    "a good state": Night("5-defragmented.db"),
    "25 hours ago": Night("5-defragmented.db", at=25),
    "27 hours ago": Night("5-defragmented.db", at=27, alerts=("EtcdAuditNotRun",)),
    "of a backup of two days": Night("5-defragmented.db", age=48),
    "of a backup of three days": Night("5-defragmented.db", age=72, alerts=("EtcdAuditEvidenceOld",)),
    "of a backup without a time": Night("5-defragmented.db", age=None, alerts=("EtcdAuditEvidenceOld",)),
    "inconclusive": Night("5-defragmented.db", ("--quick",), alerts=("EtcdAuditInconclusive",)),
    "accepted in part": Night("5-defragmented.db", ("--quick", "--accept-partial")),
    "findings": Night("3-rewritten.db", alerts=("EtcdAuditFindings",)),
    "findings and gaps": Night("3-rewritten.db", ("--quick",), alerts=("EtcdAuditFindings", "EtcdAuditInconclusive")),
    "with a case": Night("3-rewritten.db", ("--case", "7"), alerts=("EtcdAuditFindings",)),
    "all at once": Night(
        "3-rewritten.db",
        ("--quick",),
        age=60,
        at=30,
        alerts=("EtcdAuditEvidenceOld", "EtcdAuditFindings", "EtcdAuditInconclusive", "EtcdAuditNotRun"),
    ),
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    return path


def samples(night: Night, folder: Path) -> dict[str, str]:
    """The lines of the file that a real audit writes, with times that begin with promtool's own clock at 0."""
    target = folder / "audit.prom"
    run("scan", MIGRATION / night.evidence, "--metrics", target, *night.options)
    lines = [line for line in target.read_text().splitlines() if not line.startswith("#")]
    values = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines}
    for series in list(values):
        if series.startswith(SUCCESS):
            values[series] = "0"
        elif series.startswith(NEWEST):
            del values[series]
            if night.age is not None:
                values[series] = str(-night.age * HOUR)
    return values


def asked(rules: Path, series: dict[str, str], at: int, alerts: dict[str, list[dict[str, str]]]) -> str:
    """What promtool says against these alerts, and against any other; empty for nothing."""
    known = {rule["alert"]: rule for rule in yaml.safe_load(RULES)["groups"][0]["rules"]}
    tests = {
        "rule_files": [rules.name],
        "evaluation_interval": "30m",
        "tests": [
            {
                "interval": "1h",
                "input_series": [{"series": name, "values": f"{value}x{DAYS * 24}"} for name, value in series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": f"{at}h",
                        "alertname": name,
                        "exp_alerts": [
                            {
                                "exp_labels": {**rule["labels"], **labels},
                                "exp_annotations": rule["annotations"],
                            }
                            for labels in alerts.get(name, [])
                        ],
                    }
                    for name, rule in known.items()
                ],
            }
        ],
    }
    path = rules.with_name("test.yml")
    path.write_text(yaml.safe_dump(tests))
    done = tool("promtool", "test", "rules", path)
    assert (done.returncode == 0) == ("SUCCESS" in done.stdout + done.stderr)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_rules_are_prometheus_own(rules: Path) -> None:
    done = tool("promtool", "check", "rules", rules)
    assert (done.returncode, "4 rules found" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("--case", 'of "7"\\')], ids=["plain", "case"])
def test_the_metrics_are_prometheus_own(options: tuple[str, ...], tmp_path: Path) -> None:
    target = tmp_path / "audit.prom"
    run("scan", MIGRATION / "3-rewritten.db", "--metrics", target, *options)
    done = tool("promtool", "check", "metrics", text=target.read_text())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", NIGHTS)
def test_alerts(name: str, rules: Path, tmp_path: Path) -> None:
    night = NIGHTS[name]
    case = {"case": night.options[1]} if "--case" in night.options else {}
    assert not asked(rules, samples(night, tmp_path), night.at, {alert: [case] for alert in night.alerts})


def test_no_file_at_all_is_an_alert(rules: Path) -> None:
    assert not asked(rules, {"up": "1"}, 1, {"EtcdAuditNotRun": [{}]})


def test_one_of_two_cases_does_not_hide_the_other(rules: Path) -> None:
    """Ten of the clusters may be audited each night: an old and a good one stand beside each other."""
    series: dict[str, str] = {}
    for case, code, success in (("a", 0, 0), ("b", 1, 26 * HOUR)):
        label = f'{{case="{case}"}}'
        series |= {f"etcd_audit_exit_code{label}": str(code), f"{SUCCESS}{label}": str(success)}
        series |= {f"{NEWEST}{label}": "0", f"etcd_audit_gaps{label}": "0"}
    assert not asked(rules, series, 27, {"EtcdAuditNotRun": [{"case": "a"}], "EtcdAuditFindings": [{"case": "b"}]})


def test_promtool_would_say_what_is_wrong(rules: Path) -> None:
    """The check itself: an alert that does not fire, and one that nobody expects."""
    assert "EtcdAuditFindings" in asked(
        rules, {"etcd_audit_exit_code": "0", SUCCESS: "0", NEWEST: "0"}, 1, {"EtcdAuditFindings": [{}]}
    )
    assert "EtcdAuditFindings" in asked(rules, {"etcd_audit_exit_code": "1", SUCCESS: "0", NEWEST: "0"}, 1, {})
