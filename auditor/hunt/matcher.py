"""All forms of all needles, each looked for in the way that its number and length allow.

A few patterns are hyperscan's: it compiles them at once and searches gigabytes a second. Compiling hundreds of
thousands takes longer than all the rest of a scan; where there are so many of one length, they are looked for by words
(auditor/hunt/word_search.py).
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeAlias

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.hunt import anchors, forms
from auditor.hunt.forms import NeedleForm
from auditor.hunt.literal_search import PART, Searcher
from auditor.hunt.needles import Needle
from auditor.hunt.word_search import STEPS, WORD, WordSearcher, repeating

MANY = 2_000
"""Long needles from which on compiling and searching their patterns takes longer than looking at every word; of
shorter ones, for which more words are looked at, so many times more."""

Match: TypeAlias = tuple[NeedleForm, int, int]
"""Form, start and length of what stands somewhere whole."""
_RAW = forms.GROUP
"""The kind of a form, beside its number of leading bytes in base64: 0, 1, 2."""
_KINDS = _RAW + 1


class SearchStrategy(Protocol):
    """One way of searching."""

    def candidates(self, buffer: Buffer) -> Iterator[tuple[NeedleForm, int]]:
        """Forms that may stand in the buffer, and where the text of each would begin."""

    def overflowing(self) -> set[int]:
        """Numbers of the needles that were found too often."""


class NeedleMatcher:
    """The forms of the needles, and the patterns that betray them: several forms may share one."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._ways: list[SearchStrategy] = []
        compiled: list[Needle] = []
        for span, step in STEPS.items():
            mine = [needle for needle in needles if needle.size >= span]
            needles = [needle for needle in needles if needle.size < span]
            if len(mine) >= max(MANY * WORD // step, 1):
                by_words = _ByWords(mine, span)
                self._ways.append(by_words)
                mine = by_words.unfit
            compiled += mine
        compiled += needles
        if compiled:
            self._ways.append(_Compiled(compiled))

    def candidates(self, buffer: Buffer) -> Iterator[tuple[NeedleForm, int]]:
        for way in self._ways:
            yield from way.candidates(buffer)

    def matches(self, buffer: Buffer) -> Iterator[Match]:
        """Everything that stands there whole."""
        for form, begin in self.candidates(buffer):
            if (extent := forms.extent(form, buffer, begin)) is not None:
                yield form, *extent

    def overflowing(self) -> set[int]:
        """Numbers of the needles that were found too often."""
        return {number for way in self._ways for number in way.overflowing()}


class _Compiled:
    """By hyperscan."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._forms = forms.forms(needles)
        self._searcher = Searcher()
        known: dict[bytes, int] = {}
        fresh: list[bytes] = []
        pattern, form, begins = [], [], []
        for texts, numbers, at in forms.windows(self._forms):
            before = len(known)
            pattern.append([known.setdefault(text, len(known)) for text in texts])
            form.append(numbers)
            begins.append(at)
            fresh += list(islice(known, before, None))
            if len(fresh) >= PART:  # compiled while the next ones are chosen
                self._searcher.add(fresh)
                fresh = []
        self._searcher.add(fresh)
        numbers = np.concatenate([np.array(each, np.int64) for each in pattern])
        order = np.argsort(numbers, kind="stable")
        self._pattern = numbers[order]
        self._form = np.concatenate(form)[order]
        self._at = np.concatenate(begins)[order]

    def candidates(self, buffer: Buffer) -> Iterator[tuple[NeedleForm, int]]:
        numbers, ends = self._searcher.search(buffer)
        first, last = np.searchsorted(self._pattern, numbers), np.searchsorted(self._pattern, numbers, "right")
        for low, high, end in zip(first.tolist(), last.tolist(), ends.tolist(), strict=True):
            for meaning in range(low, high):
                form = self._forms[self._form[meaning]]
                size = min(len(form.beginning), forms.WINDOW)
                yield form, end - size - int(self._at[meaning])

    def overflowing(self) -> set[int]:
        rows = np.isin(self._pattern, np.array(sorted(self._searcher.overflowing), np.int64))
        return {self._forms[number].needle.number for number in self._form[rows].tolist()}


class _ByWords:
    """By the words that pieces of the needles cover, each of `span` bytes: no form is made before something was found.

    unfit: the needles that are not looked for, because nothing in them is rare enough.
    """

    def __init__(self, needles: Sequence[Needle], span: int) -> None:
        self._needles = needles
        self._escaped = [(number, text) for number, needle in enumerate(needles) for text in forms.escaped(needle.text)]
        owners = np.arange(len(needles))
        at, plain = anchors.choose([needle.part for needle in needles], span)
        made = [(plain, owners * _KINDS + _RAW, at, owners)]
        for lead in range(forms.GROUP):
            coded, kind, where = anchors.coded(plain, lead), owners * _KINDS + lead, at // forms.GROUP * forms.STEP
            url = np.frombuffer(coded.tobytes().translate(forms.URL), np.uint8).reshape(coded.shape)
            others = np.flatnonzero((url != coded).any(axis=1))
            made += [(coded, kind, where, owners), (url[others], kind[others], where[others], others)]
        if self._escaped:
            at, escaped = anchors.choose([(text, 0, len(text)) for _, text in self._escaped], span)
            kind = len(needles) * _KINDS + np.arange(at.size)
            made.append((escaped, kind, at, np.array([number for number, _ in self._escaped])))
        patterns, self._form, self._at, owner = (np.concatenate(column) for column in zip(*made, strict=True))
        unfit = np.unique(owner[repeating(patterns)])
        fit = ~np.isin(owner, unfit)
        self.unfit = [needles[number] for number in unfit.tolist()]
        self._form, self._at = self._form[fit], self._at[fit]
        self._searcher = WordSearcher(patterns[fit]) if fit.any() else None
        self._overflowing: set[int] = set()

    def candidates(self, buffer: Buffer) -> Iterator[tuple[NeedleForm, int]]:
        if self._searcher is None:
            return
        numbers, starts = self._searcher.search(buffer)
        for form, begin in zip(self._form[numbers].tolist(), (starts - self._at[numbers]).tolist(), strict=True):
            yield self._made(form), begin
        # a piece that is everywhere says little: such needles are looked for once more, by another one
        many = self._form[np.array(sorted(self._searcher.overflowing), np.int64)].tolist()
        self._searcher.overflowing.clear()
        if many:
            needles = {needle.number: needle for needle in (self._made(each).needle for each in many)}
            again = _Compiled(list(needles.values()))
            yield from again.candidates(buffer)
            self._overflowing |= again.overflowing()

    def overflowing(self) -> set[int]:
        return self._overflowing

    def _made(self, number: int) -> NeedleForm:
        needle, kind = divmod(number, _KINDS)
        if needle >= len(self._needles):
            needle, text = self._escaped[number - len(self._needles) * _KINDS]
            return NeedleForm(self._needles[needle], forms.ESCAPED, escaped=text)
        return (
            NeedleForm(self._needles[needle], forms.RAW)
            if kind == _RAW
            else NeedleForm(self._needles[needle], forms.BASE64, kind)
        )
