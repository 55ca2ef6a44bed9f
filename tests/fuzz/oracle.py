"""What must hold of every mutated file: it ends in an answer, soon, that neither hides the canary nor shows it."""

import io
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import auditor
from auditor import Severity
from auditor.errors import AuditorError, UsageError
from auditor.model import table
from auditor.reports import csv, json, parquet, sarif, terminal
from auditor.reports.html import report
from auditor.reports.remediation import script
from tests.fuzz.base import Base
from tests.helpers.taint import codings


@dataclass
class Allowance:
    """Processor seconds that a file may take: so many, and one more for each of so many bytes."""

    seconds: float
    rate: float

    def of(self, size: int) -> float:
        return self.seconds + size / self.rate


ALLOWANCE = Allowance(10, (1 << 20) / 10)
"""In the tests, on a machine that may be slow and busy. A scan takes 0.1 s; the longer run allows less."""
PATIENCE = 60
"""Seconds on the clock, on a busy machine."""
MEMORY = 160 << 20
"""Bytes that a run may need at its peak, beside TIMES those of the file."""
TIMES = 64
UID = "0f0f0f0f-0000-4000-8000-000000000001"
"""Of the cluster, for the script: the evidence shows none."""
PART = 12
SELDOM = 8
"""One file in so many is read with other options too, and written as HTML and Parquet, which cost the most."""


OTHERS: dict[int, dict[str, Any]] = {
    1: {"hunt": True, "use_found_keys": True},
    2: {"resources": ("*",), "redact_names": True, "quick": True},
}


class Outcome(Enum):
    FOUND = "finding (exit 1)"
    OPEN = "inconclusive (exit 3)"
    REFUSED = "refused with a message (exit 2)"
    PASSED = "no finding, and no canary is left (exit 0)"
    ANSWERED = "an answer that holds (exit 0)"
    FALSE_PASS = "FALSE PASS: no finding, and the canary is readable"
    DAMAGED = "FALSE PASS: exit 0 for a container that its own library cannot read to the end"
    CRASH = "CRASH: an exception that is no message"
    HANG = "HANG: no answer in time"
    LARGE = "LARGE: more memory than in proportion to the file"
    SHOWN = "SHOWN: the canary or a part of a key stands in an output"
    UNTRUE = "UNTRUE: exit 0 for what is not so"
    UNSAFE = "UNSAFE: a script of more than commands and valid names, or a terminal that is told to act"

    @property
    def bad(self) -> bool:
        good = {Outcome.FOUND, Outcome.OPEN, Outcome.REFUSED, Outcome.PASSED, Outcome.ANSWERED}
        return self not in good


class End(Exception):
    """How a run ended that came to no result."""

    def __init__(self, outcome: Outcome, said: str = "") -> None:
        super().__init__()
        self.outcome, self.said = outcome, said


Result = TypeVar("Result")


