"""Options from a file and from the environment: precedence, what is refused, what is said, what is never read."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from auditor.cli import settings
from auditor.cli.settings import Known, apply
from auditor.errors import UsageError
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION
from tests.helpers.tsa import Authority

COMMANDS = {
    "scan": [
        Known("--quick", flag=True, repeatable=False),
        Known("--fail-on", flag=False, repeatable=False),
        Known("--resource", flag=False, repeatable=True),
        Known("--force", flag=True, repeatable=False),
    ],
    "keys": [Known("--json", flag=False, repeatable=False), Known("--resource", flag=False, repeatable=True)],
}


def arguments(tmp_path: Path, text: str, environment: dict[str, str] | None = None, *given: str) -> list[str]:
    path = tmp_path / "audit.toml"
    path.write_text(text, encoding="utf-8")
    applied = apply("scan", COMMANDS, given, str(path), environment or {})
    return sorted(argument for each in applied for argument in each.arguments)


@pytest.mark.parametrize(
    ("text", "environment", "given", "expected"),
    [
        ('fail-on = "high"', {}, (), ["--fail-on=high"]),
        ('fail-on = "high"\n[scan]\nfail-on = "low"', {}, (), ["--fail-on=low"]),
        ('[keys]\nresource = ["a"]', {}, (), []),
        ('json = "of-keys.json"', {}, (), []),
        ('resource = ["a", "b"]', {}, (), ["--resource=a", "--resource=b"]),
        ("quick = true", {}, (), ["--quick"]),
        ("quick = true", {"ETCD_AUDITOR_QUICK": "false"}, (), []),
        ('fail-on = "high"', {"ETCD_AUDITOR_FAIL_ON": "low"}, (), ["--fail-on=low"]),
        ('fail-on = "high"', {"ETCD_AUDITOR_FAIL_ON": "low"}, ("--fail-on",), []),
        ("", {"ETCD_AUDITOR_RESOURCE": "a\nb"}, (), ["--resource=a", "--resource=b"]),
        ("", {"ETCD_AUDITOR_TEST_SWEEPS": "all"}, (), []),
    ],
)
def test_the_command_line_then_the_environment_then_the_file(
    text: str, environment: dict[str, str], given: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    assert arguments(tmp_path, text, environment, *given) == expected


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ('fail_on = "high"', {}, "did you mean fail-on?"),
        ("[scam]\nquick = true", {}, "[scam] is no command: did you mean scan?"),
        ('[keys]\nqick = true\n[scan]\nfail-on = "low"', {}, "[keys]: no option is called --qick"),
        ("force = true", {}, "--force is set on the command line alone"),
        ("", {"ETCD_AUDITOR_FORCE": "true"}, "--force is set on the command line alone"),
        ("", {"ETCD_AUDITOR_FAILON": "low"}, "did you mean ETCD_AUDITOR_FAIL_ON?"),
        ('quick = "perhaps"', {}, "--quick is true or false"),
        ('fail-on = ["low", "high"]', {}, "--fail-on takes one value"),
        ("fail-on = true", {}, "--fail-on takes text or a number"),
        ("fail-on = {}", {}, "[fail-on] is no command"),
        ("a = = 1", {}, "it is not TOML, at line 1"),
    ],
)
def test_what_is_refused(text: str, environment: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        arguments(tmp_path, text, environment)
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ["= s3cr3t", 's3cr3t\n"', "[scan]\nk8s = s3cr3t"])
def test_errors_quote_nothing_of_the_file(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        arguments(tmp_path, text)
    assert "s3cr3t" not in str(refused.value)


def test_what_weakens_is_in_the_second_line_with_its_origin(tmp_path: Path) -> None:
    config = tmp_path / "audit.toml"
    config.write_text('[scan]\nquick = true\naccept-partial = true\nfail-on = "critical"\n')
    report = tmp_path / "r.json"
    done = run("scan", MIGRATION / "3-rewritten.db", "--config", config, "--json", report, ETCD_AUDITOR_FAIL_ON="high")
    second = done.stdout.splitlines()[1]
    assert (
        second == "The result is weakened by --fail-on high (ETCD_AUDITOR_FAIL_ON), --accept-partial (audit.toml), "
        "--quick (audit.toml)."
    )
    expected = {"--fail-on": "ETCD_AUDITOR_FAIL_ON", "--quick": "audit.toml", "--accept-partial": "audit.toml"}
    assert json.loads(report.read_text())["run"]["settings"] == expected


def test_what_connects_is_said_with_its_origin(tmp_path: Path) -> None:
    """Every option that takes an address, of each command."""
    with Authority(tmp_path / "authority").serving() as url:
        report = tmp_path / "r.json"
        done = run("scan", MIGRATION / "5-defragmented.db", "--json", report, ETCD_AUDITOR_TIMESTAMP=url)
    assert "--timestamp (ETCD_AUDITOR_TIMESTAMP)" in done.stdout.splitlines()[1]
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    done = run("keys", MIGRATION / "3-rewritten.db", ETCD_AUDITOR_KMS=f"a=file:{key}")
    assert "etcd-auditor: set by --kms (ETCD_AUDITOR_KMS)" in done.stderr


def test_other_commands_say_it_before_they_run(tmp_path: Path) -> None:
    config = tmp_path / "audit.toml"
    config.write_text("quick = true\n")
    done = run("show", MIGRATION / "3-rewritten.db", "payments/old0", "--config", config)
    assert "etcd-auditor: set by" not in done.stderr  # show has no --quick
    config.write_text('expect = "plaintext"\n')
    done = run("diff", MIGRATION / "2-enabled.db", MIGRATION / "3-rewritten.db", "--config", config)
    assert "etcd-auditor: set by --expect (audit.toml)" in done.stderr


def test_a_comparison_says_what_weakens_it_and_where_that_comes_from(tmp_path: Path) -> None:
    config, report, page = (tmp_path / name for name in ("audit.toml", "r.json", "r.html"))
    config.write_text("[diff]\nquick = true\naccept-partial = true\n")
    pair = (MIGRATION / "3-rewritten.db", MIGRATION / "4-compacted.db")
    done = run("diff", *pair, "--config", config, "--json", report, "--html", page)
    weakened = "The result is weakened by --accept-partial (audit.toml), --quick (audit.toml)."
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, weakened)
    document = json.loads(report.read_text())
    assert document["settings"] == {"--quick": "audit.toml", "--accept-partial": "audit.toml"}
    assert document["conclusion"][1] == weakened
    assert weakened in page.read_text()
    assert run("verify", report).returncode == 0
    assert run("diff", *pair, "--quick").stdout.splitlines()[1] == "The result is weakened by --quick."


def test_files_that_nothing_names_decide_nothing(tmp_path: Path) -> None:
    """An evidence folder, and a working directory, with every name that a configuration could have."""
    text = 'quick = true\naccept-partial = true\nfail-on = "critical"\n'
    evidence = tmp_path / "4-compacted.db"
    evidence.write_bytes((MIGRATION / "4-compacted.db").read_bytes())
    plain = run("scan", evidence, cwd=tmp_path)
    stems = ("etcd-auditor", ".etcd-auditor", "audit", "config", "pyproject", "etcd_auditor", ".etcd-auditorrc")
    for stem in stems:
        for ending in ("", ".toml", ".ini", ".cfg", ".yaml", ".json"):
            (tmp_path / f"{stem}{ending}").write_text(text)
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "etcd-auditor.toml").write_text(text)
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    again = run("scan", evidence, cwd=tmp_path, PYTHONPATH=str(Path(__file__).parents[2]), **home)
    assert (again.returncode, again.stdout) == (plain.returncode, plain.stdout)
    assert plain.returncode == 1


def test_config_lists_values_and_origins(tmp_path: Path) -> None:
    config = tmp_path / "audit.toml"
    config.write_text('resource = ["secrets", "configmaps"]\n')
    done = run("config", "keys", "--config", config, ETCD_AUDITOR_JSON="k.json")
    assert done.returncode == 0
    assert "--json = k.json  (ETCD_AUDITOR_JSON)" in done.stdout
    assert f"configuration file: {config}" in done.stdout
    assert run("config", "kes").returncode == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("USER", "root:CANARY-pw"),
        ("KMS", "x=vault:https://u:CANARY-pw@h/t/k"),
        ("ENDPOINT", "https://u:CANARY-pw@10.0.0.1:2379"),
        ("CURRENT", "https://store.example/now.db?signature=CANARY-pw"),
    ],
)
def test_config_shows_no_secret(name: str, value: str) -> None:
    done = run("config", **{f"ETCD_AUDITOR_{name}": value})
    assert done.returncode == 0
    assert f"--{name.lower()} = " in done.stdout
    assert "***" in done.stdout
    assert "CANARY" not in done.stdout + done.stderr


def test_commands_of_fleet_have_settings_too(tmp_path: Path) -> None:
    """Names that were to be redacted by the environment must not stand in a data set."""
    config = tmp_path / "audit.toml"
    config.write_text("[fleet.scan]\nretries = 7\n")
    done = run("config", "fleet", "scan", "--config", config, ETCD_AUDITOR_REDACT_NAMES="true")
    assert "--redact-names = true  (ETCD_AUDITOR_REDACT_NAMES)" in done.stdout
    assert "--retries = 7  (audit.toml)" in done.stdout
    config.write_text("[fleet.scn]\nretries = 7\n")
    refused = run("config", "fleet", "scan", "--config", config)
    assert (refused.returncode, "[fleet scn] is no command" in refused.stderr) == (2, True)
    config.write_text("[fleet]\nretries = 7\n")
    refused = run("config", "fleet", "scan", "--config", config)
    assert (refused.returncode, "[fleet] has tables of commands alone" in refused.stderr) == (2, True)
    refused = run("fleet", "scan", tmp_path, "--dataset", tmp_path / "set", "--no-compare", ETCD_AUDITOR_FAIL_ONN="low")
    assert (refused.returncode, "no option is called --fail-onn" in refused.stderr) == (2, True)


def test_the_schema_knows_what_the_program_takes() -> None:
    schema = json.loads(run("config", "--schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    good = tomllib.loads('fail-on = "high"\n[scan]\nquick = true\nencryption-config = ["a.yaml", "b.yaml"]\njobs = 2\n')
    jsonschema.validate(good, schema)
    for bad in ("fail_on = 1", "[scan]\nforce = true", "[scan]\nquick = 1", "[explore]\na = 1"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tomllib.loads(bad), schema)
    assert not {name.removeprefix("--") for name in settings.NEVER} & set(schema["properties"])
