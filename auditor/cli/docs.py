"""etcd-auditor docs: the pages behind the README, as this version of the program has them."""

import sys
from difflib import get_close_matches
from importlib.resources import files
from typing import Annotated

import typer

from auditor.cli import worker
from auditor.errors import UsageError

CODES = "Exit codes: 0 shown; 2 no such page."


def docs(page: Annotated[str | None, typer.Argument(help="A page; default: all of them, listed.")] = None) -> None:
    """Show a page of the documentation. Needs no network."""
    raise typer.Exit(worker.guard(lambda: run(page)))


def pages() -> dict[str, str]:
    """The text of every page, by its name."""
    folder = files("auditor").joinpath("docs")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".md"))
    return {name.removesuffix(".md"): folder.joinpath(name).read_text(encoding="utf-8") for name in names}


def run(page: str | None) -> int:
    """Print a page, or the list of pages. Raises UsageError for a page that is none."""
    from auditor.reports import terminal  # after the command line is parsed

    printer = terminal.Printer(sys.stdout)
    every = pages()
    if page is None:
        printer.print(terminal.facts({name: text.partition("\n")[0].lstrip("# ") for name, text in every.items()}))
        return 0
    name = page.strip().lower().removesuffix(".md")
    if name not in every:
        close = get_close_matches(name, every, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`etcd-auditor docs` lists the pages"
        raise UsageError(f"{page!r} is no page: {hint}")
    if sys.stdout.isatty():
        from rich.markdown import Markdown

        printer.print(Markdown(every[name]))
    else:
        sys.stdout.write(every[name])
    return 0
