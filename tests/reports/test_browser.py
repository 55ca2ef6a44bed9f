"""The HTML report in a real browser: opened from disk, searched, filtered, sorted, exported, printed, attacked."""

import csv as csv_module
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

import auditor
from auditor import Options
from auditor.model import table
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.reports import csv, objects, seals
from auditor.reports.html import report
from auditor.text import printable
from tests.benchmarks.fill import write as put
from tests.helpers import hostile
from tests.helpers.browser import PATIENCE, Browser, window
from tests.helpers.etcd import Etcd, snapshot_after
from tests.helpers.fixtures import DEFRAGMENTED, FIXTURES, SNAPSHOTS
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import sample

COMPACTED = FIXTURES / "migration-aescbc" / "4-compacted.db"
MANY = 50_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with window() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    for left in chromium.downloads.iterdir():
        left.unlink()
    return chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


def write_page(audit: Audit, target: Path) -> Path:
    with target.open("w", encoding="utf-8") as out:
        report.write(audit, Severity.MEDIUM, out)
    return target


def audit_of(path: Path) -> Audit:
    file = path.with_suffix(".encryption.json")
    return auditor.scan(path, Options(encryption_configs=(str(file),) if file.exists() else (), case="K-17"))


@pytest.fixture(scope="module")
def compacted() -> Audit:
    return audit_of(COMPACTED)


@pytest.fixture(scope="module")
def page(compacted: Audit, folder: Path) -> Path:
    return write_page(compacted, folder / "compacted.html")


def many(etcd: Etcd) -> None:
    things = (StoredObject(b"team-%d" % (number % 50), b"s-%05d" % number, {b"k": b"v" * 30}) for number in range(MANY))
    put(etcd, ((thing.key, thing.protobuf()) for thing in things))


@pytest.fixture(scope="module")
def large(folder: Path) -> tuple[Audit, Path]:
    audit = auditor.scan(snapshot_after(folder / "many", many))
    return audit, write_page(audit, folder / "many.html")


@pytest.fixture(scope="module")
def nasty(folder: Path) -> tuple[Audit, Path]:
    audit = auditor.scan(snapshot_after(folder / "nasty", hostile.work))
    return audit, write_page(audit, folder / "nasty.html")


def as_csv(audit: Audit) -> str:
    out = io.StringIO()
    csv.write(table.findings(audit.rows, audit.evidence), out)
    return out.getvalue()


def visible_cells(browser: Browser, name: str) -> list[str]:
    """The cells of a column on this screen."""
    cells = (
        "return [...document.querySelectorAll(`#table tbody td.of-${arguments[0]}`)].map((cell) => cell.textContent)"
    )
    found: list[str] = browser.run(cells, name)
    return found


def numbers(browser: Browser, name: str) -> list[int]:
    script = """
        const heads = [...document.querySelectorAll("#table thead th")].map((head) => head.textContent.trim());
        const at = heads.indexOf(arguments[0]);
        const cells = [...document.querySelectorAll("#table tbody tr")].map((line) => line.children[at].textContent);
        return cells.filter(Boolean).map(Number);
    """
    cells: list[int] = browser.run(script, name)
    return cells


def note(browser: Browser) -> str:
    text: str = browser.run("return document.getElementById('filtered').textContent")
    return text


def becomes(browser: Browser, read: Callable[[], list[Any]], expected: list[Any]) -> None:
    """The table draws a new order when it comes to it, not in the click."""
    with suppress(TimeoutException):
        WebDriverWait(browser.driver, PATIENCE, 0.02).until(lambda _: read() == expected)
    assert read() == expected


def choose(browser: Browser, facet: str, value: str) -> None:
    select = Select(browser.driver.find_element(By.ID, f"filter-{facet}"))
    (option,) = [option for option in select.options if option.text.rpartition(" (")[0] == value]
    select.select_by_value(str(option.get_attribute("value")))