class _Slow(BaseException):
    pass


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Raises _Slow where the processor, or the clock, has been asked for too much for a file of this size."""

    def stop(number: int, _: FrameType | None) -> None:
        clock = number == signal.SIGALRM
        raise _Slow(f"{PATIENCE} s on the clock" if clock else f"{ALLOWANCE.of(size):.1f} s of the processor")

    signals = (signal.SIGALRM, signal.SIGPROF)
    before = [signal.signal(each, stop) for each in signals]
    signal.alarm(PATIENCE)
    signal.setitimer(signal.ITIMER_PROF, ALLOWANCE.of(size))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def judge(base: Base, data: bytes, folder: Path, seed: int = 0) -> tuple[Outcome, str]:
    """How the audit of this file ends, and for a bad end what is known of it."""
    path, options = base.lay(folder, data)
    options = replace(options, **OTHERS.get(seed // SELDOM % SELDOM, {}))

    def scan() -> tuple[auditor.Audit, str]:
        audit = auditor.scan(path, options)
        return audit, _rendered(audit, costly=seed % SELDOM == 0)

    try:
        audit = within(base, len(data), scan)
    except End as end:
        return end.outcome, end.said
    code = audit.exit_code(Severity.MEDIUM)
    named = (
        " values under ",
        " fragments in ",
    )  # where they lie and how many bytes: what every lone log says is no more
    told = audit.gaps or any(each.decisive and any(word in each.what for word in named) for each in audit.unexamined)
    if base.apart and not options.quick and code == 3 and not told and base.left(data):
        return Outcome.FALSE_PASS, f"{base.place}: no gap"
    return concluded(base, data, code, quick=options.quick)


def within(base: Base, size: int, run: Callable[[], tuple[Result, str]]) -> Result:
    """What a run comes to, of which the text shows nothing. size: bytes of what it reads. Raises End."""
    try:
        with limited(size):
            _reset()
            start = _memory("VmRSS")
            try:
                result, text = run()
            except AuditorError as error:
                raise _refused(base, str(error)) from None
            finally:
                used = _memory("VmHWM") - start
    except End:
        raise
    except _Slow as error:
        raise End(Outcome.HANG, f"over {error} in {_where(error)}") from None
    except Exception as error:  # noqa: BLE001 - that nothing but AuditorError comes out is what is tested
        raise End(Outcome.CRASH, f"{type(error).__name__} in {_where(error)}") from None
    if used > MEMORY + TIMES * size:
        raise End(Outcome.LARGE, f"{used:,} bytes for {size:,}")
    if shown := _shown(base, text):
        raise End(Outcome.SHOWN, f"report: {shown}")
    return result


def concluded(base: Base, data: bytes, code: int, *, quick: bool) -> tuple[Outcome, str]:
    """What the exit code says, held against what can still be read."""
    if base.setting and code != 1:
        return Outcome.FALSE_PASS, f"exit {code}, and a configuration decides nothing about plaintext"
    if code:
        return (Outcome.FOUND if code == 1 else Outcome.OPEN), ""
    if quick:
        return Outcome.FALSE_PASS, "--quick concluded"
    if base.left(data):
        return Outcome.FALSE_PASS, base.place
    return (Outcome.PASSED, "") if base.whole(data) else (Outcome.DAMAGED, base.place)


def _refused(base: Base, said: str) -> End:
    shown = _shown(base, said)
    return End(Outcome.SHOWN, f"message: {shown}") if shown else End(Outcome.REFUSED)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:])


def _shown(base: Base, text: str) -> str:
    """Which of what must not be shown stands in a text: its kind alone."""
    return next(
        (name for name, parts in _forbidden(base.canaries, base.secrets) if any(map(text.__contains__, parts))), ""
    )


@cache
def _forbidden(canaries: tuple[bytes, ...], secrets: tuple[bytes, ...]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Canaries as a whole in every coding, and of keys every PART characters."""
    whole = frozenset(coding for raw in canaries for coding in codings(raw))
    parts = frozenset(
        coding[at : at + PART]
        for raw in secrets
        for coding in codings(raw)
        for at in range(0, len(coding) - PART + 1, PART)
    )
    return ("a canary", whole), ("a part of a key", parts)


def _reset() -> None:
    """Forget the peak of this process's memory: see proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(field: str) -> int:
    """Bytes, of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) << 10
    return 0


def _rendered(audit: auditor.Audit, *, costly: bool) -> str:
    """Every report, so that their writers meet what the mutation made."""
    out = io.StringIO()
    csv.write(table.findings(audit.rows, audit.evidence), out)
    csv.write(table.inventory(audit.rows, audit.evidence), out)
    json.write(audit, Severity.MEDIUM, out)
    sarif.write(audit, Severity.MEDIUM, out)
    with suppress(UsageError):  # no script is made of some evidence
        asked = tuple((name, UID if name == "expect_cluster" else value) for name, value in audit.run.options)
        script.write(replace(audit, run=replace(audit.run, options=asked)), out)
    terminal.write(audit, Severity.MEDIUM, terminal.Printer(out), verbose=True)
    if costly:
        report.write(audit, Severity.MEDIUM, out)
        arrow = parquet.table(table.inventory(audit.rows, audit.evidence))
        out.write("\n".join(str(cell) for row in arrow.to_pylist() for cell in row.values()))
    return out.getvalue()
