"""Every page of every command, at every width, held to axe-core, and used with the keyboard alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.helpers import axe
from tests.helpers.browser import Browser, window
from tests.helpers.command import run
from tests.helpers.etcd import restore
from tests.helpers.fixtures import MIGRATION, PROVIDERS
from tests.helpers.sweeps import everything, sample

WIDTHS = (1440, 768, 390, 320)


def key(stage: str) -> str:
    return str(MIGRATION / f"{stage}.encryption.json")


SIX, SEVEN = MIGRATION / "6-rotating.db", MIGRATION / "7-rotated.db"
COMMANDS: dict[str, tuple[str | Path, ...]] = {
    "scan": ("scan", MIGRATION / "4-compacted.db", "--encryption-config", key("4-compacted")),
    "nothing": ("scan", MIGRATION / "5-defragmented.db", "--encryption-config", key("5-defragmented")),
    "several": ("scan", MIGRATION / "1-plaintext.db", MIGRATION / "4-compacted.db", PROVIDERS / "1-every-provider.db"),
    "diff": ("diff", SIX, SEVEN, "--before-config", key("6-rotating"), "--after-config", key("7-rotated")),
    "diff-plain": ("diff", MIGRATION / "1-plaintext.db", MIGRATION / "2-enabled.db"),
    "keys": ("keys", PROVIDERS / "1-every-provider.db"),
}
PAGES = (*COMMANDS, "watch")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with window() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, arguments in COMMANDS.items():
        done = run(*arguments, "--html", folder / f"{name}.html")
        assert (folder / f"{name}.html").is_file(), done.stderr
    with restore(MIGRATION / "2-enabled.db", folder / "data") as etcd:
        done = run("watch", etcd.url, "--once", "--html", folder / "watch.html")
        assert done.returncode == 1, done.stderr
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.mark.parametrize("name", sample(PAGES, 3))
def test_no_page_breaks_a_rule_of_axe(name: str, browser: Browser, pages: dict[str, Path]) -> None:
    for number, width in enumerate(WIDTHS):
        # each width in one of the two, and each page in both; at night all
        for dark in (False, True) if everything() else ((number + PAGES.index(name)) % 2 == 0,):
            browser.page(pages[name], width=width, dark=dark)
            browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            browser.run("document.querySelector('#table button[data-row]')?.click()")
            assert axe.violations(browser) == [], (width, dark)
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), width
            assert browser.said() == []


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_small_and_its_parts_are_verified(name: str, pages: dict[str, Path]) -> None:
    assert pages[name].stat().st_size < 900_000
    done = run("verify", pages[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "parts of the page, by the hashes in it" in done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_contents_that_lead_to_its_sections(name: str, browser: Browser, pages: dict[str, Path]) -> None:
    browser.page(pages[name])
    targets = browser.run("return [...document.querySelectorAll('nav a')].map((link) => link.hash.slice(1))")
    sections = browser.run("return [...document.querySelectorAll('main section')].map((section) => section.id)")
    assert targets == sections
    assert targets[0] == "verdict"
    assert {"objects", "findings-section", "unexamined"} <= set(targets)


def test_the_first_stop_skips_the_contents(browser: Browser, pages: dict[str, Path]) -> None:
    browser.page(pages["scan"])
    body = browser.driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    focused = browser.driver.switch_to.active_element
    assert focused.text == "Skip the contents"
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    focused.send_keys(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "main"


def test_buttons_of_rows_have_names_of_their_own(browser: Browser, pages: dict[str, Path]) -> None:
    browser.page(pages["scan"])
    names = browser.run(
        "return [...document.querySelectorAll('#table button[data-row]')].map((button) => button.textContent)"
    )
    assert len(names) == len(set(names)) == 25
    button = browser.driver.find_element(By.CSS_SELECTOR, "#table button[data-row]")
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-expanded") == "true"
    assert browser.driver.find_element(By.CLASS_NAME, "explained").is_displayed()


@pytest.mark.parametrize("name", ["scan", "several", "diff", "watch"])
def test_a_phone_shows_the_objects_name(name: str, browser: Browser, pages: dict[str, Path]) -> None:
    browser.page(pages[name], width=390)
    for cells in ("#table tbody td.of-name", "#objects tbody td:nth-child(2)"):
        box = browser.run(
            "const cell = document.querySelector(arguments[0]);"
            "const range = document.createRange();"
            "range.selectNodeContents(cell);"
            "return range.getBoundingClientRect().toJSON()",
            cells,
        )
        assert 0 < box["left"] < box["right"] <= 390, cells


def test_several_exhibits_say_which_a_finding_is_of(browser: Browser, pages: dict[str, Path]) -> None:
    browser.page(pages["several"], width=1440)
    top = browser.run("return document.getElementById('objects').getBoundingClientRect().top + scrollY")
    assert top < 2 * 900  # on the second screen at the latest
    names = {"1-plaintext.db", "4-compacted.db", "1-every-provider.db"}
    options = browser.run("return [...document.querySelectorAll('#filter-exhibit option')].map((each) => each.text)")
    assert {option.rpartition(" (")[0] for option in options[1:]} <= names
    cells = browser.run("return [...document.querySelectorAll('#table td.of-exhibit')].map((cell) => cell.textContent)")
    assert cells
    assert set(cells) <= names


@pytest.mark.parametrize("name", ["diff", "diff-plain"])
def test_a_comparison_on_paper_has_both_sides(name: str, browser: Browser, pages: dict[str, Path]) -> None:
    browser.page(pages[name])
    text = " ".join(" ".join(browser.printed()).split())
    assert "Confidential: names of Secrets" in text
    for word in ("before", "after", "finding", "detail"):
        assert word in text
    assert ("aescbc/key1 aescbc/key2" if name == "diff" else "identity") in text
    lines = browser.run(
        "return [...document.querySelectorAll('#objects tbody tr')].map((line) => line.children[0].textContent)"
    )
    ranks = ["critical", "high", "medium", "low", ""]
    assert lines == sorted(lines, key=ranks.index)
