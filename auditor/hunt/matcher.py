"""The search for all forms of all needles, by the strategy that their number and length allow.

A few patterns are searched with hyperscan, which compiles them at once and searches gigabytes a second. Compilation of
hundreds of thousands takes longer than all the rest of a scan; so many of one length are searched by words
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
"""Number of needles of fifteen bytes and more from which on hyperscan takes longer than a search by words; for shorter
needles, for which more words are looked at, the number is as many times higher.
"""

Match: TypeAlias = tuple[NeedleForm, int, int]
"""Form, start and length of a needle in a buffer."""
_RAW = forms.GROUP
"""Code of the raw form; 0, 1 and 2 are base64 with that many leading bytes."""
_KINDS = _RAW + 1


class SearchStrategy(Protocol):
    """One strategy of the search."""

    def candidates(self, buffer: Buffer) -> Iterator[tuple[NeedleForm, int]]:
        """Forms that may stand in the buffer, and the start that the text of each would have."""

    def overflowing(self) -> set[int]:
        """Numbers of the needles with too many hits."""


class NeedleMatcher:
    """The search for a set of needles, in every form."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._strategies: list[SearchStrategy] = []
        compiled: list[Needle] = []
        for span, step in STEPS.items():
            fitting = [needle for needle in needles if needle.size >= span]
            needles = [needle for needle in needles if needle.size < span]
            if len(fitting) >= max(MANY * WORD // step, 1):
                words = _WordStrategy(fitting, span)
                self._strategies.append(words)
                fitting = words.unfit
            compiled += fitting
        compiled += needles
        if compiled:
            self._strategies.append(_LiteralStrategy(compiled))

    def candidates(self, buffer: Buffer) -> Iterator[tuple[NeedleForm, int]]:
        """Forms that may stand in the buffer, and the start that the text of each would have."""
        for strategy in self._strategies:
            yield from strategy.candidates(buffer)

    def matches(self, buffer: Buffer) -> Iterator[Match]:
        """Every form that stands in the buffer as a whole."""
        for form, begin in self.candidates(buffer):
            if (extent := forms.extent(form, buffer, begin)) is not None:
                yield form, *extent

    def overflowing(self) -> set[int]:
        """Numbers of the needles with too many hits."""
        return {number for strategy in self._strategies for number in strategy.overflowing()}


class _LiteralStrategy:
    """Search with hyperscan. Several forms may share a pattern."""

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
            if len(fresh) >= PART:  # compiled in the background
                self._searcher.add(fresh)
                fresh = []
        self._searcher.add(fresh)
        # sorted by pattern, one entry a pair of pattern and form: pattern, form, start of the pattern in the text
        numbers = np.concatenate([np.array(chunk, np.int64) for chunk in pattern])
        order = np.argsort(numbers, kind="stable")
        self._pattern = numbers[order]
        self._form = np.concatenate(form)[order]
        self._at = np.concatenate(begins)[order]

    def candidates(self, buffer: Buffer) -> Iterator[tuple[NeedleForm, int]]:
        numbers, ends = self._searcher.search(buffer)
        first, last = np.searchsorted(self._pattern, numbers), np.searchsorted(self._pattern, numbers, "right")
        for low, high, end in zip(first.tolist(), last.tolist(), ends.tolist(), strict=True):
            for pair in range(low, high):
                form = self._forms[self._form[pair]]
                size = min(len(form.beginning), forms.WINDOW)
                yield form, end - size - int(self._at[pair])

    def overflowing(self) -> set[int]:
        rows = np.isin(self._pattern, np.array(sorted(self._searcher.overflowing), np.int64))
        return {self._forms[number].needle.number for number in self._form[rows].tolist()}


class _WordStrategy:
    """Search by the words that the needles' anchors of `span` bytes cover. A form is built only for a hit."""

    unfit: list[Needle]
    """Needles without an anchor that is rare enough, which this strategy does not look for."""

    def __init__(self, needles: Sequence[Needle], span: int) -> None:
        self._needles = needles
        self._escaped = [(number, text) for number, needle in enumerate(needles) for text in forms.escaped(needle.text)]
        owners = np.arange(len(needles))
        # of every form in turn: anchors, codes of the forms, starts of the anchors in the texts, numbers of the needles
        at, plain = anchors.choose([needle.text_slice for needle in needles], span)
        columns = [(plain, owners * _KINDS + _RAW, at, owners)]
        for lead in range(forms.GROUP):
            coded, kind, where = anchors.to_base64(plain, lead), owners * _KINDS + lead, at // forms.GROUP * forms.STEP
            url = np.frombuffer(coded.tobytes().translate(forms.URL), np.uint8).reshape(coded.shape)
            others = np.flatnonzero((url != coded).any(axis=1))
            columns += [(coded, kind, where, owners), (url[others], kind[others], where[others], others)]
        if self._escaped:
            at, escaped = anchors.choose([(text, 0, len(text)) for _, text in self._escaped], span)
            kind = len(needles) * _KINDS + np.arange(at.size)
            columns.append((escaped, kind, at, np.array([number for number, _ in self._escaped])))
        patterns, self._form, self._at, owner = (np.concatenate(column) for column in zip(*columns, strict=True))
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
            yield self._form_of(form), begin
        # needles whose anchors stand everywhere are looked for once more, by a window
        codes = self._form[np.array(sorted(self._searcher.overflowing), np.int64)].tolist()
        self._searcher.overflowing.clear()
        if codes:
            needles = {needle.number: needle for needle in (self._form_of(code).needle for code in codes)}
            literal = _LiteralStrategy(list(needles.values()))
            yield from literal.candidates(buffer)
            self._overflowing |= literal.overflowing()

    def overflowing(self) -> set[int]:
        return self._overflowing

    def _form_of(self, number: int) -> NeedleForm:
        """The form of a code in self._form."""
        needle, kind = divmod(number, _KINDS)
        if needle >= len(self._needles):
            needle, text = self._escaped[number - len(self._needles) * _KINDS]
            return NeedleForm(self._needles[needle], forms.ESCAPED, escaped=text)
        return (
            NeedleForm(self._needles[needle], forms.RAW)
            if kind == _RAW
            else NeedleForm(self._needles[needle], forms.BASE64, kind)
        )
