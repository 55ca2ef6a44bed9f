"""etcd-auditor keys: which keys a restore of the evidence needs."""

import sys
from pathlib import Path

from auditor.cli import live_options, output
from auditor.cli.live_options import LiveOptions
from auditor.options import Options

CAUTION = (
    "Other backups, other members and the WAL may need a key that nothing here needs; removing one does not destroy it."
)


def run(evidence: str, given: LiveOptions, options: Options, json: Path | None, *, force: bool) -> int:
    """0 where everything was read, 3 where not."""
    access = live_options.access(evidence, given)
    files = [] if access is not None else [Path(evidence)]
    output.check([json], [*files, *map(Path, options.encryption_configs)], force=force)
    from auditor import scan

    audit = scan(evidence, options, access=access)
    from rich.text import Text

    from auditor.reports import key_table, terminal

    if json is not None:
        output.save(json, lambda out: key_table.write(audit, out), force=force)
    stream = sys.stderr if json == output.STDOUT else sys.stdout
    console = terminal.Printer(stream)
    console.print(terminal.table(key_table.HEADER, key_table.table(audit)))
    console.print()
    terminal.unread(audit, console)
    console.print(Text(CAUTION))
    return 0 if audit.complete else 3
