"""Words that users and files choose: those of `explain` and `docs`, and the files that a command line names."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from auditor.audit import ignore, teams
from auditor.cli import docs, explain
from auditor.cli.app import app
from auditor.cli.settings import VARIABLE
from auditor.errors import AuditorError, UsageError
from auditor.reports.explanations import words

SECRET = "CANARY-in-a-setting-3b7e"
WORDS = sorted(words())
near = st.sampled_from(WORDS).flatmap(
    lambda word: st.builds(
        lambda at, text: word[:at] + text + word[at + len(text) :], st.integers(0, len(word)), st.text(max_size=3)
    )
)
TOML = f"""[scan]
resource = ["secrets", "configmaps"]
fail-on = "high"
hunt = true
csv = "out.csv"
case = "{SECRET}"
encryption-config = ["enc.yaml"]
"""
IGNORE = f"""accepted:
  - finding: plaintext
    namespace: kube-system
    name: bootstrap-token-*
    place: freed
    reason: {SECRET}
    expires: 2027-01-31
"""
OWNERS = f"prod/* team-a\n*/db-* {SECRET}\n"
pieces = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"[", b"[[", b"]", b"=", b'"""', b"'", b"&a [*a]", b"\n- "]
    ),
    st.sampled_from([b"!!python/object/apply:os.system [x]", b"\x1b[2J", b"1e999", b"9" * 400, b"- - - -", b"{" * 200]),
)


def damaged(text: str) -> st.SearchStrategy[bytes]:
    """A text with one to four places written over, longer or shorter."""
    raw = text.encode()

    def change(places: list[tuple[int, int, bytes]]) -> bytes:
        data = raw
        for at, count, piece in places:
            data = data[: at % len(data)] + piece + data[at % len(data) + count :] or b"x"
        return data

    return st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20), pieces), min_size=1, max_size=4).map(change)


def printable(text: str) -> bool:
    return all(each == "\n" or each.isprintable() for each in text)


@given(st.one_of(st.text(), near))
@pytest.mark.parametrize("run", [explain.run, docs.run], ids=["explain", "docs"])
def test_any_word_is_explained_or_refused(run: Callable[[str], int], word: str) -> None:
    try:
        assert run(word) == 0
    except UsageError as error:
        assert printable(str(error))  # noqa: PT017 - either is right


def refusal(run: Callable[[], object]) -> str:
    """The message of a refusal; empty where all is well."""
    try:
        run()
    except AuditorError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@given(damaged(IGNORE))
def test_an_ignore_file_is_read_or_refused_without_its_text(folder: Path, data: bytes) -> None:
    path = folder / "ignore.yaml"
    path.write_bytes(data)
    message = refusal(lambda: ignore.load(path))
    assert printable(message)
    assert SECRET not in message


@given(damaged(OWNERS))
def test_a_file_of_owners_is_read_or_refused_without_its_text(folder: Path, data: bytes) -> None:
    path = folder / "owners"
    path.write_bytes(data)
    message = refusal(lambda: teams.load(str(path)))
    assert printable(message)
    assert SECRET not in message


@given(damaged(TOML))
def test_a_configuration_file_sets_what_it_says_or_is_refused(folder: Path, data: bytes) -> None:
    path = folder / "audit.toml"
    path.write_bytes(data)
    result = CliRunner().invoke(app, ["config", "scan", "--config", str(path)], env={VARIABLE: ""})
    assert result.exit_code in {0, 2}
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert printable(result.output)
    if result.exit_code == 0:
        tomllib.loads(data.decode())  # what is no TOML is never taken
    else:
        assert SECRET not in result.output


@given(
    st.sampled_from(["reveal", "yes", "force"]),
    st.one_of(st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.booleans(), max_size=2)),
)
def test_no_configuration_file_sets_what_only_a_person_may(folder: Path, name: str, value: object) -> None:
    path = folder / "forbidden.toml"
    path.write_text(f"[show]\n{name} = {json.dumps(value)}\n[scan]\n{name} = {json.dumps(value)}\n")
    for command in ("scan", "show"):
        result = CliRunner().invoke(app, ["config", command, "--config", str(path)], env={VARIABLE: ""})
        assert result.exit_code == 2


def test_the_files_are_read_where_they_are_whole(folder: Path) -> None:
    for name, text in (("whole.yaml", IGNORE), ("whole", OWNERS), ("whole.toml", TOML)):
        (folder / name).write_text(text)
    assert ignore.load(folder / "whole.yaml")
    assert teams.load(str(folder / "whole"))
    result = CliRunner().invoke(app, ["config", "scan", "--config", str(folder / "whole.toml")], env={VARIABLE: ""})
    assert result.exit_code == 0, result.output
