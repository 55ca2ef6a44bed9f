"""Explanations of findings for the scripts of a page, and the limitations of every report."""

from auditor.model.audit import Audit
from auditor.reports import causes
from auditor.reports.meaning import MEANING

LIMITATIONS = (
    "A finding says that bytes lie in this file. It does not say that anyone read them, nor who wrote them.",
    "No finding means none in what was examined: other members, backups and old disk blocks may hold what this file "
    "does not.",
    "A provider's prefix proves nothing about the bytes behind it: only a value that was decrypted with a key is known "
    "to be encrypted.",
    "aescbc does not authenticate: a value that was changed so that it opens as another valid object cannot be told.",
    "Same as latest compares what a Secret holds with what is current at the revision that the report names. Whether "
    "the issuer of a credential still accepts it was not asked.",
    "The hashes in this report tell that it was changed by accident; whoever changes it on purpose can make them "
    "anew. Sign or time-stamp the file of sums beside it.",
    "This report names Secrets and the names of their data. It holds no value of one.",
)


def document(audit: Audit) -> dict[str, dict[str, list[str]] | str]:
    """For the scripts of a page: meaning and remedy by finding, cause and remedy by place, the evidence's name."""
    return {
        "findings": {finding.label: list(texts) for finding, texts in MEANING.items()},
        "evidence": audit.evidence.name,
        "places": {place.label: list(texts) for place, texts in causes.of(audit).items()},
    }
