"""The scope of an audit: which resources are judged, and their names."""

from collections.abc import Callable, Sequence

import numpy as np

from auditor.arrays.dtypes import Bools
from auditor.arrays.parallel import value_counts
from auditor.judgement.policy import Policy
from auditor.judgement.selection import Selection
from auditor.kubernetes import fragments
from auditor.kubernetes.store import Store
from auditor.options import Options


def in_scope(store: Store, options: Options, policy: Policy, also: frozenset[str]) -> Bools:
    """Which resources are judged: those asked for, those that a configuration encrypts, and fragments of any.

    Args:
        store: all values of the evidence.
        options: the resources asked for.
        policy: of the configurations.
        also: names of further resources.
    """
    covered = {
        entry.name
        for entry in store.resources
        if not entry.exempt and (policy.covers_any if entry.unlisted else policy.covers)(entry.name)
    }
    asked = {name.rstrip(".") for name in options.resources}
    return store.match(frozenset(asked | covered | also | {fragments.UNIDENTIFIED.name}))


def judged(options: Options, policy: Policy, also: frozenset[str]) -> Callable[[str], bool]:
    """Whether the values of a resource are judged, by its name alone: of those that say it once they are decrypted.

    Args:
        options: the resources asked for.
        policy: of the configurations.
        also: names of further resources.
    """
    asked = also | {name.rstrip(".") for name in options.resources}
    return lambda name: bool(name) and ("*" in asked or name in asked or policy.covers(name))


def present(store: Store, policy: Policy) -> frozenset[str]:
    """The names of all resources of the evidence; of one whose group is not known those that a rule may mean by it.

    Args:
        store: all values of the evidence.
        policy: of the configurations.
    """
    unlisted = {entry.name for entry in store.resources if entry.unlisted}
    meant = {name for name in policy.names if name.partition(".")[0] in unlisted}
    return frozenset({entry.name for entry in store.resources} | meant)


def names(store: Store, options: Options, in_scope: Bools) -> tuple[str, ...]:
    """The resources that are judged: those asked for first, then what a configuration adds.

    Args:
        store: all values of the evidence.
        options: the resources asked for.
        in_scope: which resources are judged.
    """
    entries = [store.resources[code] for code in np.flatnonzero(in_scope).tolist()]
    asked = [name.rstrip(".") for name in options.resources]
    added = {entry.name for entry in entries if entry is not fragments.UNIDENTIFIED and "*" not in asked}
    return tuple(dict.fromkeys([*asked, *sorted(added)]))


def must(store: Store, scope: Sequence[str], in_scope: Bools) -> frozenset[str]:
    """The resources that a configuration must encrypt: the scope's, and of `*` those that are in the evidence.

    Args:
        store: all values of the evidence.
        scope: what names() says.
        in_scope: which resources are judged.
    """
    if "*" not in scope:
        return frozenset(scope)
    judged = [store.resources[code] for code in np.flatnonzero(in_scope).tolist()]
    named = (entry for entry in judged if entry is not fragments.UNIDENTIFIED and not entry.unlisted)
    return frozenset(scope) | {entry.name for entry in named}


def resources(selections: Sequence[Selection], scope: Sequence[str]) -> list[str]:
    """The resources of a scope one by one: in place of `*` those that some values are of.

    Args:
        selections: the values.
        scope: names of the judged resources, or `*`.
    """
    present = {
        values.resources[code].name
        for values in selections
        for code, _ in value_counts(values.resource.astype(np.int64))
    }
    return list(dict.fromkeys([*(name for name in scope if name != "*"), *(sorted(present) if "*" in scope else ())]))
