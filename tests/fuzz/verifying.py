"""Damage that `verify` is to notice: mutated evidence under sound reports, and mutated reports of sound evidence.

One document in three is sealed anew, so that what is behind the hashes is reached; then only the evidence contradicts.
"""

import hashlib
import json
import random
import subprocess
from pathlib import Path
from typing import Any

from auditor import Severity
from auditor.cli import scan_request, scan_run, verify
from auditor.cli.live_options import LiveOptions
from auditor.model.table import COLUMNS, Table
from auditor.reports import csv, seals
from auditor.reports.html import seal
from tests.fuzz import archive_damage, exports
from tests.fuzz.case import Case, ended
from tests.fuzz.mutate import odd
from tests.fuzz.oracle import Outcome

SUMS = "a.json.SHA256SUMS"
NAMES = ("a.json", "b.html", "c.csv", SUMS)
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 1 << 70, (1 << 31) - 1, float("inf"), float("nan"), "", "x" * 3000, "\ud800", "\x00\x1b[2J",
    "../../etc/passwd", "a/b", [], {}, [[]], {"": ""}, [None], "aescbc", "identity", "9" * 5000, "1+1",
]  # fmt: skip
_BYTES = (archive_damage.noise, archive_damage.bit, archive_damage.cut, archive_damage.dropped)


_MADE: dict[tuple[str, bytes], dict[str, bytes]] = {}
"""The reports of each base, which cost more than what is done with them."""


def judge(case: Case) -> tuple[Outcome, str]:
    """Reports of the whole file, and one of them or the file itself damaged."""
    base, rng = case.base, case.rng
    path, options = base.lay(case.folder / "evidence", base.data)
    case.out.mkdir()
    reports = _MADE.get((base.place, base.data)) or _reports(path, case)
    for each, raw in reports.items():
        (case.out / each).write_bytes(raw)
    _MADE[base.place, base.data] = reports
    name = rng.choice(NAMES)
    alone = name in NAMES[:2] and rng.random() < 0.7
    if alone:
        (case.out / SUMS).unlink()
    report = case.out / name
    changed, again = b"", False
    if rng.random() < 0.5:
        base.lay(case.folder / "evidence", case.data)
    else:
        again = alone and rng.random() < 1 / 3
        changed = _anew(reports[name], rng) if again else _damaged(reports[name], rng)
        report.write_bytes(changed)
    evidence = [] if name == "c.csv" else [str(path)]
    size = len(case.data) + sum(map(len, reports.values()))
    code, _ = ended(case, size, {0, 1}, lambda: verify.run(report, evidence, options))
    if code:
        return Outcome.FOUND, ""
    if not changed:
        confirmed = evidence and not base.setting and case.data != base.data
        return (Outcome.UNTRUE, "other evidence confirmed") if confirmed else (Outcome.ANSWERED, "")
    return _held(case, reports[name], changed, report, again=again)


def _reports(path: Path, case: Case) -> dict[str, bytes]:
    """JSON, HTML and CSV with the list of their sums, as scan writes them."""
    request = scan_request.ScanRequest(
        evidence=(str(path),),
        live=LiveOptions(),
        options=case.base.lay(case.folder / "evidence", case.base.data)[1],
        fail_on=Severity.MEDIUM,
        csv=case.out / "c.csv",
        inventory=None,
        json=case.out / "a.json",
        html=case.out / "b.html",
        sarif=None,
        remediation=None,
        dataset=None,
        rotation=None,
        junit=None,
        markdown=None,
        metrics=None,
        split_by="",
        jobs=1,
        force=True,
        verbose=False,
        names=False,
    )
    ended(case, len(case.base.data), {1}, lambda: scan_run.run(request))
    (case.out / "c.csv.SHA256SUMS").rename(case.out / SUMS)
    return {each.name: each.read_bytes() for each in case.out.iterdir()}


def _held(case: Case, before: bytes, after: bytes, report: Path, *, again: bool) -> tuple[Outcome, str]:
    """Whether a damaged report that was confirmed says the same as before, by other means than the auditor's."""
    if report.name == SUMS:
        checked = subprocess.run(
            ["sha256sum", "--check", "--strict", report.name], cwd=case.out, capture_output=True, check=False
        )
        return (Outcome.UNTRUE, "sha256sum refuses it") if checked.returncode else (Outcome.ANSWERED, "")
    if again:
        known = hashlib.sha256(case.base.data).hexdigest().encode()
        held = case.base.setting or known in after
        return (Outcome.ANSWERED, "") if held else (Outcome.UNTRUE, "the evidence's hash is not in it")
    same = after == before
    if report.name == "a.json" and (case.out / SUMS).exists() is False:
        same = _canonical(after) == _canonical(before)
    return (Outcome.ANSWERED, "") if same else (Outcome.UNTRUE, f"another {report.name} confirmed")


