"""`fleet report` over a data set of a million findings from 100,000 backups: seconds, and peak memory.

python -m tests.benchmarks.fleet_report [FOLDER [BACKUPS]]
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.fleet.dataset import LISTING, LISTING_SCHEMA
from auditor.fleet.manifest import ABOUT, FORMAT, MANIFEST, TableFile
from auditor.fleet.schema import TABLES, VERSION
from auditor.text import moment

CLUSTERS, FINDINGS, SECRETS = 40, 10, 20
"""Clusters; of each backup findings and Secrets."""
START = 1_700_000_000


def make(folder: Path, backups: int) -> None:
    """A data set as the scan writes it, one file a table and cluster."""
    each = backups // CLUSTERS
    files = []
    listing = []
    for cluster in range(CLUSTERS):
        ids = [f"{cluster:04x}{number:020x}" for number in range(each)]
        times = [moment(START + number * 3600) for number in range(each)]
        urls = [f"s3://backups/c{cluster}/{number:06d}.db" for number in range(each)]
        columns: dict[str, Any] = {
            "backup": ids,
            "url": urls,
            "taken": times,
            "modified": times,
            "state": ["examined"] * each,
        }
        columns |= {"cluster": [f"uid-{cluster}"] * each, "severity": ["high"] * each, "sha256": ids}
        numbers = {"readable": FINDINGS, "readable_latest": 0, "unopened_latest": 0, "size": 10**8}
        numbers |= {"finding_rows": FINDINGS, "inventory_rows": SECRETS, "key_rows": 1, "value_ids": SECRETS}
        rows = {**columns, **{name: [value] * each for name, value in numbers.items()}, "complete": [True] * each}
        listing.append(table({**rows, "chosen": [True] * each, "label": [""] * each}, LISTING_SCHEMA))
        owner = np.repeat(np.arange(each), SECRETS)
        secret = np.tile(np.arange(SECRETS), each)
        age = np.where(secret < SECRETS // 2, 0, owner // 24)  # half never change, half every day
        # what is readable in a freed page is what another Secret of the same backup holds now
        numbers_of = zip(secret.tolist(), age.tolist(), strict=True)
        value = [f"{0 if s == 3 else cluster:04x}{s // 2:08x}{a:012x}" for s, a in numbers_of]
        own: dict[str, Any] = {
            "backup": np.array(ids)[owner],
            "id": np.array([f"i{number:010x}" for number in range(SECRETS)])[secret],
            "resource": ["secrets"] * owner.size,
            "namespace": ["ns"] * owner.size,
            "name": np.array([f"secret-{number}" for number in range(SECRETS)])[secret],
            "place": np.where(secret % 2 == 0, "latest", "freed"),
            "provider": np.where(secret % 2 == 0, "aescbc", "identity"),
            "key_name": ["key1"] * owner.size,
            "mod_revision": age + 1,
            "judged": ["finding"] * owner.size,
        }
        leak = secret % 2 == 1
        found: dict[str, Any] = {name: np.array(column)[leak] for name, column in own.items()}
        found |= {"finding": ["plaintext"] * int(leak.sum()), "severity": ["high"] * int(leak.sum())}
        found |= {"detail": [""] * int(leak.sum())}
        ids_of: dict[str, Any] = {
            "backup": own["backup"],
            "id": own["id"],
            "field": ["password"] * owner.size,
            "value_id": value,
        }
        ids_of |= {"current": ~leak, "readable": leak}
        key: dict[str, Any] = {
            "backup": ids,
            "provider": ["aescbc"] * each,
            "key_name": ["key1"] * each,
            "kek_id": [""] * each,
        }
        key |= {"values": [10] * each, "latest": [10] * each, "configured": [True] * each}
        for name, part in {"backups": rows, "findings": found, "inventory": own, "values": ids_of, "keys": key}.items():
            path = f"{name}/cluster=uid-{cluster}/month=2023-11/0.parquet"
            (folder / path).parent.mkdir(parents=True)
            made = table(part, TABLES[name])
            pq.write_table(made, folder / path, compression="zstd")
            size = (folder / path).stat().st_size
            files.append(asdict(TableFile(path, name, f"uid-{cluster}", "2023-11", made.num_rows, size)))
    about = {"listed": moment(START), "sources": ["s3://backups"], "first_look": [], "clusters": [], "compare": "x"}
    whole = pa.concat_tables(listing).replace_schema_metadata({"run": json.dumps(about)})
    pq.write_table(whole, folder / LISTING)
    (folder / ABOUT).write_text(json.dumps({"format": FORMAT, "version": VERSION, "compare": "x", "redaction": ""}))
    (folder / MANIFEST).write_text(json.dumps({"files": files}))


def table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    """The columns of a schema, null where there are none."""
    length = len(columns["backup"])
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(length, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def main(folder: Path, backups: int) -> None:
    make(folder / "set", backups)
    begin = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "auditor",
        "fleet",
        "report",
        str(folder / "set"),
        "--json",
        str(folder / "r.json"),
    ]
    result = subprocess.run(
        [*command, "--html", str(folder / "r.html"), "--force"], capture_output=True, text=True, check=False
    )
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(result.stdout[:2000], result.stderr)
    seconds, processor = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
    print(f"{backups:,} backups: exit {result.returncode}, {seconds:.1f} s, processor {processor:.1f} s")
    print(f"peak memory of the reading process {usage.ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(
            Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch),
            int(sys.argv[2]) if len(sys.argv) > 2 else 100_000,
        )
