"""Every writing of a value in a text: what holds the beginning of one is known as such, and honest texts are not."""

import base64
import json
import quopri
import random
from binascii import b2a_uu, hexlify

import pytest

from auditor.evidence import beginnings
from auditor.evidence.containers import encoded_texts
from auditor.evidence.discovery import bystanders
from tests.helpers.objects import StoredObject

SECRET = StoredObject(name=b"leak", data={b"password": b"CANARY-beginnings"})
PROSE = b"Backup of the production cluster, made on Monday.\n\n"
JSON = SECRET.json()
FORMS = {
    "protobuf": SECRET.protobuf(),
    "cbor": SECRET.cbor(),
    "compact": json.dumps(SECRET.tree(), separators=(",", ":")).encode(),
    "spaced": json.dumps(SECRET.tree()).encode(),
    "pretty": json.dumps(SECRET.tree(), indent=2).encode(),
    "list": json.dumps({"kind": "SecretList", "items": []}).encode(),
    "yaml": b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: leak\n",
}


def lines(letters: bytes, width: int) -> bytes:
    return b"\n  ".join(letters[at : at + width] for at in range(0, len(letters), width))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("width", [3, 5, 61, 76, 1 << 20])
def test_base64_at_every_alignment_and_width(form: str, before: int, width: int) -> None:
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        assert beginnings.in_text(PROSE + lines(alphabet(b"abc"[:before] + FORMS[form]), width))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("between", [b"", b" ", b"  ", b":", b", ", b"\n"])
def test_hex_with_any_blanks_and_case(form: str, between: bytes) -> None:
    digits = between.join(b"%02x" % octet for octet in FORMS[form])
    assert beginnings.in_text(PROSE + digits)
    assert beginnings.in_text(PROSE + digits.upper())


WRITINGS = {
    "escaped kind": JSON.replace(b'"Secret"', b'"\\u0053ecret"'),
    "escaped key": JSON.replace(b'"kind"', b'"\\u006bind"'),
    "escaped thrice": json.dumps(json.dumps(json.dumps(JSON.decode()))).encode(),
    "escaped escape": json.dumps(JSON.replace(b'"Secret"', b'"\\u0053ecret"').decode()).encode(),
    "blanks": JSON.replace(b'"kind":', b'"kind"' + b" " * 40 + b":" + b"\n" * 40),
    "html": JSON.replace(b'"', b"&quot;"),
    "html numbers": JSON.replace(b'"', b"&#34;"),
    "url": JSON.replace(b'"', b"%22").replace(b" ", b"%20").replace(b":", b"%3A"),
    "csv": b'"' + JSON.replace(b'"', b'""') + b'"',
    "quoted-printable": quopri.encodestring(SECRET.protobuf()),
    "python bytes": repr(SECRET.protobuf()).encode(),
    "python dict": repr(SECRET.tree()).encode(),
    "numbers": repr(list(SECRET.protobuf())).encode(),
    "numbers of JSON": repr(list(FORMS["compact"])).encode(),
    "go": " ".join(f"{octet:#x}" for octet in SECRET.protobuf()).encode(),
    "c": "".join(f"\\x{octet:02x}" for octet in SECRET.protobuf()).encode(),
    "base64 in JSON": json.dumps({"a": base64.encodebytes(FORMS["pretty"]).decode()}).encode(),
    "base64 in base64": base64.encodebytes(base64.encodebytes(FORMS["pretty"])),
    "base64 in hex": hexlify(base64.b64encode(FORMS["pretty"])),
    "hex in base64": base64.b64encode(hexlify(FORMS["protobuf"])),
    "CBOR in pieces": base64.b64encode(b"\xd9\xd9\xf7\xbf\x64kind\x5f\x43Sec\x43ret\xff\xff"),
    "TypeMeta in another order": base64.b64encode(b"k8s\0\x0a\x0c\x12\x06Secret\x0a\x02v1"),
}
YAML = [
    b"items:\n- {apiVersion: v1, kind: Secret, data: {a: Yg==}}\n",
    b'"apiVersion": v1\n"kind": Secret\n',
    b"'kind': 'Secret'\n",
    b"kind: !!str Secret\n",
    b'kind: !<tag:yaml.org,2002:str> "Secret"\n',
    b"kind: &k Secret\n",
    b"kind: &k !!str Secret # a comment\n",
    b"kind:\n  Secret\n",
    b"kind: >-\n  Secret\n",
    b"? kind\n: Secret\n",
    b'kind: "\\x53ecret"\n',
    b"kind: SecretList\r\n",
]


