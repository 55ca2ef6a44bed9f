"""What should be: every value of the selected resources must be encrypted. Values against the policy -> findings.

Knows neither files nor formats: it sees columns of providers and places, and says what each value earns.
"""

import numpy as np
from numpy.typing import NDArray

from auditor.columns import Bools
from auditor.model import Finding, Place, Provider, Severity

FIXED = {
    Finding.KNOWN_KEY: Severity.CRITICAL,
    Finding.KEY_PRESENT: Severity.CRITICAL,
    Finding.COPIED_VALUE: Severity.HIGH,
    Finding.MISPLACED: Severity.HIGH,
    Finding.UNDECRYPTABLE: Severity.HIGH,
    Finding.ORPHANED: Severity.HIGH,
    Finding.UNRECOGNISED: Severity.MEDIUM,
    Finding.STALE_PROVIDER: Severity.MEDIUM,
    Finding.STALE_KEY: Severity.MEDIUM,
    Finding.STALE_KEK: Severity.MEDIUM,
    Finding.WEAK_PROVIDER: Severity.LOW,
}
WEAK = {
    Provider.AESCBC: "aescbc is unauthenticated (CIS accepts it)",
    Provider.KMS_V1: "kms v1 is deprecated",
}


def judge(provider: NDArray[np.uint8], malformed: Bools) -> NDArray[np.uint16]:
    """Finding bits for each value of a resource that must be encrypted; columns of shape (n,)."""
    bits = np.zeros(provider.shape, np.uint16)
    bits[provider == Provider.IDENTITY] |= np.uint16(Finding.PLAINTEXT)
    bits[(provider == Provider.UNKNOWN) | malformed] |= np.uint16(Finding.UNRECOGNISED)
    for weak in WEAK:
        bits[(provider == weak) & ~malformed] |= np.uint16(Finding.WEAK_PROVIDER)
    return bits


def severity(finding: Finding, place: Place, *, same_as_latest: bool) -> Severity:
    """A readable value is critical where it is current, or holds what the current value holds."""
    if finding is Finding.PLAINTEXT:
        return Severity.CRITICAL if place is Place.LATEST or same_as_latest else Severity.HIGH
    return FIXED[finding]
