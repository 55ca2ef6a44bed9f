"""The commands beside a plain scan, each as the command line runs it, and what must hold of their answers too."""

import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from json import loads
from pathlib import Path
from typing import Any

from auditor import Severity
from auditor.cli import diff, keys, scan_request, scan_run, show
from auditor.cli.live_options import LiveOptions
from auditor.reports.remediation.script import DATA
from tests.fuzz import oracle, verifying
from tests.fuzz.base import PLAIN, Base
from tests.fuzz.case import Case, ended
from tests.fuzz.oracle import End, Outcome

_KEY = re.compile(rb"/(?:registry|bootstrap)/[!-~\x80-\xff]{1,80}")
_LINE = re.compile(
    r"(#.*|batch( [a-z0-9][a-z0-9.-]*| -){2}( [a-z0-9][a-z0-9.-]*)+|at( /?[A-Za-z0-9._/-]+){2} \S+|[A-Z0-9_]+=.*|say .*"
    r"|[a-z_]+\(\) \{|\}|:|command=\$1|shift|clean \|\| return 1|\"\$AUDITOR\" \"\$command\" .*|audit [a-z]+ .*|"
    r"main \"\$@\"|)"
)
"""What may stand behind the steps of a script of remediation."""


def of(command: str, base: Base) -> Base:
    """What a command is given of a kind: show and diff take one evidence item."""
    return base.alone or base if command in {"show", "reveal", "diff"} else base


def judge(command: str, base: Base, data: bytes, folder: Path, seed: int = 0) -> tuple[Outcome, str]:
    """How a command ends on this file, and for a bad end what is known of it. verify damages reports too, by seed."""
    if command == "scan":
        return oracle.judge(base, data, folder, seed)
    try:
        return COMMANDS[command](Case(base, data, folder, random.Random(seed)))
    except End as end:
        return end.outcome, end.said


def _scan(case: Case, **more: Any) -> tuple[Outcome, str]:
    """Every report written, and read again; the costly ones seldom."""
    path, options = case.lay()
    script, table = case.out / "a.sh", case.out / "b.parquet"
    costly = case.rng.randrange(oracle.SELDOM) == 0
    request = scan_request.ScanRequest(
        evidence=(path,),
        live=LiveOptions(),
        options=replace(options, rotation=True, expect_cluster=oracle.UID, **more),
        fail_on=Severity.MEDIUM,
        csv=case.out / "a.csv",
        inventory=table if costly else case.out / "b.csv",
        json=case.out / "c.json",
        html=case.out / "d.html" if costly else None,
        sarif=case.out / "e.sarif",
        remediation=script,
        dataset=None,
        rotation=case.out / "f.md",
        junit=case.out / "g.xml",
        markdown=case.out / "h.md",
        metrics=None,
        split_by="",
        jobs=1,
        force=True,
        verbose=True,
        names=True,
    )
    try:
        code, _ = ended(case, len(case.data), {0, 1, 3}, lambda: scan_run.run(request))
    except End as end:
        if end.outcome is not Outcome.REFUSED:
            raise
        # no script is made of some evidence that is audited well
        request = replace(request, remediation=None)
        code, _ = ended(case, len(case.data), {0, 1, 3}, lambda: scan_run.run(request))
    if script.exists() and (odd := _unsafe(script)):
        return Outcome.UNSAFE, odd
    return oracle.concluded(case.base, case.data, code, quick=bool(more.get("quick")))


def _unsafe(script: Path) -> str:
    """Which line of a script is no command that may stand there; a shell's own check of the whole."""
    text = script.read_text(encoding="utf-8")
    behind = text.partition(DATA)[2].split("\n")
    odd = [number for number, line in enumerate(behind, 1) if not _LINE.fullmatch(line)]
    if odd:
        return f"line {odd[:1]} behind the steps"
    checked = subprocess.run(["/bin/sh", "-n", str(script)], capture_output=True, check=False)
    return "" if checked.returncode == 0 else "sh -n refuses it"


def _show(case: Case) -> tuple[Outcome, str]:
    """The canary's history, or that of another key that stands in the file."""
    path, options = case.lay()
    others = [key.decode("utf-8", "surrogateescape") for key in _KEY.findall(case.data)]
    own = case.rng.random() < 0.7 or not others
    key = case.rng.choice([PLAIN.key.decode(), "prod/canary"] if own else others)
    report = case.out / "a.json"
    options = replace(options, rows=False)
    run = partial(show.run, path, LiveOptions(), key, options, report, reveal=False, force=True)
    code, said = ended(case, len(case.data), {0, 3}, run)
    if code == 3:
        return Outcome.OPEN, ""
    versions = loads(report.read_text())["versions"]
    plain = any(each["provider"] in {"identity", "unknown"} for each in versions)
    if own and not plain and case.left:
        return Outcome.UNTRUE, "all was read, and no version of the canary is readable"
    return (Outcome.ANSWERED, "") if "Not examined:" in said else (Outcome.UNTRUE, "no scope")


