"""Whether two exhibits can be compared: of one cluster, and in the order in which they are named."""

from collections.abc import Sequence

from auditor.audit.judgement import Judgement
from auditor.errors import UsageError
from auditor.model.evidence import Backend
from auditor.text import hex_id


def same_cluster(
    names: Sequence[str], judgements: Sequence[Judgement], *, different_clusters: bool, any_order: bool
) -> bool | None:
    """Whether both are of one cluster; None where it cannot be told.

    Args:
        names: of the two sides.
        judgements: of the two sides.
        different_clusters: whether two clusters are accepted.
        any_order: whether an AFTER that is the older one is.

    Raises:
        UsageError: they do not fit.
    """
    ids = [(each.cluster.identity, each.reading.backend.cluster_id) for each in judgements]
    same = _same(names, ids, different_clusters=different_clusters)
    if same is not False and same_store(judgements) and not any_order:
        _check_order(names, *(each.reading.backend for each in judgements))
    return same


def same_store(judgements: Sequence[Judgement]) -> bool:
    """Whether both are etcd's, or both kine's: revisions of one have nothing to do with those of the other."""
    return len({each.reading.kind.is_kine for each in judgements}) == 1


def _same(names: Sequence[str], ids: Sequence[tuple[str, int | None]], *, different_clusters: bool) -> bool | None:
    (uid, etcd), (other, other_etcd) = ids
    if uid and other:
        what, (one, two) = "kube-system namespace's uid", (uid, other)
    elif etcd is not None and other_etcd is not None:
        # derived from the first members of a cluster: another one where members were added or removed
        what, (one, two) = "etcd cluster id by its members", (hex_id(etcd), hex_id(other_etcd))
    else:
        return None
    if one != two and not different_clusters:
        raise UsageError(
            f"{names[0]} and {names[1]} are of different clusters: the {what} is {one} and {two}; nothing was "
            "compared. Give --different-clusters if that is meant"
        )
    return one == two


def _check_order(names: Sequence[str], before: Backend, after: Backend) -> None:
    older, newer = before.revision, after.revision
    if 0 < newer < older:
        raise UsageError(
            f"{names[1]} is at revision {newer:,} and {names[0]} at {older:,}: AFTER is the older one; nothing was "
            "compared. Swap them, or use --any-order after a rollback"
        )
    if 0 < newer == older and (after.compacted or 0) < (before.compacted or 0):
        extent = f"up to {after.compacted:,}" if after.compacted else "not at all"
        raise UsageError(
            f"both are at revision {newer:,}; {names[0]} is compacted up to {before.compacted:,}, {names[1]} {extent}: "
            "AFTER is the older one; nothing was compared. Swap them, or use --any-order for members that compact one "
            "after the other"
        )
