"""A file that was changed on its way: its cause is named, and nothing is said that nobody can know."""

import gzip
import json
from pathlib import Path

import pytest

import auditor
from auditor.errors import UnreadableEvidence
from auditor.model.vocabulary import Severity
from auditor.reports import verdict, words
from tests.helpers import bolt_builder, members_on_disk
from tests.helpers.command import run
from tests.helpers.members_on_disk import leaking, snapshot, write
from tests.helpers.objects import StoredObject

CASE = Path(__file__).parents[3] / "fixtures" / "cases" / "snapshot-through-a-terminal" / "snapshot.db"
TERMINAL = "went through a terminal; copy it again without -t"


def translated(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def test_the_cause_is_named_and_the_revision_unknown() -> None:
    audit = auditor.scan(CASE)
    assert any(TERMINAL in gap.reason for gap in audit.gaps)
    assert words.kind(audit).startswith("raw database file; revision unknown")
    assert "compacted" not in words.kind(audit)
    assert not any("0 credentials" in step for step in verdict.next_steps(audit))
    assert "0 Secrets" not in " ".join(verdict.sentences(audit, Severity.MEDIUM))


def test_every_database_without_a_valid_root_too(tmp_path: Path) -> None:
    raw = bytearray(CASE.read_bytes())
    raw[16:80] = bytes(64)
    raw[4096:4300] = bytes(204)
    (tmp_path / "a.db").write_bytes(raw)
    audit = auditor.scan(tmp_path / "a.db")
    assert any("went through a terminal" in gap.reason for gap in audit.gaps)
    assert "revision unknown" in words.kind(audit)


def test_a_few_line_feeds_tell(tmp_path: Path) -> None:
    audit = auditor.scan(write(tmp_path / "a.db", translated(snapshot())))
    assert any(TERMINAL in gap.reason for gap in audit.gaps)


def test_each_readable_secret_is_a_row_of_its_own(tmp_path: Path) -> None:
    """Their beginnings are changed too: one row held all of them, under no name."""
    things = [StoredObject(name=b"s%d" % number, data={b"password": b"x" * 20}) for number in range(3)]
    records = [bolt_builder.record(20 + number, thing.key, thing.protobuf()) for number, thing in enumerate(things)]
    audit = auditor.scan(write(tmp_path / "a.db", translated(snapshot(*records))))
    readable = audit.findings[audit.findings.finding == "plaintext"]
    assert {"s0", "s1", "s2"} <= set(readable["name"])


def test_a_database_of_kine_too(tmp_path: Path) -> None:
    members_on_disk.kine(tmp_path / "k.db").close()
    audit = auditor.scan(write(tmp_path / "a.db", translated((tmp_path / "k.db").read_bytes())))
    assert any(TERMINAL in gap.reason for gap in audit.gaps)


def test_a_packed_snapshot_too(tmp_path: Path) -> None:
    with pytest.raises(UnreadableEvidence, match=TERMINAL):
        auditor.scan(write(tmp_path / "a.db.gz", translated(gzip.compress(snapshot(), mtime=10))))


def test_what_a_program_took_for_text_is_named(tmp_path: Path) -> None:
    replaced = snapshot(leaking()).decode("utf-8", "replace").encode()
    audit = auditor.scan(write(tmp_path / "a.db", replaced))
    assert any("replaced those that are none" in gap.reason for gap in audit.gaps)
    assert audit.exit_code(Severity.MEDIUM) in {1, 3}
    with pytest.raises(UnreadableEvidence, match="the redirection of PowerShell"):
        auditor.scan(write(tmp_path / "b.db", snapshot().decode("latin-1").encode("utf-16")))


def test_line_ends_of_a_text_say_nothing(tmp_path: Path) -> None:
    """An etcdctl dump that was cut and has the line ends of Windows went through no terminal."""
    dump = b'{"header":{"revision":1},\r\n"kvs":[\r\n{"key":"L2E=",\r\n"value":"YQ==",\r\n'
    audit = auditor.scan(write(tmp_path / "dump.json", dump))
    assert audit.gaps
    assert not any("terminal" in gap.reason for gap in audit.gaps)


def test_an_unknown_revision_is_null_in_json_and_unknown_in_html(tmp_path: Path) -> None:
    run("scan", CASE, "--json", tmp_path / "r.json", "--html", tmp_path / "r.html")
    backend = json.loads((tmp_path / "r.json").read_text())["evidence"]["backend"]
    assert (backend["revision"], backend["newest_record"], backend["compacted"]) == (None, None, None)
    page = (tmp_path / "r.html").read_text()
    assert "revision unknown" in page
    good = write(tmp_path / "good.db", snapshot())
    done = run("scan", good, CASE, "--json", tmp_path / "two.json")
    assert "unknown" in done.stdout
    parts = json.loads((tmp_path / "two.json").read_text())["parts"]
    assert {part["name"]: part["revision"] for part in parts}["snapshot.db"] is None


def test_a_comparison_with_an_unknown_revision_is_inconclusive_unless_any_order(tmp_path: Path) -> None:
    good = write(tmp_path / "good.db", snapshot())
    cut = bytearray(snapshot())
    cut[8192:16384] = b"\xaa" * 8192
    bad = write(tmp_path / "bad.db", bytes(cut))
    done = run("diff", good, bad, "--json", tmp_path / "d.json", "--different-clusters")
    assert "revision 0" not in done.stdout + done.stderr
    assert "AFTER is the older one" not in done.stdout + done.stderr
