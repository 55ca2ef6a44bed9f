"""The scope of an audit: the resources that are judged."""

import numpy as np

from auditor.arrays.dtypes import Bools
from auditor.judgement.policy import Policy
from auditor.kubernetes import fragments
from auditor.kubernetes.store import Store
from auditor.options import Options


def judged(store: Store, options: Options, policy: Policy, also: frozenset[str]) -> Bools:
    """Whether each resource is judged: those asked for, those that a configuration encrypts, and fragments of any.

    Args:
        store: all stored values of the evidence.
        options: of the run.
        policy: with the configurations.
        also: names of further resources.
    """
    covered = {entry.name for entry in store.resources if not entry.exempt and policy.covers(entry.name)}
    asked = {name.rstrip(".") for name in options.resources}
    return store.match(frozenset(asked | covered | also | {fragments.UNIDENTIFIED.name}))


def names(store: Store, judged: Bools, options: Options) -> tuple[str, ...]:
    """The names of the judged resources: those asked for first, then what a configuration adds.

    Args:
        store: all stored values of the evidence.
        judged: the result of judged().
        options: of the run.
    """
    entries = [store.resources[code] for code in np.flatnonzero(judged).tolist()]
    asked = [name.rstrip(".") for name in options.resources]
    added = {entry.name for entry in entries if entry is not fragments.UNIDENTIFIED and "*" not in asked}
    return tuple(dict.fromkeys([*asked, *sorted(added)]))
