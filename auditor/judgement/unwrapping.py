"""The wrapped keys of the selected values, unwrapped by the services of --kms: announced, confirmed, then called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import split_by
from auditor.errors import UsageError
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import KMS_PROVIDERS, FindingKind, Place, Provider, State
from auditor.text import decode, plural, restore, shown

if TYPE_CHECKING:
    from auditor.encryption.kms.client import Client, Opens
    from auditor.encryption.kms.interface import Answer, WrappedKey
    from auditor.observer import Observer
    from auditor.options import Options

EVERY = "*"
WARNING = "Whoever may make these calls can read every Secret that these keys wrap; the service logs them."
PROVEN = "--kms-prove decrypts one value of each wrapped key, and this is another one"
Key = tuple[Provider, str]
"""Provider and printable name of a KMS, as in the values' prefix."""


class WrappedKeys:
    """The distinct wrapped keys of values under the clients of --kms, collected selection by selection."""

    def __init__(self, criteria: Criteria) -> None:
        self.clients: dict[Key, Client] = {}
        """Client of each KMS whose values are among them."""
        self.of: dict[Client, dict[WrappedKey, Opens | None]] = {}
        """Wrapped keys by the client that is asked for them, with a test of the data key where one may be needed."""
        self._criteria = criteria

    def add(self, values: Selection) -> None:
        """Add those of a selection."""
        from auditor.encryption.kms import naming

        clients = clients_of([values], self._criteria)
        self.clients |= clients
        for client, rows in rows_of(values, clients):
            _, heads = naming.distinct(values.batch, values.prefixes, rows)
            keys = naming.wrapped_keys_of(values.batch, values.prefixes, heads)
            tests = (partial(_opens, values, row) if client.service.several else None for row in heads.tolist())
            own = self.of.setdefault(client, {})
            for key, test in zip(keys, tests, strict=True):
                own[key] = test if not key.key_id else None


def unwrap(selections: Sequence[Selection], criteria: Criteria, options: Options, observer: Observer) -> Criteria:
    """ask() for the values of some selections."""
    keys = WrappedKeys(criteria)
    for values in selections if criteria.clients else ():
        keys.add(values)
    return ask(keys, criteria, options, observer)


def ask(wrapped: WrappedKeys, criteria: Criteria, options: Options, observer: Observer) -> Criteria:
    """The criteria with a keyring that has the unwrapped keys of some values.

    Args:
        wrapped: the wrapped keys.
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

    plans = [(client, client.plan(keys)) for client, keys in wrapped.of.items()]
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
    unwrappers = {(provider, decode(restore(name))): client for (provider, name), client in wrapped.clients.items()}
    return replace(criteria, keyring=keyring.with_unwrappers(unwrappers))


def _opens(values: Selection, row: int, dek: bytes) -> bool:
    """Whether a data key opens a value of KMS v1."""
    from auditor.encryption.envelope import opens_first

    batch, prefixes = values.batch, values.prefixes
    begin = int(prefixes.name_at[row] + prefixes.name_len[row] + 1 - batch.value_at[row])
    (associated,) = batch.associated(np.array([row]))
    return opens_first(batch.value(row)[begin:], associated, dek)


def clients_of(selections: Sequence[Selection], criteria: Criteria) -> dict[Key, Client]:
    """The client of each KMS whose values are selected: that of its name, else that of `*`."""
    named = {shown(client.name): client for client in criteria.clients}
    clients: dict[Key, Client] = {}
    for values in selections:
        for label in values.key_labels:
            client = named.get(label.name, named.get(EVERY))
            if label.provider in KMS_PROVIDERS and label.name and client is not None:
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
    for values in selections:
        current = values.served & values.batch.at(Place.LATEST)
        for client, rows in outdated(values, criteria):
            reason = f"{client.service.label} has a newer version of the KEK"
            values.mark(rows[current[rows]], FindingKind.STALE_KEK, reason)


def outdated(values: Selection, criteria: Criteria) -> Iterator[tuple[Client, Ints]]:
    """The values whose data key was unwrapped by another version of the KEK than the service's newest."""
    for client, answer, rows in _answered(values, np.arange(len(values)), criteria):
        if answer.current is False:
            yield client, rows


def answering(values: Selection, rows: Ints, criteria: Criteria) -> Iterator[str]:
    """The keys that really unwrapped the data keys of some values, as the services name them."""
    yield from (answer.key for _, answer, _ in _answered(values, rows, criteria) if answer.key)


def _answered(values: Selection, wanted: Ints, criteria: Criteria) -> Iterator[tuple[Client, Answer, Ints]]:
    """Each answer of --kms, with the values among those wanted that it is of."""
    from auditor.encryption.kms import naming

    for client, rows in rows_of(values, clients_of([values], criteria)):
        rows = rows[np.isin(rows, wanted)]
        codes, heads = naming.distinct(values.batch, values.prefixes, rows)
        keys = list(naming.wrapped_keys_of(values.batch, values.prefixes, heads))
        for code, places in split_by(codes):
            answer = client.answer(keys[code]) if code >= 0 else None
            if answer is not None:
                yield client, answer, rows[places]


def _announcement(client: Client, plan: dict[str, list[WrappedKey]], budget: int) -> Iterator[str]:
    """A line for each key that would be called."""
    principal = client.principal()
    who = f" as {principal}" if principal else ""
    for key, keys in plan.items():
        calls = client.calls_of({key: keys})
        bound = f", {budget:,} at most" if budget else ""
        of_first = not all(wrapped.key_id for wrapped in keys)
        first = " (KMS v1 has one for every write)" if of_first else ""
        if of_first and client.service.several:
            bound = f", one more for each further version that is tried{bound}"
        yield (
            f"--kms {shown(client.name)}: {plural(calls, 'call')}{bound} to {client.service.label}, {key}{who}, "
            f"for {plural(len(keys), 'wrapped key')}{first}"
        )
