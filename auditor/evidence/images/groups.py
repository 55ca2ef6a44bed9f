"""Groups of pages that agree: those that may be of one database. A group is no file, and nothing in it is current.

Pages lie together where each stands as far from another as their numbers say. Parts of an image that lie so are of one
group unless they contradict each other: two different pages of one number, two records of one revision, versions of a
key that do not ascend with its revisions, two clusters. Contradicting parts may be of several databases, or of
generations of one.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import factorize
from auditor.evidence.batch import RecordBatch
from auditor.text import plural, printable

PAGE_SIZES = tuple(1 << bits for bits in range(12, 17))
NAMESPACE = b"/namespaces/kube-system"
"""The end of the key of the namespace that every cluster has, and never loses."""
_UID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LISTED = 20
"""Groups that are described, at most."""
MOST = 256
"""Groups that a part is held against, at most; one that fits none of these is a group of its own."""


class Pages(NamedTuple):
    """n pages: columns of shape (n,)."""

    at: Ints
    number: Ints
    end: Ints
    """The position behind what each page holds."""


class Groups(NamedTuple):
    """The group of every page, and what the groups are."""

    group: Ints
    """Number of each page's group, from 0."""
    words: tuple[str, ...]
    """A description of each group."""


def page_size(pages: Pages) -> int:
    """The size by which most pages stand as far from another as their numbers say."""
    return min(PAGE_SIZES, key=lambda size: np.unique(pages.at - pages.number * size).size)


def read(buffer: Buffer, pages: Pages, records: RecordBatch, owner: Ints, txids: dict[int, int]) -> Groups:
    """The groups of some pages.

    Args:
        buffer: The image.
        pages: The pages.
        records: The records in them.
        owner: Row of each record's page.
        txids: By row of a page, the transaction of its meta.
    """
    if not pages.at.size:
        return Groups(np.zeros(0, np.int64), ())
    size = page_size(pages)
    _, part = np.unique(pages.at - pages.number * size, return_inverse=True)
    uids = uids_of(records)
    claims = (
        Claims(part, pages.number, factorize(buffer, pages.at, pages.end - pages.at)[0]),
        _of_records(buffer, records, part[owner]),
        of_uids(uids, part[owner]),
    )
    group = assign(part, claims, _order_conflicts(buffer, records, part[owner]))
    count = int(group.max()) + 1
    words = tuple(
        _describe(number, pages, records, group, owner, (size, uids, txids)) for number in range(min(count, LISTED))
    )
    if count > LISTED:
        words = (*words, f"{count - LISTED:,} more groups of pages, not described")
    return Groups(group, words)


class Claims(NamedTuple):
    """What parts say of something: two that say something different of the same contradict each other."""

    part: Ints
    subject: Ints
    content: Ints


def assign(part: Ints, claims: Sequence[Claims], against: AbstractSet[tuple[int, int]] = frozenset()) -> Ints:
    """The group of each page: of its part, the first that holds nothing which contradicts it; the largest parts first.

    Args:
        part: The part of each page.
        claims: What the parts say, by kinds.
        against: Parts that contradict each other otherwise.
    """
    opponents: dict[int, set[int]] = defaultdict(set)
    for one, other in against:
        if one != other:
            opponents[one].add(other)
            opponents[other].add(one)
    contested: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    for kind, each in enumerate(claims):
        for owner, subject, content in zip(*_contested(each), strict=True):
            contested[owner].setdefault((kind, subject), content)
    sizes = np.bincount(part)
    group = np.full(sizes.size, -1, np.int64)
    held: list[dict[tuple[int, int], int]] = []
    for each in np.argsort(-sizes, kind="stable").tolist():
        taken = {int(group[other]) for other in opponents.get(each, ())}
        own = contested.get(each, {})
        fits = (
            number
            for number, known in enumerate(held[:MOST])
            if number not in taken and all(known.get(about, content) == content for about, content in own.items())
        )
        group[each] = number = next(fits, len(held))
        if number == len(held):
            held.append({})
        held[number].update(own)
    return group[part]


