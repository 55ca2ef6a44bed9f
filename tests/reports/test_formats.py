"""Every report of one audit says the same, whole and inert, whatever the names in it are."""

import base64
import csv as csv_module
import hashlib
import io
import json as json_module
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import auditor
from auditor.model.audit import Audit
from auditor.model.findings import Cell
from auditor.model.table import COLUMNS, NUMBERS, Table, findings, inventory
from auditor.model.vocabulary import Severity
from auditor.options import Options, settings
from auditor.reports import csv, json, objects, parquet, seals, terminal
from auditor.reports.html import embed, report
from auditor.text import hex_id, printable
from tests.helpers import hostile
from tests.helpers.columns import COLUMNS as DESIGN
from tests.helpers.etcd import snapshot_after
from tests.helpers.fixtures import REWRITTEN

FAIL_ON = Severity.MEDIUM
EVIDENCE = "<b>=x' \x1b[31m{{7*7}}\u202e.db"
VOID = {"meta", "input"}
# fmt: off
ELEMENTS = {
    "html", "head", "meta", "title", "style", "script", "body", "header", "section", "figure", "figcaption", "form",
    "details", "summary",
    "p", "b", "strong", "code", "span", "h1", "h2", "h3", "h4", "div", "dl", "dt", "dd", "table", "thead", "tbody",
    "tr", "th", "td", "ul", "ol", "li", "label", "input", "select", "button", "a", "nav", "main", "svg", "path", "text",
}
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "nonce", "class", "scope", "id", "type", "role", "hidden",
    "autocomplete", "placeholder", "href", "tabindex", "aria-label", "aria-hidden", "viewbox", "d", "x", "y",
    "text-anchor", "data-source", "data-size", "data-each", "data-pages", "data-across", "data-first", "data-last",
    "data-filter",
}
"""Nothing that names another document, and nothing that runs."""
# fmt: on


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    path = snapshot_after(tmp_path_factory.mktemp("hostile"), hostile.work)
    return auditor.scan(path.rename(path.with_name(EVIDENCE)))


@pytest.fixture(scope="module", params=["nasty", "rewritten"])
def audit(request: pytest.FixtureRequest) -> Audit:
    if request.param == "rewritten":
        return auditor.scan(REWRITTEN)
    audit: Audit = request.getfixturevalue("nasty")
    return audit


def text_of(table: Table) -> str:
    out = io.StringIO()
    csv.write(table, out)
    return out.getvalue()


def page_of(audit: Audit) -> str:
    out = io.StringIO()
    report.write(audit, FAIL_ON, out)
    return out.getvalue()


def document_of(audit: Audit) -> str:
    out = io.StringIO()
    json.write(audit, FAIL_ON, out)
    return out.getvalue()


def arrow_of(table: Table) -> pa.Table:
    out = io.BytesIO()
    parquet.write(table, out)
    return pq.read_table(io.BytesIO(out.getvalue()))


def said_of(audit: Audit, width: int, *, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, soft_wrap=False, force_terminal=colour)
    terminal.write(audit, FAIL_ON, console, verbose=True)
    return out.getvalue()


