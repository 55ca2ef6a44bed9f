"""An HTML report against what it says of itself: any byte that changes is noticed, and it is said where."""

import json
import random
import tracemalloc
from pathlib import Path

import pytest

import auditor
from auditor import Severity
from auditor.errors import UsageError
from auditor.reports import json as document
from auditor.reports.html import embed, report, seal
from auditor.verify.checks import Check
from auditor.verify.verify import verify
from tests.helpers.fixtures import PLAINTEXT, REWRITTEN

FLIPS = 120


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("page") / "a.html"
    with target.open("w", encoding="utf-8") as out:
        report.write(auditor.scan(REWRITTEN), Severity.MEDIUM, out)
    return target.read_bytes()


def checks_of(raw: bytes, folder: Path, evidence: Path | None = None) -> list[Check]:
    target = folder / "a.html"
    target.write_bytes(raw)
    return list(verify(target, [] if evidence is None else [str(evidence)]))


def wrong(raw: bytes, folder: Path) -> str:
    return "\n".join(check.text for check in checks_of(raw, folder) if not check.holds)


def test_a_page_is_what_it_says(page: bytes, tmp_path: Path) -> None:
    alone = checks_of(page, tmp_path)
    assert all(check.holds for check in alone)
    assert any("30 findings" in check.text for check in alone)
    assert any("parts of the page" in check.text for check in alone)
    whole = checks_of(page, tmp_path, REWRITTEN)
    assert all(check.holds for check in whole)
    assert any("findings lie where the report says" in check.text for check in whole)


def test_other_evidence_is_noticed(page: bytes, tmp_path: Path) -> None:
    assert not all(check.holds for check in checks_of(page, tmp_path, PLAINTEXT))


def test_any_flipped_bit_is_noticed(page: bytes, tmp_path: Path) -> None:
    """Anywhere: half of the places in what is not a library's."""
    rng = random.Random(7)
    libraries = page.index(b"<!--part tables-->"), page.index(b"<!--part glue-->")
    ours = [*range(libraries[0]), *range(libraries[1], len(page))]
    for number in range(FLIPS):
        at = rng.choice(ours) if number % 2 else rng.randrange(len(page))
        changed = bytearray(page)
        changed[at] ^= 1 << rng.randrange(8)
        assert wrong(bytes(changed), tmp_path), at


PLACES = {
    "page": b"<h2>Not examined</h2>",
    "findings": b'"severity":',
    "tables": b"DataTable",
    "glue": b"function readColumns",
}


@pytest.mark.parametrize("part", PLACES)
def test_it_is_said_which_part_was_changed(part: str, page: bytes, tmp_path: Path) -> None:
    start = page.index(seal.mark(part).encode())
    at = page.index(PLACES[part], start) + len(PLACES[part]) - 2
    texts = wrong(page[:at] + bytes([page[at] ^ 1]) + page[at + 1 :], tmp_path)
    assert f"part {part} of the page is not what it was" in texts
    assert texts.count("part ") == 1


def test_it_is_said_which_finding_was_changed(page: bytes, tmp_path: Path) -> None:
    start = page.index(b'"offset":[') + len(b'"offset":[')
    numbers = page[start : page.index(b"]", start)].split(b",")
    at = start + len(b",".join(numbers[:2])) + 1
    digit = b"1" if page[at : at + 1] != b"1" else b"2"
    texts = wrong(page[:at] + digit + page[at + 1 :], tmp_path)
    assert "finding 3 of 30 " in texts
    assert "part findings of the page is not what it was" in texts


def test_what_is_added_or_taken_is_noticed(page: bytes, tmp_path: Path) -> None:
    assert "behind its custody" in wrong(page + b"<script>alert(1)</script>", tmp_path)
    assert "not made of the parts" in wrong(b"<p>not so</p>" + page, tmp_path)
    start, end = page.index(b"<!--part findings-->"), page.index(b"<!--part tables-->")
    assert "part findings of the page is missing" in wrong(page[:start] + page[end:], tmp_path)
    assert "part more of the page is not what it was" in wrong(
        page[:start] + b"<!--part more-->\n" + page[start:], tmp_path
    )
    assert wrong(page[: len(page) // 2], tmp_path)
    assert "holds no custody" in wrong(page.replace(b'id="custody"', b'id="castody"'), tmp_path)


def test_a_custody_written_otherwise_is_noticed(page: bytes, tmp_path: Path) -> None:
    """The same values, other bytes."""
    before, opening, rest = page.partition(seal.OPENING.encode())
    assert "not written as it was" in wrong(before + opening + rest.replace(b'{"format":', b'{ "format":', 1), tmp_path)
    texts = wrong(before + opening + rest.replace(b'"exit_code":1', b'"exit_code":0', 1), tmp_path)
    assert "section exit_code is not what it was" in texts


def test_other_html_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        checks_of(b"<!doctype html><title>x</title>", tmp_path)


ODD = {
    "counted for ever": b'{"of":["x"],"count":2147483647}',
    "counted without end": b'{"of":["x"],"count":1e999}',
    "half a character": b'{"of":["\\ud800"],"count":65}',
}


@pytest.mark.parametrize("alone", [False, True], ids=["all columns", "one column"])
@pytest.mark.parametrize("column", ODD.values(), ids=list(ODD))
def test_a_column_that_nobody_vouches_for_is_told(column: bytes, page: bytes, tmp_path: Path, *, alone: bool) -> None:
    """A number beside a cell took 16 GB, or was a fault of ours, before any hash was looked at."""
    element = embed.FINDINGS.search(page)
    assert element is not None
    columns = json.loads(element[1])
    cells = {name: json.dumps(each).encode() if alone and name != "place" else column for name, each in columns.items()}
    text = b",".join(b'"%s":%s' % (name.encode(), each) for name, each in cells.items())
    tracemalloc.start()
    texts = wrong(page[: element.start(1)] + b"{" + text + b"}" + page[element.end(1) :], tmp_path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "part findings of the page is not what it was" in texts
    assert most < 64 << 20


def test_half_a_character_in_a_finding_is_told(tmp_path: Path) -> None:
    """JSON can name one, and no hash of it as UTF-8 can be made."""
    target = tmp_path / "a.json"
    with target.open("w", encoding="utf-8") as out:
        document.write(auditor.scan(REWRITTEN), Severity.MEDIUM, out)
    report = json.loads(target.read_text())
    report["findings"][2]["key_name"] = "\ud800"
    target.write_text(json.dumps(report))
    texts = [check.text for check in verify(target, [str(REWRITTEN)]) if not check.holds]
    assert texts == ["finding 3 has not the columns of a finding"]


def test_line_ends_and_a_headline_that_were_changed_are_noticed(page: bytes, tmp_path: Path) -> None:
    """Whatever the page looks like: its custody holds hashes of parts."""
    at = page.index(b"<p>FINDINGS:")
    doctored = page[:at] + b"<p>NO FINDINGS IN WHAT WAS EXAMINED (exit 0)" + page[page.index(b"</p>", at) :]
    for raw in (doctored, doctored.replace(b"\n", b"\r\n"), doctored.replace(b"-->\n", b"--> \n")):
        assert wrong(raw, tmp_path)
    assert "is not what it was" in wrong(doctored.replace(b"\n", b"\r\n"), tmp_path)
    assert wrong(page.replace(b"\n", b"\r\n"), tmp_path) == (
        "its line ends were converted to CRLF on the way; the rest is held to its hashes without"
    )
    assert wrong(page.replace(b"<!--part ", b"<!-- part "), tmp_path)
