"""The bytes that a text stands for, block by block: of base64 and hex, or the same text in UTF-8."""

import binascii
import codecs
import re
from collections.abc import Iterator

from auditor.evidence.containers import magic, text_encodings
from auditor.evidence.containers.decompress import Damaged, Stream
from auditor.evidence.containers.limits import Budget
from auditor.evidence.containers.magic import Kind
from auditor.text import plural


def decoded(stream: Stream, name: str, budget: Budget, kind: Kind) -> Stream:
    """The bytes that a text stands for, or the same text in UTF-8 without a mark.

    Its read() raises Damaged where the text is no such text to its end, or not what was written.

    Args:
        stream: The text.
        name: Its name in messages.
        budget: Limits of the content.
        kind: Of magic.TEXTS.
    """
    if kind in magic.ENCODINGS:
        return Stream(_in_utf8(stream, name, budget))
    return Stream(_blocks(stream, name, budget, text_encodings.HEX if kind is Kind.HEX else text_encodings.BASE64))


def _in_utf8(stream: Stream, name: str, budget: Budget) -> Iterator[bytes]:
    wide = not stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
    at = foreign = 0
    try:
        while block := stream.read():
            text = decoder.decode(block)
            foreign += len(text) - len(text.encode("ascii", "ignore"))
            content = text.encode()
            budget.take(len(content))
            yield content
            at += len(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise Damaged(f"{name}: from about offset {at:,} on it is no text in its encoding: not read") from None
    if wide and foreign:
        what = f"{name}: {plural(foreign, 'character')} of it {'is' if foreign == 1 else 'are'} no ASCII"
        raise Damaged(f"{what}: PowerShell may have made them of other bytes; export it again without a redirection")


def _blocks(stream: Stream, name: str, budget: Budget, alphabet: bytes) -> Iterator[bytes]:
    at = text_encodings.start(stream.peek(1 << 13))
    skipped = at
    while skipped:
        skipped -= len(stream.read(skipped))
    unit = 2 if alphabet is text_encodings.HEX else 4
    rest = tail = b""
    while block := stream.read():
        at += len(block)
        # the end of an armour, or padding, may begin in this block: what may belong to it waits for the next one
        text = tail + block
        stripped = text.rstrip(text_encodings.BLANKS)
        cut = max(len(stripped) - text_encodings.LONGEST_END, 0)
        tail = stripped[cut:] + text[len(stripped) : len(stripped) + 2]
        digits = rest + text[:cut].translate(None, text_encodings.BLANKS)
        if digits.translate(None, alphabet):
            yield from _last(digits, name, budget, alphabet)
            raise Damaged(f"{name}: before offset {at:,} it is {_word(alphabet)} no more: not decoded to its end")
        whole = len(digits) - len(digits) % unit
        rest = digits[whole:]
        if whole:
            yield _decoded(digits[:whole], budget, alphabet)
    end = text_encodings.END.search(tail)
    yield from _last(
        rest + tail[: end.start() if end else None].translate(None, text_encodings.BLANKS), name, budget, alphabet
    )


def _last(digits: bytes, name: str, budget: Budget, alphabet: bytes) -> Iterator[bytes]:
    unpadded = digits.rstrip(b"=") if alphabet is text_encodings.BASE64 else digits
    valid = re.match(b"[" + re.escape(alphabet) + b"]*", unpadded)
    count = valid.end() if valid is not None else 0
    odd = count % 4 == 1 if alphabet is text_encodings.BASE64 else count % 2 == 1
    content = unpadded[: count - odd]
    if content:
        padding = b"=" * (-len(content) % 4) if alphabet is text_encodings.BASE64 else b""
        yield _decoded(content + padding, budget, alphabet)
    if count < len(unpadded) or odd or len(digits) - len(unpadded) > 2:
        raise Damaged(f"{name}: its end is no {_word(alphabet)}: what stands there is not read")


def _decoded(digits: bytes, budget: Budget, alphabet: bytes) -> bytes:
    if alphabet is text_encodings.HEX:
        content = bytes.fromhex(digits.decode("ascii"))
    else:
        content = binascii.a2b_base64(digits.translate(text_encodings.STANDARD))
    budget.take(len(content))
    return content


def _word(alphabet: bytes) -> str:
    return "hex" if alphabet is text_encodings.HEX else "base64"
