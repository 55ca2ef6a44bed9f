"""The record that k3s and RKE2 keep of their configuration: who restores the evidence needs its server token."""

from pathlib import Path

from auditor.kubernetes import registry
from auditor.kubernetes.store import Store
from auditor.model.findings import BootstrapRecord
from auditor.options import Options


def records(store: Store, options: Options) -> tuple[BootstrapRecord, ...]:
    """The records in the store, and what --k3s-token decrypts of each. Raises UsageError where that is no token."""
    if not any((part.resource == registry.EXEMPT).any() for part in store.parts):
        return ()
    from auditor.hunt import k3s  # most evidence holds no record

    return k3s.records(store.batches, k3s.token(Path(options.k3s_token)) if options.k3s_token else None)
