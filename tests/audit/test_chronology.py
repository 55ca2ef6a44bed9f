"""What is known of time: bounds with their sources, and the times that contradict the order of the revisions."""

import json
import os
import random
from pathlib import Path

import jsonschema
import pytest

import auditor
from auditor.audit.chronology import Anchor, AnchorTable
from auditor.kubernetes.times import MOST_CERTIFICATES, issued
from auditor.model.chronology import Chronology, TimeBound, TimeKind
from auditor.model.vocabulary import Encoding
from auditor.reports import json as json_report
from tests.helpers.certificates import certificate, key_pem
from tests.helpers.command import run_wide as run
from tests.helpers.objects import CREATED, StoredObject
from tests.helpers.sealing import database

HOUR = 3600


def thing(name: bytes, hours: int) -> tuple[bytes, bytes]:
    """A readable Secret that says it was created so many hours after CREATED (2026-09-21T14:13:20Z)."""
    stored = StoredObject(b"n", name, {b"a": b"b"}, created=CREATED + hours * HOUR)
    return stored.key, stored.protobuf()


def chronology(path: Path) -> Chronology:
    times = auditor.scan(path).chronology
    assert times is not None
    return times


def of(times: Chronology, what: str) -> list[TimeBound]:
    return [bound for bound in times.bounds if bound.what == what]


def test_a_write_lies_between_what_stands_before_and_behind_it(tmp_path: Path) -> None:
    """Revision 3 states nothing itself: the object was created by revision 2, and written again."""
    path = database(tmp_path / "a.db", [thing(b"one", 0), (thing(b"one", 0)[0], b"\xff"), thing(b"two", 5)])
    times = chronology(path)
    before, after = of(times, "the write of revision 3")
    assert (before.bound, before.time, before.kind) == ("not before", "2026-09-21T14:13:20Z", TimeKind.ORDER)
    assert (after.bound, after.time, after.kind) == ("not after", "2026-09-21T19:13:20Z", TimeKind.ORDER)
    assert after.source == "creationTimestamp of /registry/secrets/n/two, created at revision 4"
    assert [bound.kind for bound in of(times, "the write of revision 4")] == [TimeKind.RECORDED] * 2
    assert times.contradictions == ()
    assert (times.examined, times.objects) == (2, 2)