def _contested(claims: Claims) -> tuple[list[int], list[int], list[int]]:
    """The claims of which there are different ones of the same."""
    order = np.lexsort((claims.content, claims.subject))
    subject, content = claims.subject[order], claims.content[order]
    differ = np.flatnonzero((subject[1:] == subject[:-1]) & (content[1:] != content[:-1]))
    rows = np.flatnonzero(np.isin(claims.subject, subject[differ]))
    if not rows.size:
        return [], [], []
    table = np.unique(np.stack((claims.part[rows], claims.subject[rows], claims.content[rows])), axis=1)
    part, about, what = table.tolist()
    return part, about, what


def _of_records(buffer: Buffer, records: RecordBatch, part: Ints) -> Claims:
    """What records say of a revision: its key."""
    key, _ = factorize(buffer, records.key_at, records.key_size)
    return Claims(part, records.mod_revision * 256 + np.clip(records.sub_revision, 0, 255), key)


def _order_conflicts(buffer: Buffer, records: RecordBatch, part: Ints) -> set[tuple[int, int]]:
    """Versions of a key since its creation that do not ascend with its revisions."""
    rows = np.flatnonzero((records.version > 0) & (records.create_revision > 0))
    if not rows.size:
        return set()
    key, _ = factorize(buffer, records.key_at[rows], records.key_size[rows])
    create, mod, version = records.create_revision[rows], records.mod_revision[rows], records.version[rows]
    order = np.lexsort((version, mod, create, key))
    one, other = order[:-1], order[1:]
    same = (key[one] == key[other]) & (create[one] == create[other])
    bad = same & ((mod[one] == mod[other]) != (version[one] == version[other]))
    bad |= same & (version[one] > version[other])
    bad |= same & (mod[other] - mod[one] < version[other] - version[one])
    own = part[rows]
    return set(zip(own[one[bad]].tolist(), own[other[bad]].tolist(), strict=True))


def uids_of(records: RecordBatch) -> dict[int, str]:
    """By row of a record, the uid of a kube-system namespace that is readable."""
    size = records.key_size
    long = np.flatnonzero((size > len(NAMESPACE)) & (records.value_len > 0))
    tails = records.data.slices(records.key_at[long] + size[long] - len(NAMESPACE), np.full(long.size, len(NAMESPACE)))
    uids = {}
    for row, tail in zip(long.tolist(), tails, strict=True):
        if tail == NAMESPACE and (match := _UID.search(records.value(row))):
            uids[row] = printable(match[0])
    return uids


def of_uids(uids: dict[int, str], part: Ints) -> Claims:
    """What records say of the cluster: its uid. uids: by row; part: of every record."""
    numbers = {uid: number for number, uid in enumerate(sorted(set(uids.values())))}
    rows = np.array(list(uids), np.int64)
    content = np.array([numbers[uid] for uid in uids.values()], np.int64)
    return Claims(part[rows], np.zeros(rows.size, np.int64), content)


def _describe(
    number: int,
    pages: Pages,
    records: RecordBatch,
    group: Ints,
    owner: Ints,
    known: tuple[int, dict[int, str], dict[int, int]],
) -> str:
    """One group in words. known: size of a page, uids by record, transactions by page."""
    size, uids, txids = known
    own = np.flatnonzero(group == number)
    rows = np.flatnonzero(group[owner] == number)
    numbers, at = pages.number[own], pages.at[own]
    text = (
        f"group {number + 1}: {plural(own.size, 'page')} consistent with one database of {size:,}-byte pages: numbers "
        f"{int(numbers.min())} to {int(numbers.max())}, at offsets {int(at.min())} to {int(at.max())}"
    )
    if rows.size:
        mod = records.mod_revision[rows]
        text += f", revisions {int(mod.min()):,} to {int(mod.max()):,}"
    if transactions := sorted({txid for row, txid in txids.items() if group[row] == number}):
        text += f", transaction {' and '.join(map(str, transactions[:4]))} in its meta pages"
    if clusters := sorted({uid for row, uid in uids.items() if group[owner[row]] == number}):
        text += f", cluster {', '.join(clusters)}"
    return text
