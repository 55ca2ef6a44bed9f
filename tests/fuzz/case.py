"""One mutated file as a command of cli/ meets it, and what is held of every command."""

import gc
import io
import random
from base64 import b64encode
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from auditor import Options
from auditor.errors import AuditorError
from tests.fuzz import archives, oracle
from tests.fuzz.base import CANARY, PLAIN, Base
from tests.fuzz.oracle import End, Outcome

NEAR = 400
"""Bytes in front of a value in which its etcd key stands."""


@dataclass(frozen=True)
class Case:
    """One mutated file, laid in `folder`/evidence; reports go to `folder`/out. rng: of the file's seed."""

    base: Base
    data: bytes
    folder: Path
    rng: random.Random

    def lay(self) -> tuple[str, Options]:
        path, options = self.base.lay(self.folder / "evidence", self.data)
        return str(path), options

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def left(self) -> bool:
        """Whether the canary can still be read under the etcd key that was its own."""
        if not self.base.left(self.data):
            return False
        if self.base.place in {"dump", "increment", "responses"}:  # keys in base64, a quantum of three bytes a time
            return b64encode(PLAIN.key)[:-4] in self.data
        return any(map(_kept, {piece for piece, _ in archives.contents(self.data)}))


def _kept(data: bytes) -> bool:
    at = data.find(CANARY)
    while at >= 0:
        if PLAIN.key in data[max(at - NEAR, 0) : at]:
            return True
        at = data.find(CANARY, at + 1)
    return False


def ended(case: Case, size: int, codes: set[int], run: Callable[[], int]) -> tuple[int, str]:
    """Exit code and output of a command of cli/; nothing of it, nor of its reports, shows a value. Raises End."""

    def whole() -> tuple[tuple[int, str], str]:
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            try:
                code = run()
            except AuditorError as error:
                code = 2
                out.write(f"\n{error}")
        return (code, out.getvalue()), "\n".join([out.getvalue(), *map(_text, sorted(case.out.iterdir()))])

    case.out.mkdir(exist_ok=True)
    try:
        code, said = oracle.within(case.base, size, whole)
    finally:
        gc.enable()  # which scan leaves off, in a process that is to end with it
    if code == 2:
        raise End(Outcome.REFUSED)
    if code not in codes:
        raise End(Outcome.UNTRUE, f"exit code {code} is none of this command's")
    return code, said


def _text(path: Path) -> str:
    if path.suffix == ".parquet":
        return "\n".join(str(cell) for row in pq.read_table(path).to_pylist() for cell in row.values())
    return path.read_text(encoding="utf-8", errors="surrogateescape")