def test_the_file_is_not_older_than_what_stands_in_it(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", [thing(b"one", 0), thing(b"two", 5)])
    os.utime(path, (CREATED + 9 * HOUR, CREATED + 9 * HOUR))
    times = chronology(path)
    (evidence,) = of(times, "the evidence")
    assert (evidence.bound, evidence.time) == ("not before", "2026-09-21T19:13:20Z")
    (file,) = of(times, "the content of a.db")
    assert (file.bound, file.time, file.kind) == ("not after", "2026-09-21T23:13:20Z", TimeKind.FILE)
    os.utime(path, (CREATED, CREATED))
    (contradiction,) = chronology(path).contradictions
    assert "last changed 2026-09-21T14:13:20Z" in contradiction


def test_times_against_the_order_are_listed(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", [thing(b"one", 5), thing(b"two", 0), thing(b"three", 5)])
    (contradiction,) = chronology(path).contradictions
    assert "/registry/secrets/n/two, created at revision 3, states 2026-09-21T14:13:20Z" in contradiction
    assert "/registry/secrets/n/one, created at revision 2, states 2026-09-21T19:13:20Z" in contradiction
    close = database(tmp_path / "b.db", [thing(b"one", 0), thing(b"two", 0)])
    assert chronology(close).contradictions == ()


def test_reports_and_show_have_it(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", [thing(b"one", 0), thing(b"one", 0), thing(b"two", 5)])
    audit = auditor.scan(path)
    document = json_report.document(audit, auditor.Severity.MEDIUM)
    jsonschema.Draft202012Validator(json_report.schema()).validate(document)
    assert {bound["kind"] for bound in document["time"]["bounds"]} == {"recorded", "file"}
    page, history = tmp_path / "r.html", tmp_path / "h.json"
    run("scan", path, "--html", page)
    assert "What is known of time" in page.read_text()
    shown = run("show", path, "n/one", "--json", history)
    assert "time (UTC)" in shown.stdout
    bounds = json.loads(history.read_text())["time"]["bounds"]
    until = [bound for bound in bounds if bound["what"].startswith("revision 2 as the current one")]
    assert [bound["time"] for bound in until] == ["2026-09-21T14:13:20Z"] * 2


def test_a_certificate_states_when_it_begins(tmp_path: Path) -> None:
    """It begins 2026-10-05; the Secret says that it was created before that, and its revision is written later."""
    cert = certificate("2028-01-01", 0, start="2026-10-05T12:30:00")
    thing_ = StoredObject(b"n", b"tls", {b"tls.crt": cert, b"tls.key": key_pem(0)}, b"kubernetes.io/tls")
    path = database(tmp_path / "a.db", [thing(b"one", 0), (thing_.key, thing_.protobuf())])
    times = chronology(path)
    (evidence,) = of(times, "the evidence")
    assert (evidence.time, evidence.kind) == ("2026-10-05T12:30:00Z", TimeKind.RECORDED)
    assert evidence.source == "notBefore of /registry/secrets/n/tls, written at revision 3"
    assert of(times, "the write of revision 3")[0].time == "2026-10-05T12:30:00Z"
    assert of(times, "the write of revision 2")[0].time == "2026-09-21T14:13:20Z"
    text = StoredObject(b"n", b"tls", {b"tls.crt": cert}, b"kubernetes.io/tls").json()
    in_json = database(tmp_path / "b.db", [(thing_.key, text)])
    assert of(chronology(in_json), "the evidence")[0].time == "2026-10-05T12:30:00Z"
    # the exact moment finds the certificate in public logs
    os.utime(path, (CREATED, CREATED))
    redacted = auditor.scan(path, auditor.Options(redact_names=True)).chronology
    assert redacted is not None
    assert of(redacted, "the evidence")[0].time == "2026-10-01T00:00:00Z"
    assert "2026-10-05" in repr(chronology(path).contradictions)
    assert "2026-10-05" not in repr(redacted)
    assert "2026-10-01T00:00:00Z" in repr(redacted.contradictions)


def test_what_is_no_certificate_states_nothing() -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    for data in ({b"tls.crt": broken}, {b"tls.crt": b"-----BEGIN CERTIFICATE-----"}, {b"a": b"b"}, None):
        assert issued(StoredObject(data=data).protobuf(), Encoding.PROTOBUF) == []
    assert issued(b"k8s\0\xff\xff", Encoding.PROTOBUF) == []
    many = certificate("2028-01-01", 0) * 40
    assert len(issued(StoredObject(data={b"ca.crt": many}).protobuf(), Encoding.PROTOBUF)) == MOST_CERTIFICATES


def test_names_are_redacted_there_too(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", [thing(b"canary-name", 5), thing(b"two", 0)])
    times = auditor.scan(path, auditor.Options(redact_names=True)).chronology
    assert times is not None
    assert times.contradictions
    assert "canary-name" not in repr(times)


@pytest.mark.parametrize("seed", range(20))
def test_bounds_are_those_of_a_search_of_all_anchors(seed: int) -> None:
    rng = random.Random(seed)
    anchors = sorted(
        (
            Anchor(
                rng.randrange(12), rng.randrange(1_700_000_000, 1_700_000_006), rng.random() < 0.5, f"anchor {number}"
            )
            for number in range(rng.randrange(9))
        ),
        key=lambda anchor: (anchor.revision, anchor.time),
    )
    table = AnchorTable(anchors)
    for revision in range(-1, 14):
        before = [anchor for anchor in anchors if anchor.revision <= revision]
        after = [anchor for anchor in anchors if anchor.revision >= revision and anchor.created]
        expected = [
            max(before, key=lambda each: (each.time, each.revision), default=None),
            min(after, key=lambda each: (each.time, each.revision), default=None),
        ]
        assert [bound.source for bound in table.bounds(revision)] == [each.source for each in expected if each]
