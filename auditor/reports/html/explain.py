"""For each finding what it means, what would stop it, and how to check it by hand; what no report can say."""

from auditor.model import Finding
from auditor.reports.words import CAUSES

MEANING: dict[Finding, tuple[str, str]] = {
    Finding.PLAINTEXT: (
        "The value is stored without encryption: whoever holds this file can read it. That anyone did is not shown.",
        "Rotate the credential, since every copy of this file holds it. Then rewrite the object under an encrypting "
        "provider, compact, defragment every member, and take new backups.",
    ),
    Finding.KNOWN_KEY: (
        "The value is encrypted with a key that others know: one printed in documentation, or named as compromised.",
        "Write with a new key, rewrite every object, rotate the credential, then remove the old key.",
    ),
    Finding.KEY_PRESENT: (
        "A key is readable in the very evidence that it protects: whoever holds this file holds the key too.",
        "Replace the key, rewrite every object with the new one, and keep keys out of what etcd stores.",
    ),
    Finding.COPIED_VALUE: (
        "The value of a Secret, or a part of it, stands readable in another place, where encryption does not reach it.",
        "Take the copy out of the object that holds it, rotate the credential, compact and defragment.",
    ),
    Finding.MISPLACED: (
        "The value opens as a different object than its etcd key names. How it came there is not shown.",
        "Compare both objects with a trusted copy; find out who may write to etcd.",
    ),
    Finding.UNDECRYPTABLE: (
        "The named key was supplied, and the value does not open with it, or opens to nonsense.",
        "Check that the right key was supplied; otherwise the value is damaged, or was written with another key of "
        "the same name.",
    ),
    Finding.ORPHANED: (
        "No provider of the configuration in force can read this current value: the API server cannot either.",
        "Put the key back into the configuration, rewrite the object, and only then remove the key.",
    ),
    Finding.CONFIGURATION: (
        "The EncryptionConfiguration does not protect what it seems to.",
        "Mend the configuration at the place that the row names, on every API server; then rewrite the objects.",
    ),
    Finding.UNRECOGNISED: (
        "The value is in no known encoding, or its prefix names a provider or version that is not known.",
        "Find out what wrote it. It is not told whether it is readable.",
    ),
    Finding.STALE_PROVIDER: (
        "The current value is encrypted, but not by the provider that would write it today.",
        "Rewrite every object of the resource under the write provider.",
    ),
    Finding.STALE_KEY: (
        "The current value is encrypted with another key than the one that would write it today.",
        "Rewrite every object of the resource; keep the old key until nothing needs it.",
    ),
    Finding.STALE_KEK: (
        "The data key of the current value is wrapped by another KEK than the one in force.",
        "Rewrite every object of the resource; keep the old KEK until nothing needs it.",
    ),
    Finding.WEAK_PROVIDER: (
        "The provider is deprecated, or does not authenticate what it encrypts: changed bytes may open all the same. "
        "Of aescbc: CIS accepts it.",
        "Write with kms v2, secretbox or aesgcm with rotation, and rewrite every object.",
    ),
}
"""What a finding means, and what would stop it."""
LIMITATIONS = (
    "A finding says that bytes lie in this file. It does not say that anyone read them, nor who wrote them.",
    "No finding means none in what was examined: other members, backups and old disk blocks may hold what this file "
    "does not.",
    "A provider's prefix proves nothing about the bytes behind it: only a value that was opened with a key is known "
    "to be encrypted.",
    "aescbc does not authenticate: a value that was changed so that it opens as another valid object cannot be told.",
    "Same as latest compares what a Secret holds, not when it was last used: a credential may be in use elsewhere, or "
    "be revoked already.",
    "The hashes in this report tell that it was changed by accident; whoever changes it on purpose can make them "
    "anew. Sign or time-stamp the file of sums beside it.",
    "This report names Secrets and the names of their data. It holds no value of one.",
)


def document() -> dict[str, dict[str, list[str]]]:
    """For the scripts of a page: by finding what it means and what stops it, by place why and what stops it."""
    return {
        "findings": {finding.label: list(said) for finding, said in MEANING.items()},
        "places": {place.label: list(said) for place, said in CAUSES.items()},
    }
