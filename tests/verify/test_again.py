"""verify --again: true reports are what another audit says; reports sealed anew by whoever made them are not."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.model.table import COLUMNS, Table
from auditor.reports import csv, seals
from auditor.reports.html import seal
from tests.helpers import kine_stages
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, FIXTURES, MIGRATION, PLAINTEXT, REWRITTEN
from tests.helpers.https_server import Request, serving
from tests.helpers.kine_stages import KINE

EVIDENCE = MIGRATION / "4-compacted.db"
CONFIG = MIGRATION / "4-compacted.encryption.json"
KEY = ("--encryption-config", CONFIG)
KINE_STAGE = KINE / "kine-bundled" / "9-restarted.raw.tar.gz"


def report(folder: Path, *arguments: str | Path, form: str = "json") -> Path:
    target = folder / f"r.{form}"
    done = run("scan", *arguments, f"--{form}", target)
    assert done.returncode in {0, 1, 3}, done.stderr
    return target


def again(path: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return run("verify", path, *arguments, "--again")


def resealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with hashes of what it says now, as its maker would write it."""
    table = Table({name: [row[name] for row in document["findings"]] for name in COLUMNS})
    head = {name: part for name, part in document.items() if name not in seals.UNSEALED}
    return {**document, "hashes": seals.seal(head, csv.sheet(table))}


