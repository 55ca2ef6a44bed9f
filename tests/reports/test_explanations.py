"""Every word of a closed list that a report may print is explained."""

import re

import pytest

from auditor.cli import worker
from auditor.model.table import COLUMNS
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider, SameAsLatest, Severity, State, Verdict
from auditor.reports.explanations import words
from tests.helpers.command import run

YES_OR_NO = {"", "yes", "no"}


def test_every_word_of_the_closed_lists_is_explained() -> None:
    every = words()
    expected = {
        *(kind.label for kind in FindingKind),
        *(place.label for place in Place),
        *(verdict.value.replace(" ", "-") for verdict in Verdict),
        *COLUMNS,
        *(f"exit-{code}" for code in worker.CODES),
        *(severity.label for severity in Severity),
        *(flag.labels for flag in State),
        *(provider.label.replace(" ", "-") for provider in Provider),
        *(same.label for same in SameAsLatest if same.label not in YES_OR_NO),
        *(opened.label.replace(" ", "-") for opened in Opened if opened.label not in YES_OR_NO),
    }
    assert expected - set(every) == set()
    assert all(explanation.meaning for explanation in every.values())
    assert all(every[kind.label].check and every[kind.label].remedy for kind in (*FindingKind, *Place))
    assert all(every[f"exit-{code}"].remedy for code in worker.CODES)


@pytest.mark.parametrize(
    "word", ["plaintext", "Freed", "exit 1", "same-as-latest", "accepted findings", "3", "kms v2", "no key"]
)
def test_a_word_is_taken_as_it_is_written(word: str) -> None:
    for words_of_it in ([word], word.split()):
        done = run("explain", *words_of_it)
        assert done.returncode == 0, done.stderr
        assert "meaning" in done.stdout


def test_a_word_that_is_none_is_a_usage_error_with_what_is_close() -> None:
    done = run("explain", "plaintxt")
    assert done.returncode == 2
    assert "did you mean plaintext" in done.stderr


def test_without_a_word_all_are_listed() -> None:
    listed = run("explain").stdout
    assert all(kind.label in listed.replace("\n", " ") for kind in FindingKind)


def test_a_kind_lists_its_words_with_their_meanings() -> None:
    for kind in ("exit code", "exit codes", "Severity", "place", "columns"):
        done = run("explain", kind)
        assert done.returncode == 0, done.stderr
        own = kind.lower().removesuffix("s")
        names = [name for name, explanation in words().items() if explanation.kind == own]
        assert names
        assert all(re.search(rf"^{re.escape(name)}\b", done.stdout, re.MULTILINE) for name in names)
