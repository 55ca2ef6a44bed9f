"""EncryptionConfigurations as text, mutated: structure, types, names, encodings, and what YAML allows beyond JSON.

The evidence is sound and holds the canary: whatever stands in the configuration, the exit code is 1 or 2. The keys are
those that open the rest, and a comment, or a field of another kind, holds a text that no output may repeat.
"""

import base64
import json
import random
from functools import partial
from typing import Any

from tests.fuzz.base import CANARY, Base
from tests.fuzz.mutate import odd
from tests.helpers.sealing import KEY, OTHER

REMARK = b"CANARY-remark-0c2f"
YAML = f"""# {REMARK.decode()}
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
      - configmaps
    providers:
      - aescbc:
          keys:
            - name: key1
              secret: {base64.b64encode(KEY).decode()}
            - name: key2
              secret: {base64.b64encode(OTHER).decode()}
      - kms: {{apiVersion: v2, name: vault, endpoint: "unix:///run/kms.sock", timeout: 3s}}
      - identity: {{}}
  - resources: ['*.*']
    providers:
      - secretbox: {{keys: [{{name: box, secret: {base64.b64encode(OTHER).decode()}}}]}}
      - identity: {{}}
"""
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 1 << 70, "", " ", "x" * 3000, "é", "\x00", "\u2028", [], {}, [[]], {"": ""}, [None],
    "*", "*.*", "*.apps", "Secrets", "secrets.", "identity", "v1", "unix:", "-1s", "99999999999999999999h",
    REMARK.decode(),
]  # fmt: skip
LINES = [
    "&a [*a]", "*a", "&a x", "!!python/object/apply:os.system [x]", "!!binary 'AA=='", "? [x]\n: y", "<<: {kind: x}",
    "---", "...", "%YAML 9.9", "\t- x", "'", '"', "|", ">", "{", "[", "]", "}", "@", "`", "- - - -", "key: : x", "%",
    "kind: x", "resources: []", "? ? ? ?", "&a : &b", "!<tag:x> y",
]  # fmt: skip


def make(latest: Base) -> list[Base]:
    """One base for each of the two notations."""
    document = json.dumps(_document(), indent=1).encode()
    return [
        Base(
            f"configuration, {kind}",
            data,
            partial(change, form=kind),
            name=f"enc.{kind}",
            given="evidence.db",
            beside={"evidence.db": latest.data},
            canaries=(CANARY, REMARK),
            secrets=(KEY, OTHER),
            setting=True,
        )
        for kind, data in (("yaml", YAML.encode()), ("json", document))
    ]


def _document() -> dict[str, Any]:
    import yaml

    made: dict[str, Any] = yaml.safe_load(YAML)
    return made


