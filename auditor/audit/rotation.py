"""What must be rotated, and in which order: a row for every value, whatever number of Secrets hold it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from auditor.audit import teams
from auditor.audit.exposed_values import READABLE, ExposedValues, Gathering, Holder, Identity, latest
from auditor.audit.teams import Teams
from auditor.audit.used_by import MOST, NO_REFERENCE, UNKNOWN, Usage, secrets_of
from auditor.evidence.reading import Reading
from auditor.hunt.hit import Hit
from auditor.judgement.leftovers import Standard
from auditor.judgement.selection import Selection
from auditor.kubernetes import rbac
from auditor.kubernetes.credential_classes import POWERFUL_TOKEN, REST
from auditor.kubernetes.rbac import Rbac
from auditor.kubernetes.store import Store
from auditor.kubernetes.trees import seconds
from auditor.model.findings import Baseline, Rows
from auditor.model.rotation import Rotation, RotationRow, RotationValues
from auditor.model.vocabulary import BaselineState, Place
from auditor.options import Options
from auditor.text import NAME, NAMESPACE, marked, moment, printable

STATUSES = ("current", "unknown", "changed", "expired")
"""Status of a credential, in the order of the list."""
RENEWS = frozenset({"cert-manager", "OpenShift service CA"})
"""Keepers that renew their certificates by themselves: one row is enough for all of them."""


class Context(NamedTuple):
    """What the list is made with, beside the values."""

    usage: Usage | None
    rbac: Rbac
    teams: Teams
    table: Rows
    """Rows of the report, with the baseline's states."""
    hits: Sequence[Hit]
    baseline: Baseline | None = None
    standard: Standard | None = None
    """What newer evidence holds, which decides what is current; None where this evidence does."""
    complete: bool = True
    """Whether all of the evidence was read."""


def of_selections(
    selections: Sequence[Selection],
    store: Store,
    reading: Reading,
    options: Options,
    parts: tuple[Usage | None, Rows, Sequence[Hit], Baseline | None, Standard | None],
) -> Rotation | None:
    """The list of one audit; None where it is not asked for. Raises UsageError where the file of owners cannot be used.

    Args:
        selections: the judged values, with their opened bytes.
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        options: whose the Secrets are.
        parts: usage of the Secrets, rows of the report, hits of a hunt, the comparison with a baseline, and what newer
            evidence holds.
    """
    if not options.rotation:
        return None
    globs = teams.load(options.owners) if options.owners else ()
    namespaces = teams.by_label(store, reading, options.owner_label) if options.owner_label else {}
    usage, table, hits, baseline, standard = parts
    context = Context(
        usage=usage,
        rbac=rbac.read(store, reading),
        teams=Teams(globs, namespaces),
        table=table,
        hits=hits,
        baseline=baseline,
        standard=standard,
        complete=not reading.gaps,
    )
    return build(selections, context, moment(seconds(options.as_of))[:10])


def build(selections: Sequence[Selection], context: Context, today: str = "") -> Rotation:
    """The list, with marks for redaction.

    Args:
        selections: the judged values, with their opened bytes.
        context: who uses and may read them, and whose they are.
        today: the day before which an end is over, ISO 8601; that of the run where it is empty.
    """
    gathered = Gathering(context.table, context.hits)
    for selection in selections:
        gathered.add(selection)
    newest = selections if context.standard is None else context.standard.selections
    for selection in newest:
        gathered.add_current(selection)
    values = gathered.values
    values.unread |= not (context.complete if context.standard is None else context.standard.complete)
    today = today or datetime.now(UTC).strftime("%Y-%m-%d")
    rows = [_row(identity, tuple(own.values()), values, context, today) for identity, own in values.holders.items()]
    named = {holder.secret for own in values.holders.values() for holder in own.values()}
    return Rotation(
        rows=ordered(rows),
        leak=_leaks(newest or selections),
        bundles=len(values.bundles - named),
        empty=len(values.empty - named),
        gone=_gone(context),
        values=RotationValues(
            rows=tuple(rows),
            identities=tuple(values.holders),
            digests=tuple(identity.digest for identity in values.holders),
            current=frozenset(values.current),
            unread=values.unread,
            named=frozenset(named),
            bundles=frozenset(values.bundles),
            empty=frozenset(values.empty),
        ),
    )


def ordered(rows: Sequence[RotationRow]) -> tuple[RotationRow, ...]:
    """The list of rows of one value each: what one controller renews as one, in the order of the list."""
    return tuple(sorted(_folded(rows), key=_order))


def _order(row: RotationRow) -> tuple[int, int, str, tuple[str, ...]]:
    return row.order, STATUSES.index(row.status), row.kind, row.secrets


def _leaks(selections: Sequence[Selection]) -> bool:
    """Whether the newest current Secret is readable."""
    newest = (-1, False)
    for values in selections:
        plain = values.plaintext
        rows = [row for row in secrets_of(values) if values.served[row] and values.batch.at(Place.LATEST)[row]]
        newest = max([newest, *((int(values.batch.mod_revision[row]), bool(plain[row])) for row in rows)])
    return newest[1]


