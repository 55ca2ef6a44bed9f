"""Versions of the reports' format, and the columns of a finding in each: reports that were filed stay verifiable."""

from collections.abc import Mapping
from typing import Any

from auditor.model.table import COLUMNS

VERSION = 2
"""The version that is written. It grows where a reader of the older one would misread the document."""
_COLUMNS = {
    1: (
        "id", "evidence", "place", "finding", "severity", "judged", "resource", "namespace", "name", "uid", "key",
        "provider", "key_name", "kek_id", "encoding", "opened", "same_as_latest", "type", "data_keys", "created",
        "create_revision", "mod_revision", "version", "state", "source", "offset", "size", "extents", "page", "also_in",
        "detail",
    ),
}  # fmt: skip
"""Columns of earlier versions, in their order. 1 is the format of 0.1.0."""

_SECTIONS = {
    1: (
        "format", "version", "schema", "verdict", "conclusion", "exit_code", "fail_on", "complete", "policy",
        "resources", "evidence", "parts", "pages", "counts", "tally", "coverage", "keys", "gaps", "not_examined",
        "notes", "next", "control", "baseline", "accepted", "redaction", "controls", "columns", "findings", "run",
        "hashes",
    ),
}  # fmt: skip
"""Sections of a document of earlier versions."""


def sections(document: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The closed list of sections of a document of an earlier version; None for the present one, as its schema says."""
    version = document.get("version")
    return _SECTIONS.get(version) if isinstance(version, int) else None


def columns(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the columns of a finding in a document of any version that is known, in the order of its CSV."""
    version = document.get("version")
    return _COLUMNS.get(version, tuple(COLUMNS)) if isinstance(version, int) else tuple(COLUMNS)
