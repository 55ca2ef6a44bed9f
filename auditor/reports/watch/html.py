"""The state of a rewrite as one self-contained HTML file: the page of a scan, whose rows are what remains."""

from collections.abc import Mapping, Sequence
from typing import IO, Any

from auditor.model.findings import Cell
from auditor.reports.html import embed, shell
from auditor.reports.html.shell import Shell, Tile, View
from auditor.reports.meaning import MEANING
from auditor.reports.watch import words
from auditor.watch.progress import Progress

COLUMNS = {
    "resource": "as an EncryptionConfiguration names it",
    "namespace": "from the etcd key; empty for cluster-scoped objects",
    "name": "from the etcd key",
    "key": "the etcd key",
    "provider": "identity, aescbc, aesgcm, secretbox, kms v1, kms v2 or unknown: what the prefix claims",
    "key_name": "the key's or the KMS plugin's name",
    "kek_id": "KMS v2's keyID, which stands in clear",
    "decrypted": "yes, no key, failed or not tried; empty for what needs no key",
    "finding": "why it remains",
    "mod_revision": "etcd's mod revision",
    "stuck": "why the rewrite seems to have missed it; empty where it may still come",
    "created": "whether it was created in the old form while the watch ran",
}
NUMBERS = frozenset({"mod_revision"})
HEADER = ("finding", "object", "encrypted with", "revision", "stuck", "resource")
VIEW = View(
    noun="object",
    nouns="objects",
    shown=("name", "namespace", "finding", "provider", "key_name", "kek_id", "mod_revision", "stuck"),
    phone=("name", "namespace", "finding"),
    facets=(("provider", "Provider"), ("namespace", "Namespace"), ("finding", "Finding"), ("created", "Created")),
    numbers=NUMBERS,
    lines=(
        *(("finding",), ("namespace", "name"), ("provider", "key_name"), ("mod_revision",), ("stuck",)),
        ("resource",),
    ),
)
_OUTCOME = {0: "none", 1: "findings", 3: "inconclusive"}


def write(document: Mapping[str, Any], progress: Progress, name: str, run: tuple[str, str], out: IO[str]) -> None:
    """Write the page.

    Args:
        document: watch.json.document() of the same progress, every object named.
        progress: The state.
        name: The endpoint.
        run: The version of this program, and the time of the end of the run.
        out: The text stream.
    """
    columns = _rows(document)
    count = len(columns["name"])
    head = Shell(
        command=" watch",
        heading=name,
        version=run[0],
        finished=run[1],
        case="",
        outcome=_OUTCOME[int(document["exit_code"])],
        verdict=document["conclusion"],
        scope=[f"Scope: current values of {', '.join(document['resources'])} at revision {progress.revision:,}."],
        tiles=_tiles(progress, columns),
    )
    explained = {"findings": {kind.label: list(texts) for kind, texts in MEANING.items()}, "places": {}, "evidence": ""}
    first = min(count, shell.MOST)
    some = f"The first {first:,} of {count:,} objects that remain"
    every = "1 object that remains" if count == 1 else f"{count:,} objects that remain"
    page = shell.render(
        head,
        "watch.html",
        embed.script("explained", explained) + embed.script("view", VIEW.plain),
        view=VIEW,
        said=f"{some if first < count else every}." if count else "No object is known to remain.",
        header=HEADER,
        lines=shell.lines(columns, VIEW.lines, range(first)),
        tables=[
            ("values by provider and key", words.under(progress)),
            ("namespaces", words.namespaces(progress, None)),
            ("stuck objects", words.stuck(progress)),
            ("objects created in the old form", words.created(progress)),
        ],
        facts=[("Endpoint", name), ("Policy", document["policy"]), ("Run", f"etcd-auditor {run[0]}, {run[1]}")],
        not_examined=[words.NOT_COVERED],
        notes=document["notes"],
        columns=COLUMNS,
    )
    out.write(shell.document(page, columns, NUMBERS, dict(document)))


def _rows(document: Mapping[str, Any]) -> Mapping[str, Sequence[Cell]]:
    """The objects that remain, as columns."""
    rows = [{**row, "created": "yes" if row["created"] else "no"} for row in document["objects"]]
    return {name: [row[name] for row in rows] for name in COLUMNS}


def _tiles(progress: Progress, columns: Mapping[str, Sequence[Cell]]) -> list[Tile]:
    """The figures at the head: those that count objects filter the table."""
    whole = progress.all
    findings = sorted({str(cell) for cell in columns["finding"]})
    stuck = len(progress.stuck)
    return [
        Tile(f"{whole.remaining:,}", f"of {whole.present:,} remain", "bad" if whole.remaining else "good", "#objects"),
        *(Tile.of_rows(sum(c == name for c in columns["finding"]), name, "bad", finding=(name,)) for name in findings),
        Tile(f"{whole.rewritten:,}", "rewritten while it was watched"),
        Tile(f"{stuck:,}", "stuck", "open" if stuck else "good", "#changes" if stuck else ""),
        Tile(f"{progress.unopened:,}", "as wanted by prefix only", "open" if progress.unopened else ""),
    ]