def _canonical(raw: bytes) -> str:
    return json.dumps(json.loads(raw), sort_keys=True)


def _damaged(raw: bytes, rng: random.Random) -> bytes:
    """Bytes anywhere, or tokens of its JSON: in a page those at its end, which speak of the rest."""
    if rng.random() < 0.4:
        text = bytearray(raw)
        for _ in range(rng.choice([1, 1, 2])):
            rng.choice(_BYTES)(text, rng)
        return bytes(text)
    at = raw.rfind(b"<!--part") if raw.startswith(b"<!") else 0
    at = max(at, 0) if rng.random() < 0.5 else max(raw.find(seal.OPENING.encode()), 0)
    return raw[:at] + exports.change(raw[at:], rng.randrange(1 << 32), hashed=False)


def _anew(raw: bytes, rng: random.Random) -> bytes:
    """The document with parts of another type or content, and every hash in it made right."""
    before, opening, rest = raw.partition(seal.OPENING.encode())
    text, closing, behind = rest.partition(seal.CLOSING.encode()) if opening else (raw, b"", b"")
    document = json.loads(text)
    for _ in range(rng.choice([1, 1, 2, 4])):
        _restructured(document, rng)
    hashes = document.get("hashes")
    if isinstance(hashes, dict):
        hashes["sections"] = {
            name: seals.section(part) for name, part in document.items() if name not in seals.UNSEALED
        }
        if isinstance(run := document.get("run"), dict):
            run["sha256"] = seals.seal_run(run)
        _seal_findings(document, hashes)
    if not opening:
        return json.dumps(document).encode()
    if rng.random() < 0.5:
        before = _embedded(before, rng)
    if isinstance(hashes, dict):
        parts = seal.MARK.split(before)
        hashes["parts"] = {
            name.decode(): hashlib.sha256(part).hexdigest() for name, part in zip(parts[1::2], parts[2::2], strict=True)
        }
        hashes["own"] = seal.own(hashes)
    return before + opening + seal.canonical(document).encode() + closing + behind


def _seal_findings(document: dict[str, Any], hashes: dict[str, Any]) -> None:
    rows = document.get("findings")
    if isinstance(rows, list) and all(isinstance(row, dict) and row.keys() == COLUMNS.keys() for row in rows):
        try:
            sheet = csv.sheet(Table({name: [row[name] for row in rows] for name in COLUMNS}))
            hashes["findings"], hashes["rows"] = seals.lines(sheet)
        except Exception:  # noqa: BLE001 - cells that no CSV can hold: then the hashes stay wrong
            return


def _embedded(page: bytes, rng: random.Random) -> bytes:
    """The findings in a page, by columns, with another structure."""
    opening = b'<script type="application/json" id="findings">'
    before, found, rest = page.partition(opening)
    text, closing, behind = rest.partition(b"</script>")
    if not found:
        return page
    columns = json.loads(text)
    _restructured(columns, rng)
    return before + opening + json.dumps(columns).encode() + closing + behind


def _restructured(tree: Any, rng: random.Random) -> None:
    """A part left out, changed for something odd or a part from elsewhere, repeated, or under another name."""
    places: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo:
        each = todo.pop()
        here = list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        places += [(each, name) for name in here]
        todo += [each[name] for name in here]
    weights = [8 if name in _TELLING else 1 for _, name in places]
    if not places:
        return
    ((holder, name),) = rng.choices(places, weights)
    how = rng.randrange(5)
    if how == 0:
        del holder[name]
    elif how == 1:
        other, place = rng.choice(places)
        holder[name] = json.loads(json.dumps(other[place]))
    elif how == 2 and isinstance(holder, list):
        holder.append(json.loads(json.dumps(holder[name])))
    elif how == 2 and isinstance(holder[name], str) and holder[name]:
        text = bytearray(holder[name].encode("utf-8", "surrogatepass"))
        text[rng.randrange(len(text))] = odd(rng, 1)[0] & 0x7F
        holder[name] = text.decode("utf-8", "replace")
    elif how == 3 and isinstance(holder, dict):
        holder[rng.choice(["sources", "evidence", "name", "x" * 300, ""])] = holder.pop(name)
    else:
        holder[name] = rng.choice(ODD)


_TELLING = frozenset({
    "evidence", "sources", "containers", "parts", "findings", "sha256", "size", "name", "directory", "hashes", "rows",
    "offset", "extents", "source", "key_name", "provider", "encoding", "state", "of", "at", "count", "version",
    "format", "problem", "id",
})  # fmt: skip
"""What is read again of a report."""
