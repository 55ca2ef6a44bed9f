"""Objects in a file: what kubectl prints as JSON or YAML, and what people write by hand."""

import base64
import json
from pathlib import Path

import pytest

import auditor
from auditor.model.audit import Audit
from auditor.model.vocabulary import Place, Severity
from auditor.reports import causes, verdict
from tests.helpers import members_on_disk, sealing
from tests.helpers.command import run
from tests.helpers.objects import StoredObject

CANARY = base64.b64encode(b"CANARY-in-a-text").decode()
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\ndata:\n  password: {CANARY}\n"
FLOW = f"{{apiVersion: v1, kind: Secret, metadata: {{name: db, namespace: shop}}, data: {{password: {CANARY}}}}}\n"
LIST = "".join(f"{'  ' if number else '- '}{line}\n" for number, line in enumerate(SECRET.splitlines()))
TEXTS = {
    "block": SECRET,
    "block behind a comment": f"---\n# Source: shop/templates/db.yaml\n{SECRET}",
    "block behind a directive": f"%YAML 1.1\n---\n{SECRET}",
    "flow": FLOW,
    "flow, some of it quoted": FLOW.replace("kind:", '"kind":').replace("name: db", "'name': \"db\""),
    "flow behind a mark": f"--- {FLOW}",
    "flow over lines": FLOW.replace(", ", ",\n  "),
    "list of flow": f"{{apiVersion: v1, kind: List, items: [{FLOW.strip()}]}}\n",
    "block list": f"apiVersion: v1\nitems:\n{LIST}kind: List\nmetadata: {{}}\n",
    "anchor in the object": SECRET.replace("name: db", "name: &name db") + "  user: *name\n",
    "alias of what stands before the items": (
        f"apiVersion: v1\nmetadata: {{annotations: &data {{password: {CANARY}}}}}\nitems:\n"
        "- {apiVersion: v1, kind: Secret, metadata: {name: db, namespace: shop}, data: *data}\nkind: List\n"
    ),
    "merge key": SECRET.replace("metadata:\n", "metadata:\n  labels: &more {namespace: shop}\n  <<: *more\n").replace(
        "  namespace: shop\n", "", 1
    ),
    "an item twice": f"apiVersion: v1\nkind: List\nitems:\n- &one {FLOW}- *one\n",
    "JSON": '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","namespace":"shop"},"data":{"password":"x"}}',
}
ENCODINGS = {"plain": lambda text: text.encode(), "BOM": lambda text: b"\xef\xbb\xbf" + text.encode()}
ENCODINGS["CRLF"] = lambda text: text.replace("\n", "\r\n").encode()
ENCODINGS["BOM, CRLF"] = lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


def scan(path: Path, raw: bytes) -> Audit:
    path.write_bytes(raw)
    return auditor.scan(path)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_secret_is_reported(text: str, encoding: str, tmp_path: Path) -> None:
    raw = ENCODINGS[encoding](TEXTS[text])
    audit = scan(tmp_path / "objects", raw)
    (row,) = audit.findings.to_dict("records")
    assert (row["namespace"], row["name"], row["finding"]) == ("shop", "db", "plaintext")
    assert raw[row["offset"] : row["offset"] + row["size"]].strip()[:1] in b"{-a&"
    assert not audit.gaps
    assert audit.exit_code(Severity.MEDIUM) == 1


def test_a_letter_of_several_bytes_moves_what_follows(tmp_path: Path) -> None:
    raw = (
        b"\xef\xbb\xbf"
        + ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: öäü}\n---\n" + SECRET).encode()
    )
    audit = scan(tmp_path / "objects", raw)
    (row,) = audit.findings.itertuples()
    assert row.offset == raw.index(SECRET.encode())


LAUGHS = "\n".join(f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 12))
HOSTILE = {
    "aliases that stand for terabytes": f"{SECRET}spec:\n  a0: &a0 [{'x' * 40}]\n"
    + "".join(f"  {line}\n" for line in LAUGHS.splitlines()),
    "a node that holds itself": SECRET + "spec: &own [*own]\n",
    "nested too deep": SECRET + f"spec: {'[' * 200}{']' * 200}\n",
    "a key that is a list": SECRET + "? [a, b]\n: c\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_grow_is_a_gap(name: str, tmp_path: Path) -> None:
    """Behind an object that is read: of the rest nothing is concluded."""
    audit = scan(tmp_path / "objects", f"{SECRET.replace('db', 'first')}---\n{HOSTILE[name]}".encode())
    assert audit.findings.name.tolist() == ["first"]
    (gap,) = (gap for gap in audit.gaps if "stand for too much" in gap.reason)
    assert gap.length > len(SECRET) / 2


def test_what_merges_does_not_replace(tmp_path: Path) -> None:
    text = SECRET.replace("metadata:\n", "metadata:\n  labels: &more {name: other}\n  <<: [*more, {namespace: none}]\n")
    (row,) = scan(tmp_path / "objects", text.encode()).findings.itertuples()
    assert (row.namespace, row.name) == ("shop", "db")


@pytest.mark.parametrize("text", ["{apiVersion: v1, kind: Secret", '{"apiVersion": v1, "kind": Secret, }}}\n'])
def test_damaged_flow_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "objects").write_text(text)
    done = run("scan", tmp_path / "objects")
    assert done.returncode in {2, 3}
    assert "Traceback" not in done.stderr


def test_a_value_in_place_of_a_name_is_not_shown(tmp_path: Path) -> None:
    """As damage may put it there; such a name is none, and the value is a finding all the same."""
    text = json.dumps(THING_OF_NO_NAME)
    audit = scan(tmp_path / "list.json", text.encode())
    assert audit.findings[["namespace", "name"]].values.tolist() == [["(no name)", "(no name)"]]


THING_OF_NO_NAME = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "Q0FOQVJZLW5hbWU=", "namespace": "Q0FOQVJZLXNwYWNl"},
    "data": {"password": "Q0FOQVJZLW5hbWU="},
}


def test_what_an_api_server_answered_with_was_read_by_it(tmp_path: Path) -> None:
    """No configuration has to list identity for it, and nothing that is done to a store changes the file."""
    path, config = tmp_path / "secrets.yaml", members_on_disk.configuration(tmp_path)
    path.write_text(SECRET)
    audit = auditor.scan(path, auditor.Options(encryption_configs=(config,)))
    assert list(audit.findings.finding) == ["plaintext"]
    assert not any("no API server reads" in note for note in audit.notes)
    steps = " ".join(verdict.next_steps(audit))
    assert "encrypt this export or restrict access to it" in steps
    assert "rotate the credentials of 1 Secret" in steps
    assert not any(word in steps for word in ("defragment", "provider first", "rewrite"))
    _, remedy = causes.of(audit)[Place.LATEST]
    assert "export" in remedy
    pairs = [(StoredObject().key, StoredObject().protobuf())]
    stored = auditor.scan(sealing.database(tmp_path / "a.db", pairs), auditor.Options(encryption_configs=(config,)))
    assert set(stored.findings.finding) == {"plaintext", "orphaned"}
