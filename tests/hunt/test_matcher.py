"""Whatever way the values are looked for: every copy is found that decoding all bytes by hand finds, and no other."""

import base64
import json
import random
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.hunt import anchors, forms, literal_search, matcher, word_search
from auditor.hunt.matcher import NeedleMatcher
from auditor.hunt.needles import Needle
from auditor.model.vocabulary import FindingKind
from tests.helpers.sweeps import sample

RUN = re.compile(rb"[A-Za-z0-9+/_-]+")
PADDING = re.compile(rb"=*")
EVERY, NONE = 0, 1 << 60
"""How many needles there must be before they are looked for by words."""
Match = tuple[int, str, int, int]


def needles(texts: Sequence[bytes]) -> list[Needle]:
    return [
        Needle(text, number, FindingKind.COPIED_VALUE, ((b"k", b"f"),), frozenset())
        for number, text in enumerate(dict.fromkeys(texts))
    ]


def matches(those: Sequence[Needle], data: bytes, many: int) -> set[Match]:
    """Number of the needle, kind, start and length of every match; stripes are small, so that matches cross them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(literal_search, "STRIPE", 50)
        patch.setattr(word_search, "STRIPE", 5)
        patch.setattr(word_search, "BLOCK", 2)
        patch.setattr(matcher, "MANY", many)
        matches = NeedleMatcher(those).matches(Buffer(data))
        return {(form.needle.number, form.kind, start, size) for form, start, size in matches}


def everywhere(text: bytes, data: bytes) -> Iterator[int]:
    at = data.find(text)
    while at >= 0:
        yield at
        at = data.find(text, at + 1)


def escapes(text: bytes) -> set[bytes]:
    """As Python and as Go write it inside a JSON string."""
    try:
        said = json.dumps(text.decode(), ensure_ascii=False)[1:-1]
    except UnicodeDecodeError:
        return set()
    go = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    return {said.encode(), "".join(go.get(letter, letter) for letter in said).encode()}


def by_hand(those: Sequence[Needle], data: bytes) -> set[Match]:
    """The same by decoding each run of base64 at each of its alignments, and looking into what comes out."""
    made: set[Match] = set()
    for needle in those:
        made |= {(needle.number, forms.RAW, at, len(needle.text)) for at in everywhere(needle.text, data)}
        for text in escapes(needle.text) - {needle.text}:
            made |= {(needle.number, forms.ESCAPED, at, len(text)) for at in everywhere(text, data)}
    for run in RUN.finditer(data):
        for skip in range(4):
            text = run[0][skip:].translate(bytes.maketrans(b"-_", b"+/"))
            text = text[:-1] if len(text) % 4 == 1 else text
            plain = base64.b64decode(text + b"=" * (-len(text) % 4))
            for needle in those:
                for at in everywhere(needle.text, plain):
                    start = run.start() + skip + at // 3 * 4
                    end = run.start() + skip + (at + len(needle.text) + 2) // 3 * 4
                    padded = run.end() + len(PADDING.match(data, run.end())[0])  # type: ignore[index]
                    made.add((needle.number, forms.BASE64, start, min(end, padded) - start))
    return made


LETTERS = st.text('ab"\\\n<é/ 0?~', min_size=8, max_size=60).map(str.encode)
BEGUN = st.binary(min_size=0, max_size=12).map(lambda rest: b'{"auths":{"registry.example.com":{"auth":"' + rest)
VALUES = st.lists(
    st.one_of(st.binary(min_size=6, max_size=60), LETTERS, BEGUN, st.integers(8, 40).map(bytes)),
    min_size=1,
    max_size=6,
)


def spelling(text: bytes, way: int, rng: random.Random) -> bytes:
    """A value as it may stand somewhere."""
    if way == 0:
        return text
    if way == 1:
        return rng.choice(sorted(escapes(text)) or [text])
    around = rng.randbytes(rng.randrange(7)) + text + rng.randbytes(rng.randrange(7))
    coded = rng.choice((base64.b64encode, base64.urlsafe_b64encode))(around)
    return coded.rstrip(b"=") if way == 2 else coded


def filling(rng: random.Random) -> bytes:
    size = rng.randrange(40)
    noise = (
        rng.randbytes(size),
        rng.randbytes(size).hex().encode(),
        base64.b64encode(rng.randbytes(size)),
        bytes(size),
        b" " * size,
        b"-_+/=" * (size // 5),
    )
    return rng.choice(noise)


@given(
    VALUES, st.lists(st.tuples(st.integers(0, 99), st.integers(0, 3)), max_size=8), st.randoms(use_true_random=False)
)
def test_both_ways_find_what_decoding_by_hand_finds(
    texts: list[bytes], placed: list[tuple[int, int]], rng: random.Random
) -> None:
    those = needles(texts)
    parts = [filling(rng)]
    for which, way in placed:
        parts += [spelling(those[which % len(those)].text, way, rng), filling(rng)]
    data = b"".join(parts)
    by_words, compiled = matches(those, data, EVERY), matches(those, data, NONE)
    assert by_words == compiled
    expected = by_hand(those, data)
    text = {needle.number: needle.text for needle in those}
    lost = {each for each in expected - by_words if each[1] != forms.BASE64 or len(text[each[0]]) >= 8}
    assert not lost
    for number, kind, start, size in by_words - expected:
        # the group before the first, or behind the last, may have ended another text of base64
        assert kind == forms.BASE64
        there = data[start : start + size].translate(bytes.maketrans(b"-_", b"+/"))
        assert text[number][2:-2] in b"".join(base64.b64decode(there[at : at + 4] + b"==") for at in range(0, size, 4))


@pytest.mark.parametrize("length", sample(range(4, 19), 5))
@settings(max_examples=40)
@given(data=st.data())
def test_short_values_that_lie_in_each_other(length: int, data: st.DataObject) -> None:
    """Of few letters, so that they overlap, and cut off at both ends."""
    value = st.one_of(
        st.text("ab", min_size=length, max_size=length).map(str.encode), st.binary(min_size=length, max_size=length)
    )
    those = needles(data.draw(st.lists(value, min_size=1, max_size=5)))
    parts = []
    for needle in data.draw(st.lists(st.sampled_from(those), min_size=1, max_size=12)):
        around = data.draw(st.binary(max_size=2)) + needle.text + data.draw(st.binary(max_size=2))
        ways = [needle.text, base64.b64encode(around).rstrip(b"="), base64.urlsafe_b64encode(around)]
        parts.append(data.draw(st.sampled_from(ways))[data.draw(st.integers(0, 2)) :])
    text = b"".join(parts)
    text = text[: len(text) - data.draw(st.integers(0, 2))]
    by_words = matches(those, text, EVERY)
    assert by_words == matches(those, text, NONE)
    expected = by_hand(those, text)
    assert {each for each in expected if each[1] != forms.BASE64} == {
        each for each in by_words if each[1] != forms.BASE64
    }
    assert length < 8 or expected <= by_words


@pytest.mark.parametrize("length", [*range(8, 19), 40, 1000])
@pytest.mark.parametrize("many", [EVERY, NONE])
def test_every_form_at_every_position_of_a_word(length: int, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "MANY", many)
    rng = random.Random(length)
    (needle,) = needles([rng.randbytes(length)])
    search = NeedleMatcher([needle])
    for shift in range(8):
        for lead in range(3):
            for tail in range(3):
                for encode in (base64.b64encode, base64.urlsafe_b64encode):
                    coded = encode(rng.randbytes(lead) + needle.text + rng.randbytes(tail)).rstrip(b"=")
                    for place in (b" " * shift + coded, b"." * (shift + 9) + coded + b"."):
                        ((form, start, size),) = search.matches(Buffer(place))
                        own = coded[: (lead + length + 2) // 3 * 4]
                        assert (form.kind, place[start : start + size]) == (forms.BASE64, own)
        ((form, start, size),) = search.matches(Buffer(bytes(shift) + needle.text))
        assert (form.kind, start, size) == (forms.RAW, shift, length)


@pytest.mark.parametrize("many", [EVERY, NONE])
def test_a_longer_value_that_begins_alike_is_no_copy(many: int) -> None:
    those = needles([b"abcdefgh-IJKLMNOP-1", b"abcdefgh-IJKLMNOP-2-and-more"])
    data = b"abcdefgh-IJKLMNOP-3 abcdefgh-IJKLMNOP-2-and-mo"
    assert not matches(those, data + b" " + base64.b64encode(data), many)


@pytest.mark.parametrize("length", [8, 11, 18])
@pytest.mark.parametrize("many", [EVERY, NONE])
def test_a_value_without_end_is_told(many: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "MANY", many)
    many_times, once = b"all of it the same"[:length], b"once and only here"[:length]
    search = NeedleMatcher(needles([many_times, once]))
    data = (many_times + b".") * 1500 + once
    matches = {(form.needle.number, start) for form, start, _ in search.matches(Buffer(data))}
    step = length + 1
    assert sorted(matches) == [*((0, step * number) for number in range(literal_search.MOST)), (1, step * 1500)]
    assert search.overflowing() == {0}


def test_a_piece_that_is_everywhere_hides_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "MANY", EVERY)
    text = b"what a value may be"
    _, (piece,) = anchors.choose([(text, 0, len(text))], max(word_search.STEPS))
    data = (bytes(piece) + b" ") * 1500 + text
    search = NeedleMatcher(needles([text]))
    assert {(start, size) for _, start, size in search.matches(Buffer(data))} == {(len(data) - len(text), len(text))}
    assert not search.overflowing()


def test_thousands_of_values_that_differ_in_one_byte() -> None:
    """They share almost every piece: what tells each from the others is what it is looked for by."""
    frame = b'{"clusters":[{"server":"https://example.com","user":"%06d","more":"' + b"x" * 400 + b'"}]}'
    texts = [frame % number for number in range(3000)]
    search = NeedleMatcher(needles(texts))
    data = b"\n".join(texts)
    starts = [start for _, start, _ in search.matches(Buffer(data))]
    assert sorted(starts) == list(range(0, len(data), len(texts[0]) + 1))
    assert len(list(search.candidates(Buffer(data)))) == 3000
    assert not search.overflowing()
