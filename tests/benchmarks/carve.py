"""What carving recovers from a disk image in which an etcd was deleted and partly written over, and what it costs.

    python -m tests.benchmarks.carve [--folder DIR] [--size 4096] [--secrets 20000] [--rounds 3] [--files /usr/lib]
    python -m tests.benchmarks.carve --memory [--folder DIR] [--secrets 2000]

The image is ext4, made without a loop device: the data directory of a real etcd among Debian's own files, deleted by
debugfs; then a third of the blocks of its database and log are overwritten by other files' bytes, in runs of 4 to 256
KiB. Recall is by the values whose bytes still lie whole in the image, and by all that etcd was ever told; precision by
the values that it was told. Debian's files alone are carved too: no Secret. Seconds are of the wall and of the
processor: on a busy machine only the latter mean something.

--memory: what carving recovers from the memory of an etcd that runs, copied from /proc while it does.
"""

import argparse
import csv
import hashlib
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from tests.helpers import images
from tests.helpers.etcd import Etcd

MEGABYTE = 1 << 20
BLOCK = 4096
BEGINNING = 160
"""Bytes by which a value is looked for: its name and uid lie in them, or its initialization vector."""
SHARE = 3
"""One of so many blocks of the database is written over."""


def stage(files: Path, target: Path, size: int) -> None:
    """Copy Debian's files, as far as they fit."""
    left = size
    for folder, _, names in os.walk(files):
        for name in sorted(names):
            path = Path(folder) / name
            if not path.is_file() or path.is_symlink() or path.stat().st_size > left:
                continue
            copy = target / path.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            left -= copy.stat().st_size


def carved(image: Path, folder: Path) -> list[dict[str, str]]:
    inventory = folder / "carved.csv"
    config = folder / "config.yaml"
    config.write_text(images.CONFIGURATION)
    command = [sys.executable, "-m", "auditor", "scan", "--carve", str(image), "--inventory", str(inventory), "--force"]
    subprocess.run([*command, "--encryption-config", str(config)], check=False, stdout=subprocess.DEVNULL)
    with inventory.open(newline="") as file:
        return list(csv.DictReader(file))


def seconds(command: list[str]) -> tuple[float, float]:
    """Of the wall, and of the processor."""
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin, spent


def hashing(image: Path) -> tuple[float, float]:
    begin, spent = time.perf_counter(), time.process_time()
    with image.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.perf_counter() - begin, time.process_time() - spent


def lying_in(raw: bytes, values: dict[bytes, bytes]) -> set[bytes]:
    """The values that lie whole in an image."""
    by_beginning: dict[bytes, list[bytes]] = defaultdict(list)
    for value in values:
        by_beginning[value[:BEGINNING]].append(value)
    lengths = sorted({len(beginning) for beginning in by_beginning})
    lying = set[bytes]()
    for match in re.finditer(rb"k8s[\0:]", raw):
        at = match.start()
        for length in lengths:
            candidates = by_beginning.get(raw[at : at + length], ())
            lying.update(value for value in candidates if raw[at : at + len(value)] == value)
    return lying


