"""What must hold of every mutated file: it ends in an answer, soon, that neither hides the canary nor shows it."""

import io
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType

import auditor
from auditor import Options, Severity
from auditor.errors import AuditorError
from auditor.reports import columns, csv, html, json, terminal
from tests.fuzz.bases import CANARY, Base

SECONDS = 20
"""For files of some hundred kilobytes on a busy machine; a scan takes 0.02 s."""


class Outcome(Enum):
    FOUND = "finding (exit 1)"
    OPEN = "inconclusive (exit 3)"
    REFUSED = "refused with a message (exit 2)"
    PASSED = "no finding, and no canary is left (exit 0)"
    FALSE_PASS = "FALSE PASS: exit 0, and the canary is readable"
    CRASH = "CRASH: an exception that is no message"
    HANG = "HANG: no answer in time"
    SHOWN = "SHOWN: the canary stands in an output"

    @property
    def bad(self) -> bool:
        return self in {Outcome.FALSE_PASS, Outcome.CRASH, Outcome.HANG, Outcome.SHOWN}


class _Slow(BaseException):
    pass


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise _Slow

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judge(base: Base, data: bytes, folder: Path) -> tuple[Outcome, str]:
    """How the audit of this file ends, and for a bad end what is known of it."""
    path = base.lay(folder, data)
    try:
        with limited(SECONDS):
            try:
                audit = auditor.scan(path, Options(encryption_configs=(base.config,)))
                text = _rendered(audit)
            except AuditorError as error:
                return (Outcome.SHOWN, "message") if CANARY.decode() in str(error) else (Outcome.REFUSED, "")
    except _Slow:
        return Outcome.HANG, f"over {SECONDS} s"
    except Exception as error:  # noqa: BLE001 - that nothing but AuditorError comes out is what is tested
        frames = []
        trace = error.__traceback__
        while trace is not None:
            frames.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
            trace = trace.tb_next
        return Outcome.CRASH, f"{type(error).__name__} in {' '.join(frames[-3:])}"
    if CANARY.decode() in text:
        return Outcome.SHOWN, "report"
    code = audit.exit_code(Severity.MEDIUM)
    if code:
        return (Outcome.FOUND if code == 1 else Outcome.OPEN), ""
    return (Outcome.FALSE_PASS, base.place) if CANARY in data else (Outcome.PASSED, "")


def _rendered(audit: auditor.Audit) -> str:
    """Every report of text, so that their writers meet what the mutation made."""
    out = io.StringIO()
    csv.write(columns.findings(audit), out)
    csv.write(columns.inventory(audit), out)
    json.write(audit, Severity.MEDIUM, out)
    html.write(audit, Severity.MEDIUM, out)
    terminal.write(audit, Severity.MEDIUM, terminal.Printer(out), verbose=True)
    return out.getvalue()
