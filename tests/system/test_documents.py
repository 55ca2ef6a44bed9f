"""The README and the pages behind it: short, shipped, and every command block in them prints what stands beneath it."""

import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from auditor.cli import docs
from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES
from tests.helpers.packing import DATA_FILTER
from tests.helpers.tools import tool

ROOT = FIXTURES.parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "auditor" / "docs").glob("*.md"))
DOCUMENTS = [README, *PAGES]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:\.venv/bin/)?etcd-auditor ((?:scan|diff|keys|show|find|explain|config|docs)\b.*)$")


def blocks(path: Path) -> list[tuple[str, str, int]]:
    """Language and text of each block, and where it ends."""
    return [(each[1], each[2], each.end()) for each in BLOCK.finditer(path.read_text(encoding="utf-8"))]


def shown() -> Iterator[tuple[str, str, str]]:
    """Document, command and its printed output: a block of one command that a block of text follows at once."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        every = blocks(path)
        for (language, commands, end), (other, output, _) in pairwise(every):
            if language == "sh" and other == "text" and text[end:].lstrip().startswith("```text"):
                command = COMMAND.match(commands.strip().splitlines()[-1])
                if command is not None:
                    yield path.name, command[1], output


SHOWN = list(shown())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory of a reader: the fixtures, and what the pages unpack."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "fixtures").symlink_to(FIXTURES)
    (folder / "kine").mkdir()
    with tarfile.open(FIXTURES / "kine" / "kine-bundled" / "4-compacted.raw.tar.gz") as archive:
        archive.extractall(folder / "kine", **DATA_FILTER)
    (folder / "audit.toml").write_text(_example_configuration())
    return folder


def _example_configuration() -> str:
    page = ROOT / "auditor" / "docs" / "config.md"
    return next(text for language, text, _ in blocks(page) if language == "toml")


def _words(line: str) -> str:
    return " ".join(line.split())


@pytest.mark.parametrize(("document", "command", "output"), SHOWN, ids=[f"{a} {b[:40]}" for a, b, _ in SHOWN])
def test_a_command_prints_what_stands_beneath_it(document: str, command: str, output: str, folder: Path) -> None:
    """Lines in their order; `...` stands for any number of others, and so does a line that the paper has broken."""
    done = run(*shlex.split(command), cwd=folder, PYTHONPATH=str(ROOT), COLUMNS="200")
    printed = _words(done.stdout)
    at = 0
    for line in filter(None, map(_words, output.splitlines())):
        if line != "...":
            assert line in printed[at:], f"{document}: {command}: {line}"
            at = printed.index(line, at) + len(line)


def test_there_are_such_commands() -> None:
    assert {document for document, _, _ in SHOWN} >= {"README.md", "migration.md", "stores.md"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_has_options_that_exist(path: Path) -> None:
    """Of commands that need an endpoint or a reader's files too: each of their options is one of the command's."""
    for language, text, _ in blocks(path):
        if language not in {"sh", "ini", "yaml"}:
            continue
        for name, rest in re.findall(r"etcd-auditor (\w+)(.*)", text.replace("\\\n", " ")):
            known = OPTIONS.get(name)
            if known is not None:
                assert set(re.findall(r"(?<!\S)--[a-z0-9-]+", rest)) <= known, f"{path.name}: {name}{rest}"


def _options() -> dict[str, set[str]]:
    import typer

    from auditor.cli.app import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {name: {option for each in command.params for option in each.opts} for name, command in commands.items()}


OPTIONS = _options()


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_the_readme_links_every_page() -> None:
    text = README.read_text(encoding="utf-8")
    for page in PAGES:
        assert f"auditor/docs/{page.name}" in text or f"docs {page.stem}" in _linked(), page.name
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link


def _linked() -> str:
    """The pages that pages name."""
    return " ".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_pages_name_pages_that_exist() -> None:
    stems = {page.stem for page in PAGES}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        named = set(re.findall(r"etcd-auditor docs ([a-z]+)", text))
        assert named <= stems, path.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_shown(path: Path) -> None:
    assert docs.pages()[path.stem] == path.read_text(encoding="utf-8")


def test_the_command_shows_pages() -> None:
    assert run("docs", "pipeline").stdout == (ROOT / "auditor" / "docs" / "pipeline.md").read_text(encoding="utf-8")
    listed = run("docs").stdout
    assert all(page.stem in listed for page in PAGES)
    wrong = run("docs", "pipline")
    assert (wrong.returncode, "did you mean pipeline" in wrong.stderr) == (2, True)


def test_examples_of_a_pipeline_are_what_they_say() -> None:
    for path in PAGES:
        for language, text, _ in blocks(path):
            if language == "yaml":
                assert list(yaml.safe_load_all(text)), path.name
            elif language == "toml":
                assert tomllib.loads(text), path.name


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (".gitlab-ci.yml", ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")),
        (".github/workflows/etcd-audit.yml", ("--builtin-schema", "vendor.github-workflows")),
    ],
)
def test_jobs_are_as_their_systems_schema_says(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    page = (ROOT / "auditor" / "docs" / "pipeline.md").read_text(encoding="utf-8")
    (job,) = re.findall(rf"^`{re.escape(name)}`:\n\n```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    path = tmp_path / "job.yml"
    for text, code in ((job, 0), (job.replace("script:", "scripts:").replace("runs-on:", "runs_on:"), 1)):
        path.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", *options, path], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
    assert "self-hosted" in str(yaml.safe_load(job))


def test_the_configuration_of_a_page_is_read(folder: Path) -> None:
    page = (ROOT / "auditor" / "docs" / "config.md").read_text(encoding="utf-8")
    expected = next(text for language, text, _ in blocks(ROOT / "auditor" / "docs" / "config.md") if language == "text")
    done = run("config", "--config", "audit.toml", cwd=folder, PYTHONPATH=str(ROOT))
    assert done.stdout == expected
    assert "etcd-auditor config --schema" in page


def test_the_alerts_ask_for_metrics_that_are_written(tmp_path: Path) -> None:
    target = tmp_path / "audit.prom"
    run("scan", FIXTURES / "migration-aescbc" / "5-defragmented.db", "--metrics", target)
    written = set(re.findall(r"^(etcd_audit_\w+)", target.read_text(), re.MULTILINE))
    page = (ROOT / "auditor" / "docs" / "pipeline.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"\betcd_audit_\w+", "\n".join(re.findall(r"expr: .*", page))))
    assert asked
    assert asked <= written


def test_the_timer_and_the_service_are_units(tmp_path: Path) -> None:
    """As systemd reads them; what the service may do is next to nothing (its scale ends at 10, here in tenths)."""
    page = ROOT / "auditor" / "docs" / "pipeline.md"
    service, timer = (text for language, text, _ in blocks(page) if language == "ini")
    assert all(key in service for key in ("PrivateNetwork=yes", "ReadOnlyPaths=/backups", "NoNewPrivileges=yes"))
    program = "/opt/etcd-auditor/bin/etcd-auditor"
    assert program in service
    paths = [tmp_path / f"etcd-audit.{kind}" for kind in ("service", "timer")]
    for path, text in zip(paths, (service.replace(program, sys.executable), timer), strict=True):
        path.write_text(text)
    read = tool("systemd-analyze", "verify", "--man=no", *paths)
    # an unknown key is a warning alone; what other units of the system say is none of ours
    own = [line for line in read.stderr.splitlines() if "etcd-audit." in line]
    assert (read.returncode, own) == (0, [])
    judged = tool("systemd-analyze", "security", "--offline=true", "--threshold=10", "--no-pager", paths[0])
    assert judged.returncode == 0, judged.stdout[-200:]


def test_the_cronjob_begins_with_its_danger_and_holds_no_secret() -> None:
    path = ROOT / "auditor" / "docs" / "cronjob.md"
    assert path.read_text(encoding="utf-8").splitlines()[2].startswith("**Danger.**")
    job, policy = yaml.safe_load_all(next(text for language, text, _ in blocks(path) if language == "yaml"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert "@sha256:" in container["image"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert not any("secret" in volume for volume in pod["volumes"])
    assert [volume for volume in pod["volumes"] if volume.get("emptyDir", {}).get("medium") == "Memory"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert {argument.split("=")[0] for argument in container["args"] if argument.startswith("--")} <= OPTIONS["scan"]