@pytest.mark.parametrize("name", WRITINGS)
def test_escapes_numbers_and_one_writing_in_another(name: str) -> None:
    assert beginnings.in_text(PROSE + WRITINGS[name])
    assert not bystanders.is_text([PROSE, WRITINGS[name]])


@pytest.mark.parametrize("text", YAML)
def test_every_form_of_a_secret_in_yaml(text: bytes) -> None:
    assert beginnings.in_text(text)


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_beginning_across_blocks(at: int) -> None:
    text = PROSE + base64.b64encode(FORMS["pretty"])
    search = beginnings.TextSearch()
    assert any([search.holds(text[: len(PROSE) + at]), search.holds(text[len(PROSE) + at :])])


def pem(content: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(content) + b"-----END CERTIFICATE-----\n"


DER = b"\x30\x82\x05\x00" + bytes(range(256)) * 5
HONEST = {
    "prose": PROSE * 50,
    "manifests": b"kind: ExternalSecret\n---\nkind: SecretStore\n---\nkind: Pod\n",
    "words": b"This kind of Secret: none; kind Secrets are secret.\n",
    "log": b'{"level":"info","msg":"a \\"quoted\\" text","kind":"Pod","at":"2026-02-03T04:05:06Z"}\n' * 60,
    "sums": b"".join(b"%064x  etcd-%d.db\n" % (number * 7**70 % 2**256, number) for number in range(90)),
    "certificates": pem(DER) * 3,
    "kubeconfig": b"users:\n- user:\n    client-certificate-data: " + base64.b64encode(pem(DER)) + b"\n",
    "csv": b"finding,severity,place,resource,namespace,name\nplaintext,critical,live,secrets,default,db\n" * 40,
    "ssh": b"ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa" + bytes(range(256)) * 2) + b" a comment\n",
    "url": b"https://example.org/a%20b?c=d&e=%22f%22\n" * 30,
    "numbers": b",".join(b"%d" % (number * number % 251) for number in range(3000)),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_texts_pass(name: str) -> None:
    assert not beginnings.in_text(HONEST[name])
    assert bystanders.is_text([HONEST[name]])


BINARY = random.Random(1).randbytes(4000)
UNKNOWN = {
    "base64": base64.encodebytes(BINARY),
    "base64 in one line": base64.b64encode(BINARY),
    "base32": base64.b32encode(BINARY),
    "hex": hexlify(BINARY),
    "uuencode": b"begin 644 x\n" + b"".join(b2a_uu(BINARY[at : at + 45]) for at in range(0, 990, 45)) + b"`\nend\n",
    "uuencode without its first line": b"".join(b2a_uu(BINARY[at : at + 45]) for at in range(0, 990, 45)),
    "ascii85": base64.a85encode(BINARY, wrapcol=72),
    "base85": base64.b85encode(BINARY),
    "hexdump": b"".join(
        b"%08x  %b  |........|\n" % (at, BINARY[at : at + 16].hex(" ").encode()) for at in range(0, 800, 16)
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_long_runs_of_encoded_bytes_are_no_known_text(name: str) -> None:
    assert encoded_texts.holds_one(PROSE + UNKNOWN[name])
    assert not bystanders.is_text([PROSE + UNKNOWN[name] + PROSE])


def test_what_is_written_more_often_than_it_is_decoded_is_not_passed() -> None:
    text = JSON
    for _ in range(beginnings.DEEPEST + 2):
        text = base64.encodebytes(text)
    assert beginnings.in_text(PROSE + text)


@pytest.mark.parametrize("lost", range(1, 9))
def test_letters_that_are_lost_at_the_beginning_hide_nothing(lost: int) -> None:
    for text in (SECRET.protobuf().hex().encode(), base64.b64encode(SECRET.protobuf())):
        assert beginnings.in_text(PROSE + b"[[" + text[lost:])


def test_work_grows_as_the_text_does() -> None:
    """A search that begins anew at every sign of a run would take hours here."""
    for sign in (b"\\", b"%", b"&", b"=", b"k", b"kind ", b"0x"):
        assert not beginnings.in_text(sign * (1 << 20))


@pytest.mark.parametrize("letter", range(256))
def test_a_run_of_one_letter_is_no_writing(letter: int) -> None:
    """3 is 33 in hex: such a run stands for another one for ever."""
    assert not beginnings.in_text(bytes([letter]) * 4092, 1, readable=True)