def search(browser: Browser, text: str) -> str:
    """Type, and what the page says of it."""
    box = browser.driver.find_element(By.ID, "search")
    box.clear()
    box.send_keys(text)
    summary: str = browser.until(
        "const text = document.getElementById('filtered').textContent;"
        'return text.includes(`search "${arguments[0]}"`) && text',
        text,
    )
    return summary


# opening


@pytest.mark.parametrize("path", sample(SNAPSHOTS, 4), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_fixtures_report_opens_in_silence(path: Path, browser: Browser, folder: Path) -> None:
    audit = audit_of(path)
    target = write_page(audit, folder / f"{path.stem}.html")
    for width, dark in ((1280, False), (480, True)):
        browser.page(target, width=width, dark=dark)
        assert browser.said() == []
        assert browser.asked() == [target.as_uri()]
        shown = browser.run("return document.querySelectorAll('#table tbody button').length")
        assert shown == min(25, len(table.findings(audit.rows, audit.evidence)))
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


def test_the_charts_are_drawn_without_scripts(browser: Browser, page: Path) -> None:
    browser.page(page, scripts=False)
    charts = browser.driver.find_elements(By.CSS_SELECTOR, "svg.chart")
    texts = [str(chart.get_attribute("aria-label")) for chart in charts]
    assert [text.partition(":")[0] for text in texts] == [
        "Pages of the database", "Revisions by provider", "Values by place and provider", "Values by key and KEK"
    ]  # fmt: skip
    for chart in charts:
        assert chart.size["height"] > 20
        assert chart.find_elements(By.TAG_NAME, "path")
    assert "latest: aescbc/key1 34" in texts[2]
    assert "freed: identity 29" in texts[2]
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_small_report_is_small(page: Path) -> None:
    assert page.stat().st_size < 900_000


def test_dark_is_dark(browser: Browser, page: Path) -> None:
    paper = (
        "return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).reduce((sum, part) => sum + +part, 0)"
    )
    browser.page(page)
    assert browser.run(paper) > 700
    browser.page(page, dark=True)
    assert browser.run(paper) < 100


def test_without_scripts_the_report_is_read_all_the_same(browser: Browser, page: Path, compacted: Audit) -> None:
    browser.page(page, scripts=False)
    text = browser.driver.find_element(By.TAG_NAME, "body").text
    assert "29 readable values of 28 Secrets" in text
    assert "Not examined" in text
    assert "old disk blocks" in text
    assert "payments/old1" in text
    assert seals.findings(compacted) in text
    assert "Export CSV" not in text
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_nothing_found_is_said(browser: Browser, folder: Path) -> None:
    target = write_page(auditor.scan(DEFRAGMENTED), folder / "clean.html")
    browser.page(target)
    text = browser.driver.find_element(By.TAG_NAME, "body").text
    assert "readable" in text
    assert browser.said() == []


# 50,000 findings


def test_50000_findings_open_and_filter_with_few_rows_in_the_page(browser: Browser, large: tuple[Audit, Path]) -> None:
    audit, path = large
    assert len(table.findings(audit.rows, audit.evidence)) >= MANY
    browser.page(path)
    assert browser.said() == []
    rows = "return document.querySelectorAll('#table tbody tr').length"
    assert 0 < browser.run(rows) < MANY // 100
    for text in ("s-00017", "team-7", "s-049"):
        summary = search(browser, text)
        expected = sum(text in line for line in as_csv(audit).splitlines()[1:])
        assert summary.startswith(
            f"filtered: {expected:,} of {len(table.findings(audit.rows, audit.evidence)):,} findings"
        )
        assert browser.run(rows) < MANY // 100


def test_50000_findings_are_printed_up_to_a_bound(browser: Browser, large: tuple[Audit, Path]) -> None:
    audit, path = large
    browser.page(path)
    sheets = browser.printed()
    assert 5 < len(sheets) < 40
    assert all("Confidential: names of Secrets" in sheet for sheet in sheets)
    text = " ".join(" ".join(sheets).split())
    assert f"The first {objects.MOST} of 50,00" in text
    assert seals.findings(audit) in text.replace(" ", "")
    grouped = objects.group(table.of_findings(audit.rows))
    assert {line[2] for line in grouped.lines} <= set(text.split())


# filters, order, export


def test_a_tile_shows_what_it_counts(browser: Browser, page: Path, compacted: Audit) -> None:
    cells = table.findings(compacted.rows, compacted.evidence).columns
    held = sum(cell in {"yes", "part", "elsewhere"} for cell in cells["same_as_latest"])
    browser.page(page)
    tiles = browser.driver.find_elements(By.CSS_SELECTOR, ".figures a[data-filter]")
    counts = {tile.text.split("\n")[1]: int(tile.text.split("\n")[0]) for tile in tiles}
    assert counts["leftovers that hold what is current"] == held == compacted.tally.current_holders
    for tile in tiles:
        count, what, *_ = tile.text.split("\n")
        tile.click()
        rows = 29 if what == "objects with a readable value" else int(count)  # of one object there are two values
        assert note(browser).startswith(f"filtered: {rows} of 30 findings (finding plaintext")
    browser.driver.find_element(By.ID, "clear").click()
    assert note(browser) == ""


def test_filters_keep_what_they_say(browser: Browser, page: Path, compacted: Audit) -> None:
    browser.page(page)
    cells = table.findings(compacted.rows, compacted.evidence).columns
    assert note(browser) == ""
    chosen = {
        "place": "freed",
        "severity": "low",
        "namespace": "payments",
        "provider": "aescbc",
        "finding": "plaintext",
    }
    for facet, value in chosen.items():
        choose(browser, facet, value)
        count = sum(cell == value for cell in cells[facet])
        assert note(browser) == f"filtered: {count} of 30 findings ({facet} {value})"
        assert set(visible_cells(browser, facet)) == {value}
        browser.driver.find_element(By.ID, "clear").click()
        assert note(browser) == ""
    choose(browser, "place", "freed")
    choose(browser, "namespace", "platform")
    both = sum(pair == ("freed", "platform") for pair in zip(cells["place"], cells["namespace"], strict=True))
    assert note(browser).startswith(f"filtered: {both} of 30 ")
    assert search(browser, "nothing of the kind").startswith("filtered: 0 of 30 ")
    assert "No finding passes" in browser.driver.find_element(By.ID, "table").text


def test_columns_sort_as_what_they_hold(browser: Browser, page: Path, compacted: Audit) -> None:
    browser.page(page)
    ranks = [Severity[text.upper()] for text in visible_cells(browser, "severity")]
    assert ranks == sorted(ranks, reverse=True)
    Select(browser.driver.find_element(By.CSS_SELECTOR, ".dt-length select")).select_by_value("100")
    offset = browser.driver.find_element(By.XPATH, "//table[@id='table']//th[contains(., 'offset')]")
    cells = table.findings(compacted.rows, compacted.evidence).columns["offset"]
    expected = sorted(int(cell) for cell in cells if cell != "")  # that of a provider has none
    offset.click()
    becomes(browser, lambda: numbers(browser, "offset"), expected)
    offset.click()
    becomes(browser, lambda: numbers(browser, "offset"), expected[::-1])
    browser.driver.find_element(By.XPATH, "//table[@id='table']//th[normalize-space(.)='name']").click()
    names = sorted(map(str, table.findings(compacted.rows, compacted.evidence).columns["name"]))
    becomes(browser, lambda: visible_cells(browser, "name"), names)


def test_the_export_is_the_csv(browser: Browser, page: Path, compacted: Audit) -> None:
    """Whatever the order on the screen: in that of the evidence."""
    browser.page(page)
    browser.driver.find_element(By.XPATH, "//table[@id='table']//th[contains(., 'offset')]").click()
    browser.driver.find_element(By.ID, "export").click()
    assert hashlib.sha256(browser.downloaded().read_bytes()).hexdigest() == seals.findings(compacted)


def test_a_filtered_export_says_so(browser: Browser, page: Path, compacted: Audit) -> None:
    browser.page(page)
    choose(browser, "place", "freed")
    browser.driver.find_element(By.ID, "export").click()
    target = browser.downloaded()
    assert target.name == "findings-filtered-29-of-30.csv"
    rows = list(csv_module.DictReader(io.StringIO(target.read_text())))
    whole = [row for row in csv_module.DictReader(io.StringIO(as_csv(compacted))) if row["place"] == "freed"]
    assert {row.pop("filtered") for row in rows} == {"filtered: 29 of 30 findings (place freed)"}
    assert sorted(rows, key=lambda row: row["id"]) == sorted(whole, key=lambda row: row["id"])


def test_a_filtered_print_says_so(browser: Browser, page: Path) -> None:
    browser.page(page)
    search(browser, "old1")
    sheets = browser.printed()
    text = " ".join(" ".join(sheets).split())
    assert "filtered: " in text
    assert 'of 30 findings (search "old1")' in text
    assert "payments/old1" in text
    assert "payments/old2" not in text
    assert all("Confidential: names of Secrets" in sheet for sheet in sheets)
    browser.driver.find_element(By.ID, "clear").click()
    assert "payments/old2" in " ".join(browser.printed())


def test_scripts_and_python_group_alike(browser: Browser, page: Path, compacted: Audit) -> None:
    """What print.js makes of a filter that all pass is what objects.py made."""
    browser.page(page)
    search(browser, "secrets")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    cells = "[...line.children].map((cell) => cell.textContent)"
    lines = f"return [...document.querySelectorAll('#objects tbody tr')].map((line) => {cells})"
    grouped = objects.group(table.of_findings(compacted.rows))
    assert browser.run(lines) == [list(line) for line in grouped.lines]


# explanations and pictures


def test_a_finding_is_explained_and_can_be_checked_by_hand(browser: Browser, page: Path) -> None:
    import subprocess

    browser.page(page)
    browser.driver.find_element(By.CSS_SELECTOR, "#table tbody button").click()
    text = browser.driver.find_element(By.CLASS_NAME, "explained").text
    for phrase in ("What it means", "What would stop it", "defragment every member", "Check it by hand"):
        assert phrase in text
    show, line = (each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".explained code"))
    assert show.startswith("etcd-auditor show '4-compacted.db' --at ")
    shown = subprocess.run(["bash", "-c", line], cwd=COMPACTED.parent, capture_output=True, text=True, check=True)
    assert shown.stdout.split()[1:5] == ["k", "8", "s", "\\0"]


