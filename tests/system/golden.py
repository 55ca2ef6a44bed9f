"""What every command prints and writes over every fixture, held byte for byte.

`golden/` has a file a run: what it prints, and SHA-256 of what it writes. `python -m tests.system.golden` writes them
anew; with `--whole FOLDER` whole reports go to a folder, to be compared by eye. What a run cannot repeat (its times,
the inode's, hashes over those) is left out, nothing else.
"""

import argparse
import hashlib
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.helpers import command
from tests.helpers.packing import DATA_FILTER

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
GOLDEN = Path(__file__).parent / "golden"
MODIFIED = 1_780_000_000
"""The modification time that every staged file gets."""
STAGES = "migration-aescbc"
SHOWN = {"migration-aescbc": "payments/old0", "providers": "green/kmsv2-0"}
VARIANTS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "config": ("config",),
    "quick": ("--quick",),
    "hunt": ("config", "--hunt"),
}
LEFT_OUT = frozenset({"cases", "reports-0.1.0"})


def stage(folder: Path) -> None:
    """Copy every fixture into a folder, archives unpacked beside themselves too; all with one modification time.

    Cases and earlier reports are left out: their tests state the right answer.
    """
    for path in sorted(FIXTURES.rglob("*")):
        if not LEFT_OUT.isdisjoint(path.relative_to(FIXTURES).parts):
            continue
        target = folder / path.relative_to(FIXTURES)
        if path.suffix not in {".db", ".gz", ".json"} or path.name.endswith(".truth.json"):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        if path.suffix == ".gz":
            with tarfile.open(path) as archive:
                archive.extractall(target.with_name(path.name.removesuffix(".tar.gz")), **DATA_FILTER)
    for path in folder.rglob("*"):
        os.utime(path, (MODIFIED, MODIFIED))


def exhibits(folder: Path) -> list[Path]:
    """The evidence among what was staged: databases, archives and a data directory."""
    found = [path for path in folder.rglob("*") if path.suffix in {".db", ".gz"} or path.name == "etcd"]
    return sorted(found)


def configuration(exhibit: Path, folder: Path) -> Path | None:
    """The EncryptionConfiguration that the API server of an exhibit ran with."""
    name = exhibit.relative_to(folder)
    stem = re.sub(r"(\.raw)?(\.tar\.gz|\.db)?$", "", name.parts[2] if name.parts[0] == "kine" else name.parts[1])
    stem = "7-rotated" if stem == "data-dir" else stem
    beside = folder.joinpath(*name.parts[: 2 if name.parts[0] == "kine" else 1]) / f"{stem}.encryption.json"
    return beside if beside.exists() else None


def runs(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments of every run over staged fixtures; paths relative to the folder."""
    for exhibit in exhibits(folder):
        name = str(exhibit.relative_to(folder))
        config = configuration(exhibit, folder)
        keys = ["--encryption-config", str(config.relative_to(folder))] if config else []
        for variant, options in VARIANTS.items():
            if "config" in options and not keys:
                continue
            given = [part for option in options for part in (keys if option == "config" else [option])]
            yield f"scan {name} {variant}", ["scan", name, *given]
        yield f"keys {name}", ["keys", name, *keys]
        if exhibit.suffix == ".db":
            yield f"show {name}", ["show", name, SHOWN.get(exhibit.relative_to(folder).parts[0], "payments/s0"), *keys]
    yield from pairs()
    yield "scan everything", ["scan", "migration-aescbc", "providers"]
    yield "scan redacted", ["scan", f"{STAGES}/4-compacted.db", "--redact-names"]


def pairs() -> Iterator[tuple[str, list[str]]]:
    """Every comparison of a stage with the next."""
    names = ["1-plaintext", "2-enabled", "3-rewritten", "4-compacted", "5-defragmented", "6-rotating", "7-rotated"]
    for before, after in pairwise(names):
        left, right = f"{STAGES}/{before}", f"{STAGES}/{after}"
        first = [] if before == "1-plaintext" else ["--before-config", f"{left}.encryption.json"]
        config = [*first, "--after-config", f"{right}.encryption.json"]
        yield f"diff {before} {after}", ["diff", f"{left}.db", f"{right}.db", *config]


def outputs(folder: Path, arguments: list[str], *, whole: bool = False) -> str:
    """What a run prints and writes: its exit code, both streams, every file, and what `verify` says of them."""
    reports = Path(tempfile.mkdtemp(prefix="reports-", dir=folder.parent))
    kinds = {
        "scan": ("csv", "json", "inventory", "sarif"),
        "diff": ("csv", "json"),
        "keys": ("json",),
        "show": ("json",),
    }[arguments[0]]
    written = [f"--{kind}={reports / ('r.' + (kind if kind != 'inventory' else 'inventory.csv'))}" for kind in kinds]
    text = [f"$ etcd-auditor {' '.join(arguments)}", *_run(folder, [*arguments, *written], reports)]
    for path in sorted(reports.iterdir()):
        if "SHA256SUMS" not in path.name:
            content = _normal(path, str(reports))
            digest = hashlib.sha256(content.encode()).hexdigest()
            text += [f"--- {path.name}", content if whole else f"{content.count(chr(10)):,} lines, SHA-256 {digest}"]
    if arguments[0] == "scan" and len(arguments) == 2:
        text += [
            f"$ etcd-auditor verify {arguments[1]}",
            *_run(folder, ["verify", str(reports / "r.json"), arguments[1]], reports),
        ]
    return "\n".join(text) + "\n"


def _run(folder: Path, arguments: list[str], reports: Path) -> list[str]:
    environment = {**os.environ, "COLUMNS": "140", "TZ": "UTC", "PYTHONPATH": str(FIXTURES.parent), "NO_COLOR": "1"}
    done = command.result(arguments, environment, folder, timeout=300)
    streams = [done.stdout, "--- stderr", done.stderr]
    streams = [WRITTEN.sub(r"\1 (SIZE)", part.replace(str(reports), "REPORTS")) for part in streams]
    return [f"--- exit {done.returncode}", *streams]


def _normal(path: Path, reports: str) -> str:
    text = path.read_text(encoding="utf-8").replace(reports, "REPORTS")
    if path.suffix not in {".json", ".sarif"}:
        return text
    return json.dumps(_without(json.loads(text)), indent=1, ensure_ascii=False)


WRITTEN = re.compile(r"^(Wrote \S+) \(.*\)$", re.MULTILINE)
"""A file that was written: its size depends on the run's own times."""
UNREPEATABLE = {"run", "hashes", "ctime", "mtime", "modified", "invocations", "startTimeUtc", "endTimeUtc"}


def _without(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without(value) for key, value in part.items() if key not in UNREPEATABLE}
    if isinstance(part, list):
        return [_without(each) for each in part]
    return part


def file_of(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name) + ".txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", type=Path, metavar="FOLDER", help="write whole reports into this folder instead")
    target: Path | None = parser.parse_args().whole
    into = target or GOLDEN
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "evidence"
        folder.mkdir()
        stage(folder)
        every = list(runs(folder))
        for old in into.glob("*.txt"):
            old.unlink()

        def one(run: tuple[str, list[str]]) -> None:
            name, arguments = run
            (into / file_of(name)).write_text(outputs(folder, arguments, whole=target is not None), encoding="utf-8")

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(one, every))


if __name__ == "__main__":
    main()
