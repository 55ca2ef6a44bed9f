"""One object behind a web server, with the facts that the server's answer has.

Source of the names of facts: RFC 9110 8.6 and 8.8, which fsspec's library for HTTP passes on.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from auditor.errors import MissingExtra
from auditor.evidence.discovery import remote
from auditor.fleet.backup import NEVER, Backup


def backup(url: str) -> Backup:
    """The object as a backup; one that the server says nothing of is examined in every run.

    Raises MissingExtra where the library is not installed.
    """
    facts = _facts(url)
    etag, modified = str(facts.get("ETag") or "").strip('"'), _modified(facts)
    return Backup(
        url=url,
        source=remote.shown(url),
        size=int(facts.get("size") or 0),
        modified=modified,
        etag=etag,
        anew=not etag and modified == NEVER,
    )


def _facts(url: str) -> Mapping[str, Any]:
    """What the server says of the object; nothing where it does not answer, as whoever fetches it reports."""
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
        facts: Mapping[str, Any] = system.info(path)
    except ImportError:
        raise MissingExtra(remote.shown(url), "aiohttp", "remote") from None
    except Exception:  # noqa: BLE001 - whatever the library raises
        return {}
    return facts


def _modified(facts: Mapping[str, Any]) -> str:
    with suppress(ValueError, TypeError):
        at = parsedate_to_datetime(str(facts["Last-Modified"])) if facts.get("Last-Modified") else None
        if at is not None:
            return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return NEVER
