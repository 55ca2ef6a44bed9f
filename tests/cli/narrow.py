"""What commands print on narrow terminals, in golden files: `python -m tests.cli.narrow` writes them anew."""

from collections.abc import Iterator
from pathlib import Path

from auditor.text import moment
from tests.helpers.fixtures import MIGRATION, PROVIDERS
from tests.helpers.terminal import screen

CHECKOUT = "2026-11-24T00:00:00Z"
GOLDEN = Path(__file__).parent / "narrow"
KEY = ("--encryption-config", "4-compacted.encryption.json")
SIDES = ("--before-config", "6-rotating.encryption.json", "--after-config", "7-rotated.encryption.json")
COMMANDS: dict[str, tuple[Path, tuple[str, ...]]] = {
    "scan": (MIGRATION, ("scan", "4-compacted.db", *KEY)),
    "several": (MIGRATION.parent, ("scan", "migration-aescbc/1-plaintext.db", "providers/1-every-provider.db")),
    "keys": (PROVIDERS, ("keys", "1-every-provider.db")),
    "diff": (MIGRATION, ("diff", "6-rotating.db", "7-rotated.db", *SIDES)),
    "show": (MIGRATION, ("show", "4-compacted.db", "payments/old0", *KEY)),
    "at": (MIGRATION, ("show", "4-compacted.db", "--at", "62833")),
    "help": (MIGRATION, ("scan", "--help")),
}
TERMINALS: dict[str, tuple[int, dict[str, str]]] = {
    "60": (60, {}),
    "80": (80, {"NO_COLOR": "1"}),
    "dumb": (80, {"TERM": "dumb"}),
}


def runs() -> Iterator[tuple[str, str]]:
    """Command and terminal of every golden file."""
    for command in COMMANDS:
        yield from ((command, terminal) for terminal in TERMINALS)


def text(command: str, terminal: str) -> str:
    """What a command prints there, escape characters visible."""
    folder, arguments = COMMANDS[command]
    columns, environment = TERMINALS[terminal]
    printed = screen(arguments, columns, folder, **environment).replace("\x1b", "\u241b")
    for path in folder.glob("*.db"):  # a checkout gives files the time at which it was made
        printed = printed.replace(moment(path.stat().st_mtime), CHECKOUT)
    return printed


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for run in runs():
        (GOLDEN / f"{'-'.join(run)}.txt").write_text(text(*run), encoding="utf-8")
