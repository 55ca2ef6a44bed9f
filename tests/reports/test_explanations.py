"""Every word of a closed list that a report may print is explained."""

import pytest

from auditor.model.table import COLUMNS
from auditor.model.vocabulary import FindingKind, Place, Verdict
from auditor.reports.explanations import words
from tests.helpers.command import run


def test_every_word_of_the_closed_lists_is_explained() -> None:
    every = words()
    expected = {
        *(kind.label for kind in FindingKind),
        *(place.label for place in Place),
        *(verdict.value.replace(" ", "-") for verdict in Verdict),
        *COLUMNS,
        *(f"exit-{code}" for code in range(4)),
    }
    assert expected - set(every) == set()
    assert all(explanation.meaning for explanation in every.values())
    assert all(every[kind.label].check and every[kind.label].remedy for kind in FindingKind)


@pytest.mark.parametrize("word", ["plaintext", "Freed", "exit 1", "same-as-latest", "accepted findings"])
def test_a_word_is_taken_as_it_is_written(word: str) -> None:
    done = run("explain", word)
    assert done.returncode == 0, done.stderr
    assert "meaning" in done.stdout


def test_a_word_that_is_none_is_a_usage_error_with_what_is_close() -> None:
    done = run("explain", "plaintxt")
    assert done.returncode == 2
    assert "did you mean plaintext" in done.stderr


def test_without_a_word_all_are_listed() -> None:
    listed = run("explain").stdout
    assert all(kind.label in listed.replace("\n", " ") for kind in FindingKind)
