"""A real Chromium, without a head, that opens reports from disk; what it said and asked for is kept."""

import base64
import io
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

REQUIRED = "AUDITOR_REQUIRE_BROWSER"
"""Where this is set a missing browser is a failure."""
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--force-device-scale-factor=1",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60


class Browser:
    """One window. Every page() forgets what the one before said."""

    def __init__(self, driver: webdriver.Chrome, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads

    def page(self, path: Path, *, width: int = 1280, dark: bool = False, scripts: bool = True) -> None:
        self.driver.get("about:blank")
        self._log("browser")
        self._log("performance")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.driver.get(path.as_uri())
        if scripts:
            self.until("return document.documentElement.dataset.ready === 'yes'")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: Any) -> Any:
        """What the script returns, as soon as that is something."""
        return WebDriverWait(self.driver, PATIENCE, 0.02).until(lambda _: self.run(script, *arguments))

    def said(self) -> list[str]:
        """Warnings and errors on the console."""
        return [str(each) for each in self._log("browser") if each["level"] in {"WARNING", "SEVERE"}]

    def asked(self) -> list[str]:
        """What was requested from anywhere, but for what a page holds itself."""
        sent = [json.loads(each["message"])["message"] for each in self._log("performance")]
        urls = [each["params"]["request"]["url"] for each in sent if each["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "blob:", "about:"))]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since the last call."""
        logged: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return logged

    def printed(self) -> list[str]:
        """The text of every sheet, ligatures as letters."""
        printed = self.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
        sheets = PdfReader(io.BytesIO(base64.b64decode(printed["data"]))).pages
        return [unicodedata.normalize("NFKC", sheet.extract_text()) for sheet in sheets]

    def downloaded(self) -> Path:
        """The one file that is in the folder of downloads, once it is whole."""

        def whole(_: object) -> list[Path]:
            files = list(self.downloads.iterdir())
            return files if [each.suffix for each in files] == [".csv"] else []

        return WebDriverWait(self.driver, PATIENCE, 0.05).until(whole)[0]


@contextmanager
def window() -> Iterator[Browser]:
    """A window of the Chromium that is installed; skips without one."""
    chromium, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing = "the reports are not opened: there is no chromium and chromedriver (Debian: chromium chromium-driver)"
        if os.environ.get(REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        downloads = Path(folder) / "downloads"
        downloads.mkdir()
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}/profile"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        chrome = webdriver.Chrome(options=options, service=Service(driver))
        try:
            allowed = {"behavior": "allow", "downloadPath": str(downloads)}
            chrome.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
            chrome.set_script_timeout(PATIENCE)
            yield Browser(chrome, downloads)
        finally:
            chrome.quit()
