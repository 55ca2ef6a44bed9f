"""The meaning of each finding, and its remedy: for every format that explains itself."""

from auditor.model.vocabulary import FindingKind

MEANING: dict[FindingKind, tuple[str, str]] = {
    FindingKind.PLAINTEXT: (
        "A value that must be encrypted is readable without a key by any holder of this evidence.",
        "Rotate the credential; rewrite the object under an encrypting provider; compact, defragment every member, "
        "and take new backups.",
    ),
    FindingKind.KNOWN_KEY: (
        "A value decrypts with a key that is published, or that was named as compromised.",
        "Put a new key first, rewrite every object, and rotate what was stored under the old one.",
    ),
    FindingKind.KEY_PRESENT: (
        "An encryption key itself is readable in this evidence.",
        "Replace the key, rewrite every object under the new one, and remove the copy.",
    ),
    FindingKind.COPIED_VALUE: (
        "The value of a Secret is readable elsewhere: in another object, or in bytes that belong to none.",
        "Rotate the credential, and remove it from the object that repeats it.",
    ),
    FindingKind.MISPLACED: (
        "A value opens as a different object than its etcd key names.",
        "Find out what wrote it: the API server refuses or misreads it under this key.",
    ),
    FindingKind.UNDECRYPTABLE: (
        "The key that a value names was supplied and does not decrypt it, or decrypts it to nonsense.",
        "Check that the configuration is the one in force; restore the object from another source.",
    ),
    FindingKind.ORPHANED: (
        "No provider of the configuration in force reads this current value: the API server cannot either.",
        "Put the missing provider or key back, and rewrite the object before removing it again.",
    ),
    FindingKind.CONFIGURATION: (
        "The encryption configuration does not protect what it seems to.",
        "Correct the configuration at the path that the finding names, and rewrite what was written under it.",
    ),
    FindingKind.UNRECOGNISED: (
        "A value has an unknown provider or version in its prefix, or no known encoding.",
        "Find out what wrote it; whether it is protected cannot be told.",
    ),
    FindingKind.STALE_PROVIDER: (
        "A current value is encrypted, and not by the provider that would write it today.",
        "Rewrite every object of the resource.",
    ),
    FindingKind.STALE_KEY: (
        "A current value is encrypted, and not with the key that would write it today.",
        "Rewrite every object of the resource; keep the old key until nothing needs it.",
    ),
    FindingKind.STALE_KEK: (
        "A current value's data key is wrapped by another KEK than the one in force.",
        "Rewrite every object of the resource; keep the old KEK until nothing needs it.",
    ),
    FindingKind.WEAK_PROVIDER: (
        "A value is under a provider that is deprecated, or that has no integrity: kms v1, aescbc.",
        "Change to an authenticated provider, and rewrite every object. CIS accepts aescbc.",
    ),
}
"""Observation and remedy by finding."""
