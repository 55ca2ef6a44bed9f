"""The state of a rewrite as one JSON document; watch.schema.json beside this file describes it."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import IO, Any

from auditor.model.kms import KmsCalls
from auditor.reports import json_sections, seals
from auditor.reports.watch import words
from auditor.watch.progress import Name, NamespaceProgress, Progress, Remaining

VERSION = 2
"""The format's version. It grows where a reader of the older one would misread the document."""
SCHEMA = f"urn:etcd-auditor:watch:{VERSION}"


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a document."""
    text = files("auditor.reports.watch").joinpath("watch.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def document(
    progress: Progress,
    resources: Sequence[str],
    policy: str,
    notes: Sequence[str],
    kms: Sequence[KmsCalls] = (),
    *,
    configured: bool,
) -> dict[str, Any]:
    """The document, of plain values only; it names every object that remains."""
    sections: dict[str, Any] = {
        "format": "etcd-auditor watch",
        "version": VERSION,
        "schema": SCHEMA,
        "conclusion": words.conclusion(progress, resources, configured=configured),
        "exit_code": words.exit_code(progress, configured=configured),
        "policy": policy,
        "resources": list(resources),
        "revision": progress.revision,
        **_counts(progress.all),
        "undecrypted": progress.unopened,
        "created_in_old_form": progress.created_otherwise,
        "keys_that_open_nothing": [
            {"provider": provider.label, "key_name": name, "values": count}
            for provider, name, count in progress.useless
        ],
        "doubts": list(progress.doubts),
        "rate": round(progress.rate, 3),
        "seconds_left": None if progress.seconds_left is None else round(progress.seconds_left, 1),
        "namespaces": [{"namespace": name, **_counts(share)} for name, share in progress.namespaces.items()],
        "under": [
            {"provider": provider.label, "key_name": name, "kek_id": kek, "as_wanted": conforms, "values": count}
            for provider, name, kek, conforms, count in progress.under
        ],
        "objects": [_remaining(each) for each in progress.remaining],
        "not_examined": words.NOT_COVERED,
        "notes": list(notes),
        **json_sections.calls_made(kms),
    }
    return {**sections, "hashes": seals.seal_sections(sections)}


def _remaining(remaining: Remaining) -> dict[str, Any]:
    return {
        **_name(remaining.object),
        "provider": remaining.form.provider.label,
        "key_name": remaining.form.key_name,
        "kek_id": remaining.form.kek_id,
        "decrypted": remaining.form.opened.label,
        "finding": remaining.why,
        "mod_revision": remaining.revision,
        "stuck": remaining.stuck,
        "created": remaining.created,
    }


def _counts(share: NamespaceProgress) -> dict[str, int]:
    return {
        "total": share.total,
        "remaining": share.remaining,
        "rewritten": share.rewritten,
        "deleted": share.deleted,
        "present": share.present,
    }


def _name(names: Name) -> dict[str, str]:
    return {"resource": names.resource, "namespace": names.namespace, "name": names.name, "key": names.key}


def write(document: dict[str, Any], out: IO[str]) -> None:
    json.dump(document, out, indent=1, ensure_ascii=True)
    out.write("\n")
