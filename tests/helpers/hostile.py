"""A database whose names try to be formulas, tags, templates, terminal commands and text that runs backwards."""

import json

from tests.helpers.ciphertexts import ciphertext, kms_v1, kms_v2
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject

NAMES = [
    "<img src=x onerror=alert(1)>",
    "</td></table><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "--><!--",
    "{{ 7 * 7 }}{% for %}",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1-1",
    "@SUM(A1:A9)",
    "'=1",
    "\t=1",
    "\r\n=1,2",
    'comma,"quote";semicolon',
    "a;=1+1",
    "a|-1+1",
    'a,"=1+1"',
    "a\t@SUM(A1)",
    '"=1+1',
    "\x1b[31mred\x1b]0;title\x07",
    "\x9b2J\x00",
    "\u202egnp.exe\u2066",
    "[bold red]markup[/] [link=https://example.com]x[/link] :boom:",
    "back\\slash \\x41",
    "x" * 10_000,
]
RAW = [b"\xff\xfe", b"\xc2\x9b31m", *(name.encode() for name in NAMES)]
MARK = b"MARK-5d1f0a"


def work(etcd: Etcd) -> None:
    """Each name as a Secret's name, namespace, type, data key, uid, and as the name of a key and of a KEK."""
    for number, name in enumerate(RAW):
        thing = StoredObject(b"n%d" % number, name, {name: MARK}, type=name, uid=name)
        etcd.put(thing.key, thing.protobuf())
        etcd.put(b"/registry/secrets/" + name + b"/in-namespace", b"neither object nor ciphertext")
        text = thing.tree() if number > 1 else {"kind": "Secret", "metadata": {"name": "="}}
        etcd.put(b"/registry/secrets/json/%d" % number, json.dumps(text).encode())
        short = name[:60]
        etcd.put(b"/registry/secrets/cbc/%d" % number, ciphertext("aescbc", short, bytes(range(0x80, 0xB0))))
        etcd.put(b"/registry/secrets/gcm/%d" % number, ciphertext("aesgcm", short + b"!:plain", b"\xa0" * 64))
        old = ciphertext("kms v1", short + b"?:plain", kms_v1(b"\xa0" * 64))
        etcd.put(b"/registry/secrets/old/%d" % number, old)
        etcd.put(b"/registry/secrets/kms/%d" % number, ciphertext("kms v2", b"vault", kms_v2(b"\xa0" * 64, name[:500])))
        etcd.put(b"/registry/" + short.replace(b"/", b"") + b".example/" + short.replace(b"/", b"") + b"/a", b"{}")
