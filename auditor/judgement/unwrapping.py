"""The wrapped keys of the selected values, unwrapped by the services of --kms: announced, confirmed, then called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import split_by
from auditor.errors import UsageError
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import FindingKind, Place, Provider, State
from auditor.text import decode, plural, restore, shown

if TYPE_CHECKING:
    from auditor.encryption.kms.client import Client
    from auditor.encryption.kms.interface import WrappedKey
    from auditor.observer import Observer
    from auditor.options import Options

EVERY = "*"
WARNING = "Whoever may make these calls can read every Secret that these keys wrap; the service logs them."
PROVEN = "--kms-prove decrypts one value of each wrapped key, and this is another one"
Key = tuple[Provider, str]
"""Provider and printable name of a KMS, as in the values' prefix."""


def unwrap(selections: Sequence[Selection], criteria: Criteria, options: Options, observer: Observer) -> Criteria:
    """The criteria with a keyring that has the unwrapped keys of the values.

    Args:
        selections: the values.
        criteria: of the run, with the clients of --kms.
        options: of the run.
        observer: is asked whether calls may be made, and told how many are done.

    Raises:
        UsageError: The calls were not confirmed.
        KmsError: A login failed.
    """
    if not criteria.clients:
        return criteria
    from auditor.encryption.keyring import Keyring  # loads ciphers

    clients = clients_of(selections, criteria)
    plans = []
    for client in dict.fromkeys(clients.values()):
        keys = {wrapped: None for values in selections for wrapped in _distinct(values, clients, client)}
        plans.append((client, client.plan(keys)))
    calls = [(client, plan) for client, plan in plans if plan and client.service.remote]
    if calls and not options.kms_confirmed:
        text = "\n".join([*(line for pair in calls for line in _announcement(*pair, options.kms_budget)), WARNING])
        if not observer.confirm(text):
            raise UsageError(f"{text}\nNothing was called. Confirm it on a terminal, or with --yes")
    elif calls:
        for client, _ in calls:
            client.principal()
    total, done = sum(len(keys) for _, plan in plans for keys in plan.values()), 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        observer.unwrapped(done, total)

    for client, plan in plans:
        if plan:
            client.fetch(plan, progress)
            observer.step(f"asked {client.service.label} for {plural(sum(map(len, plan.values())), 'wrapped key')}")
    keyring = criteria.keyring or Keyring(criteria.configurations, criteria.plugins)
    unwrappers = {(provider, decode(restore(name))): client for (provider, name), client in clients.items()}
    return replace(criteria, keyring=keyring.with_unwrappers(unwrappers))


def clients_of(selections: Sequence[Selection], criteria: Criteria) -> dict[Key, Client]:
    """The client of each KMS whose values are selected: that of its name, else that of `*`."""
    named = {shown(client.name): client for client in criteria.clients}
    clients: dict[Key, Client] = {}
    for values in selections:
        for label in values.key_labels:
            client = named.get(label.name, named.get(EVERY))
            if label.provider in {Provider.KMS_V1, Provider.KMS_V2} and label.name and client is not None:
                clients[label.pair] = client
    return clients


def rows_of(values: Selection, clients: dict[Key, Client]) -> Iterator[tuple[Client, Ints]]:
    """The whole values under each client."""
    whole = values.identified & (values.batch.key_at >= 0) & ~values.batch.has(State.HEAD_LOST | State.TAIL_LOST)
    for number, label in enumerate(values.key_labels):
        if (client := clients.get(label.pair)) is not None:
            rows = np.flatnonzero(whole & (values.key_label == number))
            if rows.size:
                yield client, rows


def unproven(values: Selection, clients: dict[Key, Client]) -> Ints:
    """The values that --kms-prove leaves out: all but one of each wrapped key."""
    from auditor.encryption.kms import naming

    rest = []
    for _, rows in rows_of(values, clients):
        _, heads = naming.distinct(values.batch, values.prefixes, rows)
        rest.append(np.setdiff1d(rows, heads))
    return np.concatenate(rest) if rest else np.zeros(0, np.int64)


def judge(selections: Sequence[Selection], criteria: Criteria) -> None:
    """Mark current values whose data key was unwrapped by another version of the KEK than the service's newest."""
    from auditor.encryption.kms import naming

    clients = clients_of(selections, criteria)
    for values in selections:
        current = values.served & values.batch.at(Place.LATEST)
        for client, rows in rows_of(values, clients):
            rows = rows[current[rows]]
            codes, heads = naming.distinct(values.batch, values.prefixes, rows)
            keys = list(naming.wrapped_keys_of(values.batch, values.prefixes, heads))
            for code, places in split_by(codes):
                answer = client.answer(keys[code]) if code >= 0 else None
                if answer is not None and answer.current is False:
                    reason = f"{client.service.label} has a newer version of the KEK"
                    values.mark(rows[places], FindingKind.STALE_KEK, reason)


def _distinct(values: Selection, clients: dict[Key, Client], client: Client) -> Iterator[WrappedKey]:
    """The distinct wrapped keys of the values of one client."""
    from auditor.encryption.kms import naming

    for own, rows in rows_of(values, clients):
        if own is client:
            _, heads = naming.distinct(values.batch, values.prefixes, rows)
            yield from naming.wrapped_keys_of(values.batch, values.prefixes, heads)


def _announcement(client: Client, plan: dict[str, list[WrappedKey]], budget: int) -> Iterator[str]:
    """A line for each key that would be called."""
    principal = client.principal()
    who = f" as {principal}" if principal else ""
    for key, keys in plan.items():
        calls = client.calls_of({key: keys})
        bound = f", {budget:,} at most" if budget else ""
        first = "" if all(wrapped.key_id for wrapped in keys) else " (KMS v1 has one for every write)"
        yield (
            f"--kms {shown(client.name)}: {plural(calls, 'call')}{bound} to {client.service.label}, {key}{who}, "
            f"for {plural(len(keys), 'wrapped key')}{first}"
        )
