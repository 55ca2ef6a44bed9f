"""How long a page of many findings takes to open, and how long it stands still when it is filtered, in Chromium.

    python -m tests.benchmarks.page [PAGE] [--findings 50000] [--rounds 5]

Without a PAGE one is made: a snapshot of so many plaintext Secrets in 50 namespaces, of a real etcd. Opening is from
the navigation until the table is there and can be filtered. For an action, how long the page answers nothing: from the
event until the next frame is drawn; the search waits 150 ms for more letters, which are in it. Beside seconds stand
those that the processor worked for the page (its main thread's), which a busy machine does not add to.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.fill import write
from tests.helpers.browser import Browser, window
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, snapshot_after
from tests.helpers.objects import StoredObject

_ACT = """
    const done = arguments[arguments.length - 1];
    const begin = performance.now();
    const drawn = () => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begin)));
    const note = document.getElementById("filtered").textContent;
    const changed = () => document.getElementById("filtered").textContent === note ? setTimeout(changed, 5) : drawn();
"""
ACTIONS = {
    "a namespace chosen": f"""{_ACT}
        const select = document.getElementById("filter-namespace");
        select.value = "7";
        select.dispatchEvent(new Event("change"));
        drawn();
    """,
    "shown all": f"""{_ACT} document.getElementById("clear").click(); drawn();""",
    "searched": f"""{_ACT}
        const box = document.getElementById("search");
        box.value = "s-0123";
        box.dispatchEvent(new Event("input"));
        changed();
    """,
    "searched for nothing": f"""{_ACT}
        const box = document.getElementById("search");
        box.value = "nothing of the kind";
        box.dispatchEvent(new Event("input"));
        changed();
    """,
    "shown all again": f"""{_ACT} document.getElementById("clear").click(); drawn();""",
    "a tile clicked": f"""{_ACT} document.querySelector("a[data-filter]").click(); drawn();""",
    "sorted by name": f"""{_ACT}
        [...document.querySelectorAll("#table th")].find((head) => head.textContent.trim() === "name").click();
        drawn();
    """,
}


def page(folder: Path, findings: int) -> Path:
    """A page of so many findings."""

    def work(etcd: Etcd) -> None:
        write(etcd, _pairs(findings))

    target = folder / "page.html"
    done = run("scan", snapshot_after(folder / "many", work), "--html", target)
    assert target.exists(), done.stderr
    return target


def _pairs(count: int) -> Iterator[tuple[bytes, bytes]]:
    for number in range(count):
        whole = StoredObject(b"team-%d" % (number % 50), b"s-%05d" % number, {b"k": b"%030d" % number})
        yield whole.key, whole.protobuf()


def busy(browser: Browser) -> float:
    """The seconds that the processor worked for the page so far."""
    metrics: list[dict[str, Any]] = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


def measure(browser: Browser, target: Path, times: dict[str, list[tuple[float, float]]]) -> None:
    browser.driver.get("about:blank")
    browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    worked, begin = busy(browser), time.perf_counter()
    browser.driver.get(target.as_uri())
    browser.until("return document.documentElement.dataset.ready === 'yes'")
    times.setdefault("opened", []).append((time.perf_counter() - begin, busy(browser) - worked))
    for name, script in ACTIONS.items():
        worked = busy(browser)
        waited = browser.driver.execute_async_script(script) / 1000
        times.setdefault(name, []).append((waited, busy(browser) - worked))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.page")
    parser.add_argument("page", type=Path, nargs="?")
    parser.add_argument("--findings", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, window() as browser:
        target = options.page.resolve() if options.page else page(Path(folder), options.findings)
        for _ in range(options.rounds):
            measure(browser, target, times)
        print(f"{target.stat().st_size / 1e6:.1f} MB")
    print("| | seconds | least to most | of the processor |\n| --- | --- | --- | --- |")
    for name, pairs in times.items():
        waited, worked = zip(*pairs, strict=True)
        spread = f"{min(waited):.2f} to {max(waited):.2f}"
        print(f"| {name} | {statistics.median(waited):.2f} | {spread} | {statistics.median(worked):.2f} |")


if __name__ == "__main__":
    main()