def test_the_page_map_leads_to_its_rows(browser: Browser, page: Path, compacted: Audit) -> None:
    pages = Counter(table.findings(compacted.rows, compacted.evidence).columns["page"])
    browser.page(page)
    links = browser.driver.find_elements(By.CSS_SELECTOR, "#chart-pages .links button")
    assert [link.text for link in links] == [f"page {number}" for number in compacted.tally.freed_pages]
    links[0].click()
    first = compacted.tally.freed_pages[0]
    assert note(browser) == f"filtered: {pages[first]} of 30 findings (page {first})"
    assert set(numbers(browser, "page")) == {first}
    browser.driver.find_element(By.ID, "clear").click()
    chart = browser.driver.find_element(By.CSS_SELECTOR, "#chart-pages svg.chart")
    last = compacted.tally.freed_pages[-1]
    browser.run("arguments[0].scrollIntoView({block: 'center'})", chart)
    box = browser.run("return arguments[0].getBoundingClientRect().toJSON()", chart)
    cell = box["width"] / 20
    x, y = (last % 20 + 0.5) * cell, (last // 20 + 0.5) * cell
    move = ActionChains(browser.driver)
    move.move_to_element_with_offset(chart, int(x - box["width"] / 2), int(y - box["height"] / 2)).click().perform()
    browser.until(f"return document.getElementById('filtered').textContent.endsWith('(page {last})')")
    assert set(numbers(browser, "page")) == {last}


def test_the_next_step_says_whose_it_is_and_shows_what_it_is_about(browser: Browser, page: Path) -> None:
    browser.page(page)
    steps = [item.text for item in browser.driver.find_elements(By.CSS_SELECTOR, "#next li")]
    assert steps == [
        "preserve this evidence \u2014 whoever holds this evidence",
        "rotate the credentials of 27 Secrets that are current \u2014 the owners of the Secrets, in payments (14), "
        "platform (13)",
        "defragment every member, then take and audit new backups \u2014 who runs the store",
    ]
    browser.driver.find_element(By.CSS_SELECTOR, "#next a").click()
    assert note(browser).startswith("filtered: 27 of 30 findings (")


def test_a_list_that_scrolls_shows_that_it_does(browser: Browser, page: Path) -> None:
    """Its head stays, its last line is cut, and it is reached by the keyboard."""
    browser.page(page)
    browser.run("document.querySelector('#objects .scroll').scrollTop = 300")
    head, box = (
        browser.run("return document.querySelector(arguments[0]).getBoundingClientRect().top", each)
        for each in ("#objects thead th", "#objects .scroll")
    )
    assert abs(head - box) < 2
    assert browser.run("return document.querySelector('#objects .scroll').tabIndex") == 0


@pytest.mark.parametrize("width", [1280, 1440])
def test_where_a_value_lies_is_on_the_screen(width: int, browser: Browser, page: Path) -> None:
    browser.page(page, width=width)
    box = browser.run(
        "return [...document.querySelectorAll('#table th')].find((head) => head.textContent.trim() === 'offset')"
        ".getBoundingClientRect().toJSON()"
    )
    assert 0 < box["left"] < box["right"] <= width


# hostile names


def test_hostile_names_do_nothing(browser: Browser, nasty: tuple[Audit, Path]) -> None:
    _, path = nasty
    browser.page(path)
    inside = (
        "return ['img', 'a', 'iframe', 'object', 'link'].map((tag) => document.querySelectorAll(`body ${tag}`).length)"
    )
    before = browser.run(inside)
    scripts = browser.run("return document.scripts.length")
    Select(browser.driver.find_element(By.CSS_SELECTOR, ".dt-length select")).select_by_value("500")
    browser.run("document.querySelectorAll('#table tbody button').forEach((button) => button.click())")
    search(browser, "<img")
    text = browser.driver.find_element(By.ID, "table").text
    assert "<img src=x onerror=alert(1)>" in text
    assert browser.run(inside) == before
    assert browser.run("return document.scripts.length") == scripts
    assert browser.said() == []
    assert browser.asked() == [path.as_uri()]
    assert browser.run("return document.querySelectorAll('#table a, #table img').length") == 0


def test_hostile_names_are_exported_as_the_csv_has_them(browser: Browser, nasty: tuple[Audit, Path]) -> None:
    audit, path = nasty
    browser.page(path)
    choose(browser, "finding", "plaintext")
    browser.driver.find_element(By.ID, "export").click()
    rows = list(csv_module.DictReader(io.StringIO(browser.downloaded().read_text(), newline="")))
    whole = [row for row in csv_module.DictReader(io.StringIO(as_csv(audit))) if row["finding"] == "plaintext"]
    for row in rows:
        assert row.pop("filtered").startswith("filtered: ")
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row.values())
        cells = [part for cell in row.values() for part in re.split(r"[,;|\t\r\n]", cell)[1:]]
        assert not any(part.lstrip('"').startswith(("=", "+", "-", "@")) for part in cells)
    assert sorted(row.items() for row in rows) == sorted(row.items() for row in whole)
    assert {printable(name).rpartition("/")[2] for name in hostile.RAW} <= {
        re.sub(r"""(^|[,;|])'(?="*[=+\-@'])""", r"\1", row["name"]) for row in rows
    }


def test_hostile_names_fit_the_screen_and_the_sheet(browser: Browser, nasty: tuple[Audit, Path]) -> None:
    _, path = nasty
    browser.page(path, width=480)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    sheets = browser.printed()
    assert len(sheets) < 400
    assert all("Confidential: names of Secrets" in sheet for sheet in sheets)