def forged(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(resealed(document)))
    Path(f"{path}.SHA256SUMS").unlink()
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files that options name."""
    paths = {name: tmp_path / name for name in ("ignore.yaml", "redact.key", "baseline.json")}
    paths["ignore.yaml"].write_text(
        "accepted: [{finding: plaintext, name: 'old1*', place: freed, reason: r, expires: 2999-01-31}]"
    )
    paths["redact.key"].write_bytes(b"0123456789abcdef0123")
    return paths


@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ([EVIDENCE, *KEY, "--hunt", "--case", "a case"], KEY),
        ([EVIDENCE, "--use-found-config", "--fail-on", "low"], ()),
        ([EVIDENCE, "--quick", "--accept-partial", "--resource", "*", "--storage-prefix", "registry"], ()),
        ([EVIDENCE, *KEY, "--redact-names", "--expect", "aescbc:key1", "--compromised-key", "aescbc:key1"], KEY),
        ([KINE_STAGE], ()),
        ([PLAINTEXT, DEFRAGMENTED], ()),
    ],
    ids=["keys", "found", "quick", "redacted", "kine", "several"],
)
def test_a_true_report(form: str, options: list[str | Path], keys: tuple[str | Path, ...], tmp_path: Path) -> None:
    evidence = [each for each in options if isinstance(each, Path) and each != CONFIG]
    path = report(tmp_path, *options, form=form)
    done = again(path, *evidence, *keys)
    unhashed = done.stdout.count("NOT CHECKED")
    assert (done.returncode, unhashed) == ((1, 1) if "--quick" in options else (0, 0)), done.stdout + done.stderr
    assert "DIFFERS" not in done.stdout
    assert "findings are those of another audit, row by row" in done.stdout
    assert "figures are those of another audit" in done.stdout
    assert (form == "html") == ("parts of the page are what this evidence makes" in done.stdout)
    assert "Hashes show a change" not in done.stdout


@pytest.mark.parametrize("form", ["json", "html"])
def test_options_that_were_set_elsewhere_are_those_of_the_report(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"r.{form}"
    run("scan", EVIDENCE, f"--{form}", path, ETCD_AUDITOR_FAIL_ON="critical")
    done = again(path, EVIDENCE)
    assert (done.returncode, "DIFFERS" in done.stdout) == (0, False), done.stdout + done.stderr


def test_a_report_of_what_came_through_a_pipe_is_held_to_the_file(tmp_path: Path) -> None:
    path, pipe = tmp_path / "r.json", tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", 'cat "$0" > "$1"', EVIDENCE, pipe]):
        run("scan", pipe, "--json", path)
    assert any("into a private file" in note for note in json.loads(path.read_text())["notes"])
    done = again(path, EVIDENCE)
    assert (done.returncode, "DIFFERS" in done.stdout) == (0, False), done.stdout + done.stderr
    done = again(path, "-")
    assert (done.returncode, "comes through a pipe comes once: give a file" in done.stderr) == (2, True)


@pytest.mark.parametrize("audited", ["folder", "file"])
def test_a_store_of_one_database_may_be_given_by_its_folder(audited: str, tmp_path: Path) -> None:
    folder = kine_stages.unpack(KINE / "kine-bundled" / "9-restarted", tmp_path)
    either = {"folder": folder, "file": folder / "state.db"}
    path = report(tmp_path, either[audited])
    for evidence in either.values():
        for done in (run("verify", path, evidence), again(path, evidence)):
            assert (done.returncode, "DIFFERS" in done.stdout) == (0, False), done.stdout + done.stderr


def test_files_that_options_name_are_given_anew(files: dict[str, Path], tmp_path: Path) -> None:
    redacted = ("--redact-names", "--redact-key", files["redact.key"])
    report(tmp_path, REWRITTEN, *redacted).rename(files["baseline.json"])
    named = [
        part
        for option, name in zip(("--ignore", "--redact-key", "--baseline"), files, strict=True)
        for part in (option, files[name])
    ]
    path = report(tmp_path, EVIDENCE, *KEY, *named, "--force", "--redact-names")
    assert again(path, EVIDENCE, *KEY, *named).returncode == 0
    for option in ("--ignore", "--redact-key", "--baseline", "--encryption-config"):
        every = [*KEY, *named]
        at = every.index(option)
        done = again(path, EVIDENCE, *every[:at], *every[at + 2 :])
        assert done.returncode == 1
        assert re.search(
            f"NOT CHECKED +another audit: {option} .* is not given, and the report was made with", done.stdout
        )
    done = again(path, EVIDENCE, *KEY, *KEY, *named)
    assert (done.returncode, "is given, and the report was made without it" in done.stdout) == (1, True)


def test_what_could_not_be_checked_is_no_failed_check(tmp_path: Path) -> None:
    done = again(report(tmp_path, EVIDENCE, *KEY), EVIDENCE)
    last = done.stdout.splitlines()[-1]
    assert (done.returncode, "DIFFERS" in done.stdout) == (1, False)
    assert re.fullmatch(r"1 could not be made, \d+ held \(exit 1\)", last)


def test_evidence_and_configuration_of_other_names(tmp_path: Path) -> None:
    path, page = report(tmp_path, EVIDENCE, *KEY), report(tmp_path, EVIDENCE, *KEY, form="html")
    evidence, config = tmp_path / "copy.db", tmp_path / "enc.json"
    shutil.copy(EVIDENCE, evidence)
    shutil.copy(CONFIG, config)
    assert again(path, evidence, "--encryption-config", config).returncode == 0
    done = again(page, evidence, "--encryption-config", config)
    assert (done.returncode, "its text is compared where the files have their names of then" in done.stdout) == (
        1,
        True,
    )


def test_another_key_of_the_same_file_name(tmp_path: Path) -> None:
    path = report(tmp_path, EVIDENCE, *KEY)
    config = tmp_path / CONFIG.name
    config.write_text(CONFIG.read_text().replace("aescbc", "aesgcm"))
    done = again(path, EVIDENCE, "--encryption-config", config)
    assert done.returncode == 1
    assert "the report says yes, the evidence" in done.stdout


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a finding is left out": lambda document: document["findings"].pop(3),
    "a finding is added": lambda document: document["findings"].append({**document["findings"][3], "id": "f" * 17}),
    "a severity": lambda document: document["findings"][0].update(severity="low"),
    "an object": lambda document: document["findings"][0].update(name="other"),
    "the conclusion": lambda document: document.update(conclusion=["NO FINDINGS IN WHAT WAS EXAMINED (exit 0)"]),
    "a figure": lambda document: document["tally"]["readable"].update(values=0),
    "no finding": lambda document: document["findings"].clear(),
    "a key": lambda document: document["keys"].pop(),
    "a gap": lambda document: document["gaps"].append({"source": "a", "offset": 0, "length": 1, "reason": "r"}),
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_report_sealed_anew(change: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    path = forged(report(tmp_path, EVIDENCE), change)
    unaware = run("verify", path)
    assert (unaware.returncode, "whoever makes a report anew can seal it anew" in unaware.stdout) == (0, True)
    done = again(path, EVIDENCE)
    assert done.returncode == 1
    assert re.search(r"DIFFERS +r\.json: ", done.stdout)


def test_a_page_sealed_anew(tmp_path: Path) -> None:
    """Its custody is true, and its headline is not."""
    path = report(tmp_path, EVIDENCE, form="html")
    text = path.read_text()
    at = text.index("<p>FINDINGS:")
    text = f"{text[:at]}<p>NO FINDINGS IN WHAT WAS EXAMINED (exit 0){text[text.index('</p>', at) :]}"
    before, _, rest = text.partition(seal.OPENING)
    custody, _, _ = rest.partition(seal.CLOSING)
    document = json.loads(custody)
    parts = re.split(r"<!--part ([a-z]+)-->\n", before)[1:]
    digests = {
        name: hashlib.sha256(part.encode()).hexdigest() for name, part in zip(parts[::2], parts[1::2], strict=True)
    }
    hashes = {**document["hashes"], "parts": digests}
    document["hashes"] = {**hashes, "own": seal.own(hashes)}
    path.write_text(before + seal.OPENING + seal.canonical(document) + seal.CLOSING + seal.END)
    Path(f"{path}.SHA256SUMS").unlink()
    assert run("verify", path, EVIDENCE).returncode == 0
    done = again(path, EVIDENCE)
    assert (done.returncode, "part page of the page is not what this evidence makes" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.update(options=5),
        lambda run: run["options"].update(quick="yes"),
        lambda run: run["options"].update(unheard=True),
        lambda run: run["options"].update(encryption_configs=[1]),
        lambda run: run.pop("options"),
    ],
)
def test_options_that_are_none(change: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    def with_run(document: dict[str, Any]) -> None:
        change(document["run"])
        document["run"]["sha256"] = seals.seal_run(document["run"])

    done = again(forged(report(tmp_path, EVIDENCE), with_run), EVIDENCE)
    assert (done.returncode, "the options in it are none of etcd-auditor's" in done.stdout) == (1, True)


def test_a_report_names_no_server_that_is_called(tmp_path: Path) -> None:
    calls: list[Request] = []

    def respond(request: Request) -> tuple[int, dict[str, str], bytes]:
        calls.append(request)
        return 404, {}, b""

    with serving(respond) as address:
        path = report(tmp_path, EVIDENCE, *KEY)
        forged(path, lambda document: document["run"]["options"].update(current=f"{address}/newer.db"))
        done = again(path, EVIDENCE, *KEY)
    assert done.returncode == 1
    assert "with --current from a server, which is not asked" in " ".join(done.stdout.split())
    assert calls == []


def test_reports_of_an_older_format() -> None:
    done = run("verify", FIXTURES / "reports-0.1.0" / "report.json", EVIDENCE, "--again")
    assert (done.returncode, "scan the evidence with it as --baseline" in done.stdout) == (1, True)


def test_a_report_of_several_items_wants_them_all(tmp_path: Path) -> None:
    done = run("verify", report(tmp_path, PLAINTEXT, DEFRAGMENTED), PLAINTEXT)
    assert (done.returncode, "is a report of 2 evidence items: give them all" in done.stderr) == (2, True)


def test_usage(tmp_path: Path) -> None:
    path = report(tmp_path, EVIDENCE)
    for arguments, words in (
        (["--again"], "--again audits the evidence"),
        ([EVIDENCE, *KEY], "--encryption-config is for another audit"),
    ):
        done = run("verify", path, *arguments)
        assert (done.returncode, words in done.stderr) == (2, True)
