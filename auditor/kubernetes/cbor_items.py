"""CBOR item by item, whatever its tags say and however deep it nests: RFC 8949, section 3.

A library makes Python objects of items and fails where a tag's content does not fit it; what an object says of its type
stands there all the same.
"""

ARRAY, MAP, TAG = 4, 5, 6
"""Major types that hold other items."""
BYTES, TEXT = 2, 3
INDEFINITE = -1
"""Length of what ends in BREAK."""
BREAK = 0xFF
_ARGUMENT = 24
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
"""Bytes of an argument, by what stands in its head."""
_NAMES = {b"apiVersion": "apiVersion", b"kind": "kind"}


def leading(value: bytes, at: int) -> tuple[dict[str, str], bool]:
    """What a map says of its object's type, and whether it is whole: texts of `kind` and `apiVersion`, the last of two.

    Args:
        value: The bytes.
        at: Where the map begins, or a tag of it.
    """
    pairs: dict[str, str] = {}
    try:
        at = _untagged(value, at)
        major, left, at = _head(value, at)
        if major != MAP:
            return {}, False
        while left and not (left < 0 and value[at] == BREAK):
            content = after(value, at)
            name, end = _NAMES.get(_text(value, at) or b""), after(value, content)
            if name and (text := _text(value, content)) is not None:
                pairs[name] = text.decode("utf-8", "replace")
            at, left = end, left - 1
    except (ValueError, IndexError):
        return pairs, False
    return pairs, True


def after(value: bytes, at: int) -> int:
    """The position behind an item. Raises ValueError or IndexError where it is none."""
    pending = [1]
    while pending:
        if not pending[-1]:
            pending.pop()
        elif pending[-1] < 0 and value[at] == BREAK:
            pending.pop()
            at += 1
        else:
            pending[-1] -= pending[-1] > 0
            major, argument, at = _head(value, at)
            if major in {BYTES, TEXT} and argument >= 0:
                at += argument
            elif major in {BYTES, TEXT, ARRAY}:
                pending.append(argument)
            elif major == MAP:
                pending.append(2 * argument if argument >= 0 else INDEFINITE)
            elif major == TAG:
                pending.append(1)
        if at > len(value):
            raise ValueError("cut")
    return at


def _text(value: bytes, at: int) -> bytes | None:
    """The bytes of a text or byte string, of its chunks too; None for any other item."""
    major, length, at = _head(value, _untagged(value, at))
    if major not in {BYTES, TEXT}:
        return None
    if length >= 0:
        return value[at : at + length]
    chunks = []
    while value[at] != BREAK:
        _, length, at = _head(value, at)
        chunks.append(value[at : at + length])
        at += max(length, 0)
    return b"".join(chunks)


def _untagged(value: bytes, at: int) -> int:
    while value[at] >> 5 == TAG:
        _, _, at = _head(value, at)
    return at


def _head(value: bytes, at: int) -> tuple[int, int, int]:
    """Major type and argument of an item, and the position behind them. Raises ValueError or IndexError."""
    major, info = value[at] >> 5, value[at] & 0x1F
    if info < _ARGUMENT:
        return major, info, at + 1
    if info in _SIZES:
        end = at + 1 + _SIZES[info]
        if end > len(value):
            raise ValueError("cut")
        return major, int.from_bytes(value[at + 1 : end], "big"), end
    if info == 0x1F and major in {BYTES, TEXT, ARRAY, MAP}:
        return major, INDEFINITE, at + 1
    raise ValueError("no item")
