"""The stages of the kine fixtures: a real kube-apiserver on a real kine, unpacked for each test."""

import json
import tarfile
from pathlib import Path
from typing import Any

from tests.helpers.fixtures import FIXTURES
from tests.helpers.packing import DATA_FILTER

KINE = FIXTURES / "kine"
STAGES = sorted(path.with_name(path.name.removesuffix(".raw.tar.gz")) for path in KINE.glob("*/*.raw.tar.gz"))


def name_of(stage: Path) -> str:
    return f"{stage.parent.name}/{stage.name}"


def truth(stage: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(f"{stage}.truth.json").read_text())
    return document


def configuration(stage: Path) -> str:
    return f"{stage}.encryption.json"


def unpack(stage: Path, folder: Path) -> Path:
    """The folder that holds state.db, state.db-wal and state.db-shm."""
    with tarfile.open(f"{stage}.raw.tar.gz") as archive:
        archive.extractall(folder, **DATA_FILTER)
    return folder / f"{stage.name}.raw"


def canaries(stage: Path) -> dict[bytes, str]:
    """Every canary as it is stored, and the Secret that it is of."""
    names = {}
    for name, secret in truth(stage)["secrets"].items():
        for each in (secret, *secret["earlier"]):
            names.update({text.encode(): name for text in each["stored_as"].values()})
    return names
