"""All forms of all needles, each looked for in the way that its number and length allow.

A few patterns are hyperscan's: it compiles them at once and searches gigabytes a second. Compiling hundreds of
thousands takes longer than all the rest of a scan; where there are so many, those of the long values are looked for by
words (auditor/hunt/words.py), and only the short ones are compiled.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from auditor.columns import Buffer, Ints
from auditor.hunt import forms, pieces
from auditor.hunt.engine import PART, Searcher
from auditor.hunt.forms import Form
from auditor.hunt.needles import Needle
from auditor.hunt.words import SPAN, WordSearcher

MANY = 2_000
"""Long needles from which on compiling and searching their patterns takes longer than looking at every word."""

_RAW = forms.GROUP
"""The kind of a form, beside its number of leading bytes in base64: 0, 1, 2."""
_KINDS = _RAW + 1


class _Way(Protocol):
    """One way of searching."""

    def candidates(self, buffer: Buffer) -> Iterator[tuple[Form, int]]:
        """Forms that may stand in the buffer, and where the text of each would begin."""

    def overflowing(self) -> set[int]:
        """Numbers of the needles that were found too often."""


class Sought:
    """The forms of the needles, and the patterns that betray them: several forms may share one."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        long = [needle for needle in needles if len(needle.text) >= SPAN]
        if len(long) < MANY:
            long = []
        short = [needle for needle in needles if len(needle.text) < SPAN] if long else needles
        self._ways: list[_Way] = [_Compiled(short)] if short else []
        if long:
            self._ways.append(_ByWords(long))

    def candidates(self, buffer: Buffer) -> Iterator[tuple[Form, int]]:
        for way in self._ways:
            yield from way.candidates(buffer)

    def matches(self, buffer: Buffer) -> Iterator[tuple[Form, int, int]]:
        """Form, start and length of everything that stands there whole."""
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

    def candidates(self, buffer: Buffer) -> Iterator[tuple[Form, int]]:
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
    """By the words that pieces of the needles cover: no form is made before something was found."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._needles = needles
        self._escaped = [(number, text) for number, needle in enumerate(needles) for text in forms.escaped(needle.text)]
        texts = [needle.text for needle in needles]
        at, plain = pieces.choose(texts)
        patterns, kinds, wheres = [plain], [np.arange(len(texts)) * _KINDS + _RAW], [at]
        for lead in range(forms.GROUP):
            coded = pieces.coded(plain, lead)
            kind = np.arange(len(texts)) * _KINDS + lead
            url = np.frombuffer(coded.tobytes().translate(forms.URL), np.uint8).reshape(coded.shape)
            others = np.flatnonzero((url != coded).any(axis=1))
            patterns += [coded, url[others]]
            kinds += [kind, kind[others]]
            wheres += [at // forms.GROUP * forms.STEP, (at // forms.GROUP * forms.STEP)[others]]
        if self._escaped:
            texts = [text for _, text in self._escaped]
            at, escaped = pieces.choose(texts)
            patterns.append(escaped)
            kinds.append(len(needles) * _KINDS + np.arange(len(texts)))
            wheres.append(at)
        self._form, self._at = np.concatenate(kinds), np.concatenate(wheres)
        self._searcher = WordSearcher(np.concatenate(patterns))

    def candidates(self, buffer: Buffer) -> Iterator[tuple[Form, int]]:
        numbers, starts = self._searcher.search(buffer)
        for form, begin in zip(self._form[numbers].tolist(), (starts - self._at[numbers]).tolist(), strict=True):
            yield self._made(form), begin

    def overflowing(self) -> set[int]:
        numbers: Ints = self._form[np.array(sorted(self._searcher.overflowing), np.int64)]
        return {self._made(number).needle.number for number in numbers.tolist()}

    def _made(self, number: int) -> Form:
        needle, kind = divmod(number, _KINDS)
        if needle >= len(self._needles):
            needle, text = self._escaped[number - len(self._needles) * _KINDS]
            return Form(self._needles[needle], forms.ESCAPED, escaped=text)
        return (
            Form(self._needles[needle], forms.RAW) if kind == _RAW else Form(self._needles[needle], forms.BASE64, kind)
        )
