"""etcd-auditor explain: what a word of a report means, how to check it by hand, and what to do."""

import sys
from collections.abc import Collection
from difflib import get_close_matches
from typing import Annotated

import typer

from auditor.cli import worker
from auditor.errors import UsageError

CODES = "Exit codes: 0 explained; 2 no such word."


def explain(
    word: Annotated[
        list[str] | None,
        typer.Argument(help="A finding, place, column, verdict, exit code, term, or such a kind; default: all."),
    ] = None,
) -> None:
    """Explain a word of the reports: its meaning, how to check it by hand, what to do. No evidence is needed."""
    raise typer.Exit(worker.guard(lambda: run(" ".join(word or ()))))


def run(word: str) -> int:
    """Print one explanation, those of a kind, or the list of words. Raises UsageError for a word that is none."""
    from auditor.reports import terminal  # after the command line is parsed
    from auditor.reports.explanations import words

    every = words()
    printer = terminal.Printer(sys.stdout)
    kinds = dict.fromkeys(explanation.kind for explanation in every.values())
    if not word:
        lists = {kind: [name for name, explanation in every.items() if explanation.kind == kind] for kind in kinds}
        printer.print(terminal.facts({kind: ", ".join(names) for kind, names in lists.items()}))
        return 0
    kind = word.lower().removesuffix("s")
    if kind not in kinds or kind in every:
        name = _name(word, every)
        explanation = every[name]
        lines = {explanation.kind: name, "meaning": explanation.meaning}
        lines |= {"by hand": explanation.check} if explanation.check else {}
        lines |= {"what to do": explanation.remedy} if explanation.remedy else {}
        printer.print(terminal.facts(lines))
    if kind in kinds:
        own = {name: explanation.meaning for name, explanation in every.items() if explanation.kind == kind}
        printer.print(terminal.facts(own))
    return 0


def _name(word: str, every: Collection[str]) -> str:
    """The word as reports print it; a number is an exit code's. Raises UsageError for a word that is none."""
    name = word.lower().replace(" ", "-")
    if name.isdigit():
        name = f"exit-{name}"
    name = next((each for each in (name, name.replace("-", "_"), name.removesuffix("s")) if each in every), name)
    if name not in every:
        close = get_close_matches(word.lower(), every, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`etcd-auditor explain` lists the words"
        raise UsageError(f"{word!r} is no word of a report: {hint}")
    return name
