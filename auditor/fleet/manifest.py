"""The two documents of a data set: what holds for all of it, and which files its tables have."""

import json
from dataclasses import dataclass, fields
from typing import Any

from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.schema import TABLES, VERSION

FORMAT = "etcd-auditor fleet"
ABOUT, MANIFEST = "dataset.json", "manifest.json"
_WAY_OUT = "restore it, or begin another data set with --dataset"


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table."""

    path: str
    table: str
    cluster: str
    month: str
    rows: int
    size: int


def about(folder: DataSetFolder) -> dict[str, Any]:
    """What holds for all of it; empty where it was never begun. Raises DataSetError, for a later format too."""
    document = _document(folder, ABOUT)
    if not document:
        return {}
    version = document.get("version")
    if document.get("format") != FORMAT or not isinstance(version, int):
        raise DataSetError(f"{folder.shown}: {ABOUT} is damaged: it names no format of ours: {_WAY_OUT}")
    if version > VERSION:
        raise DataSetError(f"{folder.shown}: {ABOUT} is of a format that this version does not know: take a later one")
    return document


def files(folder: DataSetFolder) -> dict[str, TableFile]:
    """The files of the tables, by path. Raises DataSetError."""
    document = _document(folder, MANIFEST)
    if not document:
        return {}
    listed = document.get("files")
    if not isinstance(listed, list) or not all(map(_is_file, listed)):
        raise DataSetError(f"{folder.shown}: {MANIFEST} is damaged: it lists no files of tables: {_WAY_OUT}")
    return {each["path"]: TableFile(**each) for each in listed}


def _is_file(entry: object) -> bool:
    names = {each.name: each.type for each in fields(TableFile)}
    if not isinstance(entry, dict) or set(entry) != set(names):
        return False
    if not all(type(entry[name]) is kind for name, kind in names.items()):
        return False
    parts = entry["path"].split("/")
    return entry["table"] in TABLES and parts[0] == entry["table"] and ".." not in parts


def _document(folder: DataSetFolder, name: str) -> dict[str, Any]:
    raw = folder.read(name)
    if raw is None:
        return {}
    try:
        document = json.loads(raw)
    except ValueError:
        raise DataSetError(f"{folder.shown}: {name} is damaged: it is no JSON: {_WAY_OUT}") from None
    if not isinstance(document, dict):
        raise DataSetError(f"{folder.shown}: {name} is damaged: it holds no object: {_WAY_OUT}")
    return document