def _row(
    identity: Identity, holders: Sequence[Holder], values: ExposedValues, context: Context, today: str
) -> RotationRow:
    """The row of one value."""
    first = min(holders, key=lambda holder: (holder.kind.order, holder.kind == REST, holder.secret))
    end = latest(holder.end for holder in holders)
    status = (
        "current" if identity.digest in values.current else "unknown" if values.unread or not first.field else "changed"
    )
    if end[:1].isdigit() and end < today:
        status = "expired"
    kind, reach = first.kind, ""
    accounts = sorted({holder.account for holder in holders if holder.account is not None})
    for account in accounts:
        reach = "; ".join(_reach(context.rbac, account))
    if reach:
        kind = POWERFUL_TOKEN
    manifest = dict.fromkeys(name for holder in holders for name in holder.manifest)
    rotate = kind.rotate
    if manifest:
        rotate = f"{rotate}: {', '.join(marked(name, NAME) for name in manifest)}"
    owners = {context.teams.of(*holder.secret) for holder in holders} - {""}
    return RotationRow(
        order=kind.order,
        status=status,
        kind=kind.name,
        credentials=1,
        secrets=tuple(sorted(map(_named, holders))),
        valid_until=end,
        keeper=first.keeper.name,
        rotate_at=first.keeper.where,
        rotate=rotate,
        revoke=kind.revoke,
        reach=reach,
        used_by=_used_by(context.usage, {holder.secret for holder in holders}),
        can_read=_readers(context.rbac, {holder.secret for holder in holders}),
        owner=";".join(marked(team, NAME) for team in sorted(owners)),
        baseline=_baseline(holders),
    )


def _baseline(holders: Sequence[Holder]) -> str:
    states = {holder.state for holder in holders if holder.state is not None}
    return "" if not states else "unchanged" if BaselineState.UNCHANGED in states else "new"


def _named(holder: Holder) -> str:
    (namespace, name), value = holder.secret, printable(holder.field)
    what = value or "a fragment"
    return f"{marked(printable(namespace), NAMESPACE)}/{marked(printable(name), NAME)} ({what})"


def _reach(roles: Rbac, account: tuple[bytes, bytes]) -> Iterator[str]:
    for what, binding in roles.reach(account):
        yield f"{what}: ClusterRoleBinding {marked(printable(binding.name), NAME)}"


def _used_by(usage: Usage | None, owners: Iterable[tuple[bytes, bytes]]) -> str:
    if usage is None:
        return UNKNOWN
    names = sorted({name for secret in owners for name in usage.users.get(secret, ())})
    merged = Usage({(b"", b""): names}, {}, {}, usage.unread)
    return merged.cell((b"", b""), -1) if names else usage.cell((b"", b""), -1)


def _readers(roles: Rbac, owners: Iterable[tuple[bytes, bytes]]) -> str:
    """How many service accounts may read one of the Secrets; the list is `show`'s."""
    if not roles.roles:
        return UNKNOWN
    count = len({account for secret in owners for account in roles.readers(*secret)})
    return f"{count}{' or more: not all of RBAC was read' if roles.unread else ''}"


def _folded(rows: Sequence[RotationRow]) -> Iterator[RotationRow]:
    """The rows, those that one controller renews as one."""
    groups: dict[tuple[object, ...], list[RotationRow]] = {}
    for row in rows:
        if row.keeper in RENEWS and row.kind == "TLS":
            groups.setdefault((row.order, row.status, row.kind, row.keeper, row.owner), []).append(row)
        else:
            yield row
    for own in groups.values():
        if len(own) == 1:
            yield own[0]
            continue
        users = [cell for row in own for cell in row.used_by.split(";")]
        yield replace(
            own[0],
            credentials=len(own),
            secrets=tuple(sorted(secret for row in own for secret in row.secrets)),
            valid_until=latest(row.valid_until for row in own),
            rotate_at=f"by {own[0].keeper}, which renews all of them",
            used_by=joined(users),
            can_read="; ".join(dict.fromkeys(row.can_read for row in own)),
            baseline="new" if any(row.baseline == "new" for row in own) else own[0].baseline,
        )


def joined(cells: Sequence[str]) -> str:
    """Cells of `used_by` as one."""
    words = {NO_REFERENCE, UNKNOWN}
    names = sorted({cell for cell in cells if cell not in words and not cell.startswith("+")})
    shown = [*names[:MOST], *([f"+{len(names) - MOST}"] if len(names) > MOST else [])]
    if UNKNOWN in cells:
        shown.append(UNKNOWN)
    return ";".join(shown) or NO_REFERENCE


def _gone(context: Context) -> int:
    """The number of the baseline's readable Secrets that are not readable here."""
    if context.baseline is None:
        return 0
    labels = {kind.label for kind in READABLE}
    present = {
        key
        for key, findings in zip(context.table.columns.get("key", ()), context.table.findings, strict=False)
        if any(finding.kind & READABLE for finding in findings)
    }
    absent = {each.key for each in context.baseline.absent if each.finding in labels and each.resource == "secrets"}
    return len(absent - present)