class Page(HTMLParser):
    """The elements, attributes, texts and rows of findings of an HTML page; the end tags must match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.other: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.last = self.tables.setdefault(str(self.elements[-1][1].get("class")), [])
        elif tag == "tr":
            self.last.append([])
        elif tag in {"td", "th"}:
            self.last[-1].append("")
        elif tag == "script":
            self.scripts.append(("", self.elements[-1][1]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            text, attributes = self.scripts[-1]
            self.scripts[-1] = (text + data, attributes)
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)
        if self.open and self.open[-1] in {"td", "th"}:
            self.last[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)


# the tables


def test_the_columns_are_those_of_the_design(audit: Audit) -> None:
    assert list(COLUMNS) == DESIGN
    for table in (findings(audit.rows, audit.evidence), inventory(audit.rows, audit.evidence)):
        assert list(table.columns) == DESIGN
        assert {len(column) for column in table.columns.values()} == {len(table)}
        assert text_of(table).split("\n")[0].split(",") == DESIGN
        assert arrow_of(table).column_names == DESIGN
    assert len(findings(audit.rows, audit.evidence)) > 20


def test_names_are_printable_and_reversible(nasty: Audit) -> None:
    names = {str(name) for name in inventory(nasty.rows, nasty.evidence).columns["name"]}
    assert {printable(name).rpartition("/")[2] for name in hostile.RAW} <= names
    for table in (findings(nasty.rows, nasty.evidence), inventory(nasty.rows, nasty.evidence)):
        for name, column in table.columns.items():
            assert all(str(cell).isprintable() for cell in column), name


def test_names_stand_in_every_column_of_names(nasty: Audit) -> None:
    """So that the other tests here are of every way by which a name gets into a report."""
    columns = inventory(nasty.rows, nasty.evidence).columns
    for column in ("name", "namespace", "type", "key_name", "kek_id", "key", "source", "detail"):
        texts = "\n".join(str(cell) for cell in columns[column])
        assert "<" in texts, column
    for column in ("uid", "data_keys"):  # of these one that Kubernetes does not take is shown as none
        assert "<" not in "\n".join(str(cell) for cell in columns[column]), column
    assert nasty.evidence.name == printable(EVIDENCE.encode())


# CSV


def undone(row: list[str]) -> list[str]:
    """README's way back: drop the apostrophe that begins a cell or stands behind , ; | tab or a line's end."""
    return [re.sub(r"(^|[,;|\t\n\r])'", r"\1", cell) for cell in row]


def test_csv_cells_are_no_formulas_and_come_back(audit: Audit) -> None:
    for table in (findings(audit.rows, audit.evidence), inventory(audit.rows, audit.evidence)):
        rows = list(csv_module.reader(io.StringIO(text_of(table), newline=""), strict=True))
        assert rows[0] == DESIGN
        for row in rows:
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row)
        assert [undone(row) for row in rows[1:]] == [[str(cell) for cell in row] for row in table.rows()]


def test_every_csv_row_is_one_line(audit: Audit) -> None:
    table = inventory(audit.rows, audit.evidence)
    assert text_of(table).count("\n") == len(table) + 1
    assert text_of(table).isprintable() or set(filter(lambda c: not c.isprintable(), text_of(table))) == {"\n"}


def test_csv_escapes_in_every_column() -> None:
    cells: list[Cell] = ["=1", "+1", "-1", "@1", "'1", "1=", "", "ok", "''", "a,b", 'q"q']
    hexes = dict.fromkeys(("id", "evidence"), ["0a"] * len(cells))  # made by us, of digits alone
    columns: dict[str, Any] = {name: [3] * len(cells) if name in NUMBERS else cells for name in COLUMNS} | hexes
    rows = list(csv_module.DictReader(io.StringIO(text_of(Table(columns)))))
    expected = ["'=1", "'+1", "'-1", "'@1", "''1", "1=", "", "ok", "'''", "a,b", 'q"q']
    for name in COLUMNS:
        expected_cells = hexes.get(name, ["3"] * len(cells) if name in NUMBERS else expected)
        assert [row[name] for row in rows] == expected_cells


def test_csv_is_the_same_on_every_run() -> None:
    first, again = auditor.scan(REWRITTEN), auditor.scan(REWRITTEN)
    for table in (findings, inventory):
        assert text_of(table(first.rows, first.evidence)) == text_of(table(again.rows, again.evidence))


# Parquet


def test_parquet(audit: Audit) -> None:
    table = inventory(audit.rows, audit.evidence)
    arrow = arrow_of(table)
    for name, column in table.columns.items():
        field = arrow.schema.field(name)
        read = arrow.column(name).to_pylist()
        if name in NUMBERS:
            assert field.type == pa.int64()
            assert read == [cell if isinstance(cell, int) else None for cell in column]
        else:
            assert field.type == pa.string()
            assert read == list(column)


def test_parquet_has_nulls_for_what_is_unknown() -> None:
    numbers: list[Cell] = [7, "unknown", "", (1 << 63) - 1]
    columns: dict[str, Any] = {name: numbers if name in NUMBERS else ["x"] * 4 for name in COLUMNS}
    arrow = arrow_of(Table(columns))
    for name in NUMBERS:
        assert arrow.schema.field(name).type == pa.int64()
        assert arrow.column(name).to_pylist() == [7, None, None, (1 << 63) - 1]


def test_data_frames_keep_every_digit() -> None:
    from auditor.model import table

    numbers: list[Cell] = [7, "unknown", "", (1 << 63) - 1, (1 << 53) + 1]
    columns: dict[str, Any] = {name: numbers if name in NUMBERS else ["x"] * 5 for name in COLUMNS}
    frame = table.frame(Table(columns))
    for name in NUMBERS:
        assert frame[name].isna().tolist() == [False, True, True, False, False]
        assert frame[name].dropna().tolist() == [7, (1 << 63) - 1, (1 << 53) + 1]


# JSON


def test_json(audit: Audit) -> None:
    text = document_of(audit)
    assert text.isascii()
    document = json_module.loads(text)
    assert document["findings"] == [
        dict(zip(DESIGN, row, strict=True)) for row in findings(audit.rows, audit.evidence).rows()
    ]
    assert list(document["columns"]) == DESIGN
    assert document["verdict"] == audit.verdict().value
    assert document["exit_code"] == audit.exit_code(FAIL_ON)
    assert document["complete"] is audit.complete
    assert document["evidence"]["sha256"] == audit.evidence.sha256
    assert document["tally"]["readable"]["values"] == audit.tally.readable
    assert sum(row["values"] for row in document["coverage"]) == sum(row.values for row in audit.coverage)
    assert {part["what"] for part in document["not_examined"]} == {part.what for part in audit.unexamined}


def test_json_is_the_same_apart_from_the_run() -> None:
    documents = [json_module.loads(document_of(auditor.scan(REWRITTEN))) for _ in range(2)]
    for document in documents:
        assert document.pop("run")["version"] == auditor.__version__
    assert documents[0] == documents[1]


# HTML


def test_html_is_inert(audit: Audit) -> None:
    text = page_of(audit)
    page = Page(text)
    assert not page.open
    assert all(re.fullmatch("part [a-z]+", comment) for comment in page.other)
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    attributes = {name for _, attributes in page.elements for name in attributes}
    assert attributes <= ATTRIBUTES
    assert all(str(attributes.get("href", "#")).startswith("#") for _, attributes in page.elements)
    assert all(attributes.get("type") in {None, "module", "application/json"} for _, attributes in page.scripts)
    visible = "".join(page.texts)
    assert all(character.isprintable() or character == "\n" for character in visible)


def test_html_allows_nothing_but_its_own_scripts_and_styles(audit: Audit) -> None:
    page = Page(page_of(audit))
    first = [attributes for tag, attributes in page.elements if tag == "meta"]
    (policy,) = [each["content"] for each in first if each.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in str(policy).split(";"))
    run = [text for text, attributes in page.scripts if attributes.get("type") != "application/json"]
    hashes = ["'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'" for text in run]
    assert directives.pop("script-src").split() == hashes
    (style,) = [attributes for tag, attributes in page.elements if tag == "style"]
    assert directives.pop("style-src") == f"'nonce-{style['nonce']}'"
    assert directives == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    tags = [tag for tag, _ in page.elements]
    assert tags.index("meta") < min(tags.index("style"), tags.index("script"))
    css = page_of(audit).split("<style")[1].split("</style>")[0]
    assert all(source.startswith("data:") for source in re.findall(r"""url\(["']?([^)"']*)""", css))
    assert "@import" not in css


def test_html_nonces_are_never_the_same(audit: Audit) -> None:
    assert page_of(audit) != page_of(audit)
    both = [re.sub('nonce="[^"]*"|nonce-[^\']*|content="[A-Za-z0-9_-]{22}"', "", page_of(audit)) for _ in range(2)]
    assert both[0].split("<!--part glue")[0] == both[1].split("<!--part glue")[0]


def test_html_embeds_every_finding(audit: Audit) -> None:
    rows = embed.rows(page_of(audit).encode())
    assert rows == [dict(zip(DESIGN, row, strict=True)) for row in findings(audit.rows, audit.evidence).rows()]


def test_html_lists_findings_by_object(audit: Audit) -> None:
    """What is read with scripts off and on paper: every object, how many findings, most severe first."""
    header, *rows = Page(page_of(audit)).tables["objects"]
    assert tuple(header) == objects.HEADER
    table = findings(audit.rows, audit.evidence).columns
    expected = Counter(zip(table["resource"], table["namespace"], table["name"], strict=True))
    assert len(rows) == min(len(expected), objects.MOST)
    assert Counter(row[objects.HEADER.index("rows")] for row in rows) == Counter(
        f"{count:,}" for count in expected.values()
    )
    ranks = [Severity[row[0].upper()] for row in rows]
    assert ranks == sorted(ranks, reverse=True)


def test_html_shows_names_as_they_are(nasty: Audit) -> None:
    page = Page(page_of(nasty))
    cells = {cell.rpartition("/")[2] for row in page.tables["objects"] for cell in row}
    for name in hostile.RAW:
        assert printable(name).rpartition("/")[2] in cells
    text = "".join(page.texts)
    assert "49" not in {cell for cell in cells if "7" in cell}
    assert printable(EVIDENCE.encode()) in text
    assert "Confidential" in text


DEFAULTS = settings(Options())
"""Of options only those that were given stand in a page."""


def test_html_says_what_was_examined_and_what_not(audit: Audit) -> None:
    text = " ".join("".join(Page(page_of(audit)).texts).split())
    evidence, run = audit.evidence, audit.run
    (source,) = evidence.sources
    lines = [
        evidence.sha256, seals.findings(audit), f"{evidence.size:,} bytes", source.before.mtime, source.before.ctime,
        evidence.trailer.value, run.started, run.finished, audit.policy, hex_id(evidence.backend.cluster_id or 0),
        *(part.what for part in audit.unexamined), *(part.reason for part in audit.unexamined),
        *(name for name, value in run.options if value != DEFAULTS[name]),
        *(version for _, version in run.tools), *(step for _, step in run.log),
    ]  # fmt: skip
    for each in lines:
        assert " ".join(each.split()) in text, each


def test_reports_name_the_libraries_that_they_are_made_with() -> None:
    tools = dict(auditor.scan(REWRITTEN).run.tools)
    assert {"numpy", "cryptography"} <= tools.keys()
    assert "not installed" not in tools.values()


def test_html_keeps_numbers_that_javascript_cannot() -> None:
    cells: list[Cell] = [1, (1 << 53) - 1, 1 << 53, "unknown", ""]
    assert json_module.loads(embed.column("mod_revision", cells)) == [1, (1 << 53) - 1, str(1 << 53), "unknown", ""]


# the terminal


@pytest.mark.parametrize("width", [20, 80, 140, 400])
def test_the_terminal_gets_printable_text(audit: Audit, width: int) -> None:
    lines = said_of(audit, width).splitlines()
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= width


def test_the_terminal_gets_no_escapes_but_colours(nasty: Audit) -> None:
    lines = said_of(nasty, 8000, colour=True)
    assert "\x1b[" in lines
    plain = re.sub(r"\x1b\[[0-9;]*m", "", lines)
    assert all(line.isprintable() for line in plain.splitlines())
    assert "[bold red]markup" in lines


def test_the_terminal_names_the_evidence_and_its_hash(audit: Audit) -> None:
    lines = said_of(audit, 4000)
    assert audit.evidence.name in lines
    assert audit.evidence.sha256 in lines
    assert f"(exit {audit.exit_code(FAIL_ON)})" in lines.splitlines()[0]


# together


def test_all_formats_hold_the_same_findings(audit: Audit) -> None:
    rows = [undone(row) for row in csv_module.reader(io.StringIO(text_of(findings(audit.rows, audit.evidence))))][1:]
    ids = [row[DESIGN.index("id")] for row in rows]
    offsets = [row[DESIGN.index("offset")] for row in rows]
    assert ids == [row["id"] for row in json_module.loads(document_of(audit))["findings"]]
    assert ids == audit.findings["id"].tolist()
    embedded = embed.rows(page_of(audit).encode()) or []
    assert ids == [row["id"] for row in embedded]
    assert offsets == [str(row["offset"]) for row in embedded]
    arrow = arrow_of(inventory(audit.rows, audit.evidence)).to_pylist()
    own = [id_ for id_, offset in zip(ids, offsets, strict=True) if offset]  # the rows of providers have none
    assert sorted(own) == sorted(
        each["id"] for each in arrow for kind in each["finding"].split(";") if kind not in {"", "weak-provider"}
    )


def test_no_value_is_in_any_of_them(nasty: Audit) -> None:
    mark = hostile.MARK.decode()
    tables = text_of(findings(nasty.rows, nasty.evidence)) + text_of(inventory(nasty.rows, nasty.evidence))
    for text in (document_of(nasty), page_of(nasty), said_of(nasty, 4000), tables):
        assert mark not in text
    assert not any(mark in str(row) for row in arrow_of(inventory(nasty.rows, nasty.evidence)).to_pylist())


def test_an_audit_without_rows_makes_every_report() -> None:
    audit = auditor.scan(REWRITTEN, auditor.Options(resources=("nosuch",)))
    assert text_of(findings(audit.rows, audit.evidence)) == ",".join(DESIGN) + "\n"
    assert arrow_of(inventory(audit.rows, audit.evidence)).num_rows == 0
    assert json_module.loads(document_of(audit))["findings"] == []
    assert len(Page(page_of(audit)).tables["objects"]) == 1
    assert embed.rows(page_of(audit).encode()) == []
    assert said_of(audit, 80).startswith("INCONCLUSIVE")


def test_reports_are_written_as_utf_8(tmp_path: Path, nasty: Audit) -> None:
    target = tmp_path / "a.html"
    with target.open("w", encoding="utf-8") as out:
        report.write(nasty, FAIL_ON, out)
    assert Page(target.read_text(encoding="utf-8")).elements[2][1] == {"charset": "utf-8"}