def change(data: bytes, seed: int, *, form: str) -> bytes:
    """A document of another structure written anew, or the text damaged, or both."""
    rng = random.Random(seed)
    how = rng.random()
    if how < 0.5:
        tree = _document()
        for _ in range(rng.choice([1, 1, 2, 4])):
            tree = _restructured(tree, rng)
        data = _written(tree, rng, form)
    elif how < 0.6:
        return _huge(rng, form)
    if how < 0.1 or how >= 0.6:
        text = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 5])):
            _damaged(text, rng)
        data = bytes(text)
    return data


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) in a tree."""
    found: list[tuple[Any, Any]] = []
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, each in pairs:
        found.append((tree, name))
        found += _places(each)
    return found


def _restructured(tree: Any, rng: random.Random) -> Any:
    """A part left out, changed for something of another type, wrapped, repeated, renamed, or put elsewhere."""
    places = _places(tree)
    if not places:
        return tree
    holder, name = rng.choice(places)
    how = rng.randrange(6)
    if how == 0:
        del holder[name]
    elif how == 1:
        shown = name == "name" or isinstance(name, int)  # names of keys and resources are told
        holder[name] = rng.choice(ODD[:-1] if shown else ODD)
    elif how == 2:
        holder[name] = rng.choice([[holder[name]], {"keys": holder[name]}, [holder[name]] * 3])
    elif how == 3 and isinstance(holder, list):
        holder.append(json.loads(json.dumps(holder[name], default=str)))
    elif how == 4 and isinstance(holder, dict):
        holder[rng.choice(["kind", "Name", "secret ", "x" * 500, "é\n", "", "secretbox", "aesgcm", "kms"])] = (
            holder.pop(name)
        )
    else:
        other, place = rng.choice(places)
        # a key in the place of a name would be shown as that name, and rightly
        if isinstance(holder[name], dict | list) and place in other if isinstance(other, dict) else False:
            other[place] = json.loads(json.dumps(holder[name], default=str))
    return tree


def _written(tree: Any, rng: random.Random, form: str) -> bytes:
    import yaml

    if form == "json":
        text = json.dumps(tree, indent=rng.choice([None, 1, "\t"]), ensure_ascii=rng.random() < 0.5)
        return text.encode("utf-8", "surrogatepass")
    flow = rng.choice([None, True, False])
    made: str = yaml.safe_dump(
        tree, default_flow_style=flow, allow_unicode=rng.random() < 0.5, width=rng.choice([20, 80])
    )
    return made.encode("utf-8", "surrogatepass")


def _damaged(text: bytearray, rng: random.Random) -> None:
    """Bytes, a line, another encoding, a byte-order mark, what is cut or doubled."""
    lines = bytes(text).split(b"\n")
    number = rng.randrange(len(lines))
    how = rng.randrange(9)
    if how == 0:
        at = rng.randrange(len(text) + 1)
        text[at:at] = rng.choice(
            [odd(rng, 1), b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b"\x85", b"\r", b"\xe2\x80\xa8", b"\t"]
        )
    elif how == 1:
        lines.insert(number, rng.choice(LINES).encode())
    elif how == 2:
        lines[number] = b" " * rng.randrange(9) + lines[number].strip()
    elif how == 3:
        lines.insert(rng.randrange(len(lines)), lines[number])
    elif how == 4:
        del lines[number]
    elif how == 5:
        lines[number] = lines[number].rstrip() + b" " + rng.choice(LINES).encode()
    elif how == 6:
        text[:] = rng.choice(
            [text[: rng.randrange(len(text) + 1)], b"\xef\xbb\xbf" + text, text + b"\n---\n" + text,
             text.decode("latin-1").encode("utf-16"), b"\n" + text.replace(b"\n", b"\r\n"), text.replace(b"  ", b"\t")]
        )  # fmt: skip
    elif text:
        text[rng.randrange(len(text))] = rng.randrange(256)
    if how in {1, 2, 3, 4, 5}:
        text[:] = b"\n".join(lines)


def _huge(rng: random.Random, form: str) -> bytes:
    """Nested, long, wide and self-referring: what costs a careless reader its time or its memory."""
    size = rng.choice([40, 5000, 100_000])
    key = base64.b64encode(KEY).decode()
    rule = '{"resources":["secrets"],"providers":[{"identity":{}}]}'
    keyed = '[{"resources":["secrets"],"providers":[{"aescbc":{"keys":[{"name":"NAME","secret":"SECRET"}]}}]}]}'
    head = '{"apiVersion":"apiserver.config.k8s.io/v1","kind":"EncryptionConfiguration","resources":'
    bomb = ["a0: &a0 [x,x,x,x,x,x,x,x,x]", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    made = [
        head + "[" * size + "]" * size + "}",
        head + '{"a":' * size,
        head + "[" + ",".join([rule] * (size // 10)) + "]}",
        head + f"[{rule}]}}".replace("secrets", "s" * size),
        head + keyed.replace("NAME", "n" * size).replace("SECRET", key),
        head + keyed.replace("SECRET", "A" * size),
        "\n".join(bomb),
        "- " * size + "x",
        "? " * size,
        "a: " * size,
        "&a " * size,
        "#" * size + "\n" + YAML,
        '"' + "\\" * size,
        YAML + "\n" * size,
        "---\n" * size,
        "|\n" + " x\n" * size,
    ]
    return rng.choice(made[:6] if form == "json" else made).encode()
