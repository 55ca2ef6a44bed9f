"""etcd-auditor show as a user runs it: what it prints, asks and refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import hostile, sealing
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.fixtures import PLAINTEXT, REWRITTEN, truth
from tests.helpers.objects import StoredObject

CONFIG = REWRITTEN.with_suffix(".encryption.json")
CANARY = truth(REWRITTEN)["secrets"]["payments/old0"]["canary"]


def show_with_answer(text: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """The command with an answer on its standard input."""
    line = [sys.executable, "-m", "auditor", "show", *map(str, arguments)]
    return subprocess.run(line, input=text, capture_output=True, encoding="utf-8", check=False, timeout=120)


def test_the_story_is_told_without_a_value(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    done = run("show", REWRITTEN, "payments/old0", "--encryption-config", CONFIG, "--json", target)
    assert done.returncode == 0
    assert "revision 97 (history): since revision 66: changed data.password" in done.stdout
    assert "revision 125 (latest): since revision 97: identity -> aescbc/key1; no field changed" in done.stdout
    document = json.loads(target.read_text())
    assert document["format"] == "etcd-auditor history"
    assert [version["mod_revision"] for version in document["versions"]] == [66, 97, 125]
    assert document["versions"][2]["change"]["provider"] == "identity -> aescbc/key1"
    assert "CANARY" not in done.stdout + done.stderr + target.read_text()


def test_values_are_written_only_when_asked_and_told(tmp_path: Path) -> None:
    asked: list[str | Path] = [REWRITTEN, "payments/old0", "--encryption-config", CONFIG, "--reveal"]
    for refusal in ("n\n", "", "\n"):
        done = show_with_answer(refusal, *asked)
        assert done.returncode == 2
        assert "not confirmed" in done.stderr
        assert "CANARY" not in done.stdout + done.stderr
    done = show_with_answer("y\n", *asked)
    assert done.returncode == 0
    assert f"data.password = {CANARY}" in done.stdout
    target = tmp_path / "a.json"
    done = run("show", *asked, "--yes", "--json", target)
    assert f"data.password = {CANARY}" in done.stdout
    assert "CANARY" not in target.read_text()
    to_output = run("show", *asked, "--yes", "--json", "-")
    assert "CANARY" not in to_output.stdout
    json.loads(to_output.stdout)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([PLAINTEXT, "payments/old0"], 0),
        ([PLAINTEXT, "/registry/secrets/payments/old0"], 0),
        ([PLAINTEXT, "payments/nosuch"], 2),
        ([PLAINTEXT, "payments/old0", "--resource", "configmaps"], 2),
        ([PLAINTEXT, "payments/old0", "--encryption-config", "nosuch.json"], 2),
        ([PLAINTEXT.with_name("nosuch.db"), "payments/old0"], 2),
        ([PLAINTEXT], 0),
        (["--help"], 0),
    ],
)
def test_exit_codes(arguments: list[str | Path], code: int) -> None:
    done = run("show", *arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_what_was_not_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cut.db"
    path.write_bytes(PLAINTEXT.read_bytes()[:-8192])
    done = run("show", path, "payments/old0")
    assert done.returncode == 3
    assert "Gap:" in done.stdout
    absent = run("show", path, "payments/nosuch")
    assert absent.returncode == 2
    assert "were not read, and may hold it" in absent.stderr


def test_help_tells_the_exit_codes() -> None:
    output = re.sub(r"\W+", "", run("show", "--help").stdout)
    for code in ("0shownandeverything", "2nosuchkey", "3shownandsomething"):
        assert code in output, code


def test_hostile_names_and_values_are_inert(tmp_path: Path) -> None:
    things = [StoredObject(b"n%d" % number, name, {name: name}) for number, name in enumerate(hostile.RAW)]
    path = sealing.database(tmp_path / "made.db", [(thing.key, thing.protobuf()) for thing in things])
    for number in (0, 13, 14, 15, 20):
        raw = hostile.RAW[number]
        key = f"/registry/secrets/n{number}/" + "".join(
            chr(octet) if 0x20 <= octet < 0x7F and octet != 0x5C else f"\\x{octet:02x}" for octet in raw
        )
        target = tmp_path / f"{number}.json"
        done = run("show", path, key, "--reveal", "--yes", "--json", target)
        assert done.returncode == 0, done.stderr
        assert all(character.isprintable() or character == "\n" for character in done.stdout)
        text = target.read_text()
        assert text.isascii()
        assert "data." in text


def test_a_live_etcd(tmp_path: Path) -> None:
    thing = StoredObject(data={b"password": b"CANARY-live-0123456789"})
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(thing.key, StoredObject(data={b"password": b"CANARY-before-01234567"}).protobuf())
        etcd.put(thing.key, thing.protobuf())
        done = run("show", f"http://{etcd.endpoint}", "default/db")
    assert done.returncode == 0, done.stderr
    assert "revision 3 (latest): since revision 2: changed data.password" in done.stdout
    assert "a member does not hand them out" in done.stdout
    assert "CANARY" not in done.stdout + done.stderr