def _reveal(case: Case) -> tuple[Outcome, str]:
    """The values of a history, which may be shown, and nothing of a key; no byte of them reaches the terminal raw."""
    path, options = case.lay()
    others = [key.decode("utf-8", "surrogateescape") for key in _KEY.findall(case.data)]
    key = case.rng.choice([PLAIN.key.decode(), *others])
    shown = replace(case, base=replace(case.base, canaries=()))
    options = replace(options, rows=False)
    run = partial(show.run, path, LiveOptions(), key, options, None, reveal=True, force=False)
    code, said = ended(shown, len(case.data), {0, 3}, run)
    if raw := sorted({each for each in said if each != "\n" and not each.isprintable()}):
        return Outcome.UNSAFE, f"{len(raw)} control characters, the first U+{ord(raw[0]):04X}"
    return (Outcome.OPEN if code else Outcome.ANSWERED), ""


def _keys(case: Case) -> tuple[Outcome, str]:
    path, options = case.lay()
    report = case.out / "a.json"
    options = replace(options, resources=("*",), rows=False)
    run = partial(keys.run, path, LiveOptions(), options, (None, report), force=True)
    code, _ = ended(case, len(case.data), {0, 1, 3}, run)
    if code:  # 1: a key that was supplied does not open what names it
        return (Outcome.FOUND if code == 1 else Outcome.OPEN), ""
    plain = [each for each in loads(report.read_text())["keys"] if each["provider"] in {"identity", "unknown"}]
    if case.left and not any(PLAIN.key.decode() in each["objects"] for each in plain):
        return Outcome.UNTRUE, "all was read, and the canary is among what needs a key"
    return Outcome.ANSWERED, ""


def _diff(case: Case) -> tuple[Outcome, str]:
    """The mutated file against the whole one, with or without the canary, on either side."""
    base, rng = case.base, case.rng
    other = base.clean if base.clean and rng.random() < 0.8 else base.data
    forward = rng.random() < 0.5
    code, said = _compared(case, other, forward=forward, loose=rng.random() < 7 / 8)
    after = case.data if forward else other
    if base.setting and code != 1:
        return Outcome.FALSE_PASS, f"exit {code}, and a configuration decides nothing about plaintext"
    if code:
        return (Outcome.FOUND if code == 1 else Outcome.OPEN), ""
    if base.left(after):
        return Outcome.FALSE_PASS, f"{base.place} as AFTER"
    told = loads((case.out / "c.json").read_text())["before"]["findings"]
    if not forward and case.left and not any(each["finding"] == "plaintext" for each in told):
        return Outcome.UNTRUE, f"{base.place} as BEFORE was read, and nothing in it is plaintext"
    if not base.whole(case.data):
        return Outcome.DAMAGED, base.place
    return (Outcome.ANSWERED, "") if "in what was examined of AFTER" in said else (Outcome.UNTRUE, "no scope")


def _compared(case: Case, other: bytes, *, forward: bool, loose: bool) -> tuple[int, str]:
    path, options = case.lay()
    strict = not forward and case.rng.random() < 0.5
    beside, whole = case.base.lay(case.folder / "other", case.base.data if case.base.setting else other)
    sides = [(str(beside), whole), (path, options)]
    (before, before_options), (after, after_options) = sides if forward else sides[::-1]
    request = diff.DiffRequest(
        before=before,
        after=after,
        live=LiveOptions(),
        before_options=before_options,
        after_options=after_options,
        expect_before="encrypted" if strict else "",
        same_content=strict,
        different_clusters=loose,
        any_order=loose,
        fail_on=Severity.MEDIUM,
        csv=case.out / "a.csv",
        html=case.out / "b.html",
        json=case.out / "c.json",
        force=True,
    )
    return ended(case, len(case.data) + len(other), {0, 1, 3}, lambda: diff.run(request))


COMMANDS: dict[str, Callable[[Case], tuple[Outcome, str]]] = {
    "show": _show,
    "reveal": _reveal,
    "diff": _diff,
    "keys": _keys,
    "verify": verifying.judge,
    "quick": lambda case: _scan(case, quick=True),
    "hunt": lambda case: _scan(case, hunt=True, use_found_keys=case.rng.random() < 0.5),
    "remediation": _scan,
}
NAMES = ("scan", *COMMANDS)
