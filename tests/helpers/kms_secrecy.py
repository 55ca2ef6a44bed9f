"""Whether a run with --kms lets anything out: on any way that a report, an error, a log or a trace takes."""

import contextlib
import csv
import io
import logging
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditor import Options, scan
from auditor.encryption.kms.quiet import FAMILIES
from auditor.model.audit import Audit
from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES
from tests.helpers.kms_store import Store
from tests.helpers.taint import Taint

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
DEBUGGING = """
import http.client, logging
logging.basicConfig(level=logging.DEBUG)
for name in ("azure", "botocore", "google", "hvac", "pkcs11", "requests", "urllib3"):
    logging.getLogger(name).setLevel(logging.DEBUG)
http.client.HTTPConnection.debuglevel = 1
"""
"""What turns every library's debugging on in a process: as sitecustomize.py."""
FORMATS = ("csv", "json", "html", "sarif", "markdown", "junit", "metrics")


@contextmanager
def debugging(caplog: pytest.LogCaptureFixture, level: int) -> Iterator[None]:
    """Every logger at a level, those of the libraries that speak to a KMS by their own names too."""
    named = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in FAMILIES]
    loggers = [logging.getLogger(name) for name in {*named, *FAMILIES}]
    before = [(logger, logger.level) for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(level)
        with caplog.at_level(level):
            yield
    finally:
        for logger, own in before:
            logger.setLevel(own)


def nothing_leaves(
    store: Store,
    path: Path,
    urls: Sequence[str],
    secrets: Sequence[bytes],
    caplog: pytest.LogCaptureFixture,
) -> list[str]:
    """Neither log, output, result nor exception holds a secret: at every level of logging for the first URL.

    Args:
        store: is saved.
        path: of the store.
        urls: NAME=URL, each of another outcome.
        secrets: tokens, PINs and the like.
        caplog: of pytest.

    Returns:
        The outcome of each URL.
    """
    path = store.save(path)
    _looked_through(store, path, urls[0], secrets, caplog, LEVELS[1:])
    return [_looked_through(store, path, kms, secrets, caplog, LEVELS[:1]) for kms in urls]


def _looked_through(
    store: Store,
    path: Path,
    kms: str,
    secrets: Sequence[bytes],
    caplog: pytest.LogCaptureFixture,
    levels: Sequence[int],
) -> str:
    taint = Taint([*store.deks, *store.canaries, *secrets])
    for level in levels:
        caplog.clear()
        output = io.StringIO()
        with debugging(caplog, level), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            outcome = _outcome(path, kms)
        if isinstance(outcome, Audit):
            texts = [repr(outcome), str(outcome.inventory.to_dict()), *outcome.notes, *map(repr, outcome.unexamined)]
        else:
            lines = traceback.TracebackException.from_exception(outcome, capture_locals=True).format()
            texts = ["".join(lines), repr(outcome)]
        for text in (caplog.text, output.getvalue(), *texts):
            assert not taint.within(text), (level, text[:2000])
    if isinstance(outcome, Audit):
        return ", ".join(sorted(set(outcome.inventory["decrypted"])))
    return type(outcome).__name__


def nothing_is_written(store: Store, folder: Path, kms: str, secrets: Sequence[bytes], **environment: str) -> str:
    """By the command, with every library's debugging on: neither output nor any report holds a secret.

    Args:
        store: the store.
        folder: for store and reports; is made.
        kms: NAME=URL.
        secrets: tokens, PINs and the like.
        environment: of the command.

    Returns:
        The outcome of the values, in the inventory.
    """
    site = folder / "site"
    site.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(DEBUGGING)
    path, out = store.save(folder / "a.db"), folder / "out"
    out.mkdir()
    environment["PYTHONPATH"] = os.pathsep.join((str(site), str(FIXTURES.parent)))
    taint = Taint([*store.deks, *store.canaries, *secrets])
    reports = [f"--{kind}={out / f'r.{kind}'}" for kind in FORMATS]
    done = run("scan", path, "--kms", kms, "--yes", "-v", f"--inventory={out / 'i.csv'}", *reports, **environment)
    assert done.returncode in {0, 1, 3}, done.stderr
    texts = [done.stdout, done.stderr, *(each.read_text() for each in out.iterdir())]
    assert len(texts) > len(FORMATS)
    for text in texts:
        assert not taint.within(text)
    with (out / "i.csv").open() as rows:
        return ", ".join(sorted({row["decrypted"] for row in csv.DictReader(rows)}))


def _outcome(path: Path, kms: str) -> Audit | Exception:
    try:
        return scan(path, Options(kms=(kms,), kms_confirmed=True))
    except Exception as error:  # noqa: BLE001 - any of them is looked through
        return error
