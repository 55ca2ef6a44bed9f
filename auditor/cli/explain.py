"""etcd-auditor explain: what a word of a report means, how to check it by hand, and what to do."""

import sys
from difflib import get_close_matches
from typing import Annotated

import typer

from auditor.cli import worker
from auditor.errors import UsageError

CODES = "Exit codes: 0 explained; 2 no such word."


def explain(
    word: Annotated[
        str | None,
        typer.Argument(help="A finding, place, column, verdict, exit code or term; default: all of them, listed."),
    ] = None,
) -> None:
    """Explain a word of the reports: its meaning, how to check it by hand, what to do. No evidence is needed."""
    raise typer.Exit(worker.guard(lambda: run(word)))


def run(word: str | None) -> int:
    """Print one explanation, or the list of words. Raises UsageError for a word that is none."""
    from auditor.reports import terminal  # after the command line is parsed
    from auditor.reports.explanations import words

    every = words()
    printer = terminal.Printer(sys.stdout)
    if word is None:
        kinds = dict.fromkeys(explanation.kind for explanation in every.values())
        lists = {kind: [name for name, explanation in every.items() if explanation.kind == kind] for kind in kinds}
        printer.print(terminal.facts({kind: ", ".join(names) for kind, names in lists.items()}))
        return 0
    name = word.strip().lower().replace(" ", "-")
    name = name if name in every else name.replace("-", "_")
    if name not in every:
        close = get_close_matches(word.lower(), every, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`etcd-auditor explain` lists the words"
        raise UsageError(f"{word!r} is no word of a report: {hint}")
    explanation = every[name]
    lines = {explanation.kind: name, "meaning": explanation.meaning}
    lines |= {"by hand": explanation.check} if explanation.check else {}
    lines |= {"what to do": explanation.remedy} if explanation.remedy else {}
    printer.print(terminal.facts(lines))
    return 0