def score(image: Path, life: images.Life, rows: list[dict[str, str]]) -> None:
    """Print recall and precision."""
    raw, ordered = image.read_bytes(), sorted(life.values)
    lying = lying_in(raw, life.values)
    told, right, whole, wrong = set[bytes](), 0, 0, list[dict[str, str]]()
    for row in rows:
        offset, size = int(row["offset"]), int(row["size"])
        value = raw[offset : offset + size]
        if "lost" in row["state"] and "tail" in row["state"]:
            at = bisect_left(ordered, value)
            good = bool(size) and at < len(ordered) and ordered[at].startswith(value)
        else:
            whole += 1
            good = value in life.values
            told.add(value)
        right += good
        if not good:
            wrong.append(row)
    print(
        f"values: {len(life.values):,} written, {len(lying):,} lie whole in the image, {len(told & lying):,} of these "
        f"are carved whole: recall {len(told & lying) / max(len(lying), 1):.4f} of what lies whole, "
        f"{len(told & set(life.values)) / len(life.values):.4f} of all"
    )
    print(
        f"rows: {len(rows):,}, {whole:,} whole, {right:,} are what etcd was told or a beginning of it: "
        f"precision {right / max(len(rows), 1):.4f}"
    )
    for row in wrong[:5]:
        print({column: row[column] for column in ("offset", "size", "state", "resource", "provider", "detail")})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.carve")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--size", type=int, default=4096, help="megabytes of the image")
    parser.add_argument("--secrets", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=Path, default=Path("/usr/lib"))
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the images, which stay there")
    parser.add_argument("--memory", action="store_true", help="of the memory of an etcd, and of no disk")
    options = parser.parse_args()
    if options.memory:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            of_memory(Path(name), options.secrets)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, size = Path(name), options.size * MEGABYTE
        root, bare, image = folder / "root", folder / "debian.img", folder / "disk.img"
        root.mkdir()
        stage(options.files, root, size * 6 // 10)
        images.ext4(bare, size, root)
        life = images.live(root / "var/lib/etcd", options.secrets)
        images.ext4(image, size, root)
        overwritten(image, root)
        shutil.rmtree(root)
        rows = carved(bare, folder)
        secrets = sum(row["resource"] == "secrets" for row in rows)
        print(f"Debian's files alone, {size:,} bytes: {len(rows)} rows, {secrets} of Secrets")
        score(image, life, carved(image, folder))
        for each in (image, bare):
            measure(each, options.rounds)
            if options.keep:
                shutil.move(each, options.keep / each.name)


def of_memory(folder: Path, secrets: int) -> None:
    """Fill an etcd, copy its memory, and print recall and precision."""
    image, life = folder / "memory.dump", images.Life()
    with Etcd(folder / "etcd") as etcd:
        images.fill(etcd, life, secrets, random.Random(1))
        with image.open("wb") as target, Path(f"/proc/{etcd.process.pid}/mem").open("rb", 0) as memory:
            for line in Path(f"/proc/{etcd.process.pid}/maps").read_text().splitlines():
                addresses, rights, *_, last = line.split()
                if rights.startswith("r") and last not in {"[vvar]", "[vsyscall]"}:
                    begin, end = (int(address, 16) for address in addresses.split("-"))
                    memory.seek(begin)
                    with suppress(OSError):  # some pages of a mapping have nothing behind them
                        while begin < end and (content := memory.read(min(end - begin, MEGABYTE))):
                            target.write(content)
                            begin += len(content)
    print(f"memory of an etcd, {image.stat().st_size:,} bytes")
    score(image, life, carved(image, folder))


def measure(image: Path, rounds: int) -> None:
    """Print what a scan costs beside hashing the same file, warm."""
    command = [sys.executable, "-m", "auditor", "scan", "--carve", str(image)]
    runs = [(*seconds(command), *hashing(image)) for _ in range(rounds + 1)][1:]
    wall, spent, wall_hash, spent_hash = (statistics.median(column) for column in zip(*runs, strict=True))
    print(
        f"{image.name}: {wall:.2f} s of the wall, hashing {wall_hash:.2f} s: {wall / wall_hash:.2f} (at most 1.6); "
        f"{spent:.2f} s of the processor, hashing {spent_hash:.2f} s: {spent / spent_hash:.2f}"
    )


def overwritten(image: Path, root: Path) -> None:
    """Delete the etcd, and write other files' bytes over a third of the blocks of its database and its log."""
    member = root / "var/lib/etcd/member"
    taken = list[list[int]]()
    for part in ("snap", "wal"):
        names = [path.name for path in (member / part).iterdir()]
        taken += [images.blocks(image, f"/var/lib/etcd/member/{part}/{name}") for name in names]
        images.delete(image, f"/var/lib/etcd/member/{part}", names)
    chance = random.Random(2)
    with image.open("r+b") as file:
        noise = file.read(64 * MEGABYTE)
        for blocks in taken:
            at = 0
            while at < len(blocks):
                run = chance.randrange(1, 65)
                for block in blocks[at : at + run]:
                    file.seek(block * BLOCK)
                    begin = chance.randrange(len(noise) // BLOCK) * BLOCK
                    file.write(noise[begin : begin + BLOCK])
                at += run * SHARE


if __name__ == "__main__":
    main()
