"""Reports on a fleet: the first line of every format, and what is said of changes and of what is not compared."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest

from auditor.fleet import clusters as clusters_file
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.report import build, statement, write
from auditor.fleet.report.context import Context, Questions
from auditor.fleet.report.migration import Target
from auditor.fleet.report.model import Answer, FleetReport
from tests.fleet.test_report import ask, section
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION

NIGHT = "2026-11-07T10:00:00Z"
ROTATED = MIGRATION / "7-rotated.encryption.json"
NOTHING_BEFORE: dict[str, Any] = {"findings": [], "clusters": {}}


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of one migration, a stage a day; by the last configuration the last two stages have no findings."""
    return fleet.migrated(tmp_path_factory.mktemp("migrated"), ROTATED)


CASES: list[tuple[dict[str, Any], str, str, int]] = [
    ({}, "", "FINDINGS: 6 backups inside the retention with a finding of medium or above", 1),
    (
        {"retention": 3600 * 12, "fail_on": "high"},
        "",
        "ACCEPTED FINDINGS: 4 backups outside the retention with a finding of high or above; 3 backups with findings "
        "under high only",
        0,
    ),
    (
        {"retention": 3600 * 12},
        "",
        "NO FINDINGS inside the retention: 6 backups outside the retention with a finding of medium or above; 1 backup "
        "with findings under medium only",
        0,
    ),
    (
        {"new_only": True},
        "",
        "ACCEPTED FINDINGS: 6 backups inside the retention with a finding of medium or above, none new since the "
        "baseline; 1 backup with findings under medium only",
        0,
    ),
    ({"retention": 3600 * 12, "fail_on": "critical"}, "kms", "FINDINGS: the migration to kms is INCOMPLETE", 1),
]


@pytest.mark.parametrize(("questions", "target", "first", "code"), CASES)
def test_the_first_line_is_true(migrated: Path, questions: dict[str, Any], target: str, first: str, code: int) -> None:
    before = ask(migrated, as_of=NIGHT).state if "new_only" in questions else None
    wanted = Target.of(target, "2026-11-01") if target else None
    report = ask(migrated, before, wanted, as_of=NIGHT, **questions)
    assert section(report, "conclusion").sentences[0] == first
    assert report.exit_code == code
    assert (section(report, "conclusion").answer is Answer.FINDINGS) == (code == 1)


def test_every_format_begins_with_it(migrated: Path) -> None:
    questions = Questions(as_of=NIGHT, retention=3600 * 12, fail_on="critical")
    context = Context(DataSetFolder(str(migrated)), questions)
    report = build.build(context, None, Target.of("kms", "2026-11-01"))
    first = "FINDINGS: the migration to kms is INCOMPLETE"
    texts = {}
    for name, function in write.FORMATS.items():
        with io.StringIO() as out:
            function(report, out)
            texts[name] = out.getvalue()
    assert texts["markdown"].splitlines()[:3] == ["## Conclusion: findings", "", f"- {first}"]
    assert f'<failure message="{first}">' in texts["junit"]
    assert f'class="verdict findings">\n<p>{first}</p>' in texts["html"]
    assert json.loads(texts["json"])["sections"][0]["sentences"][0] == first
    with io.StringIO() as out:
        statement.write(report, context, out)
        page = out.getvalue().splitlines()
    assert page[page.index("Conclusion") + 1] == f"  {first}"
    exceptions = page[page.index("Exceptions") + 1 :]
    assert exceptions[:2] == [
        "  the migration to kms is INCOMPLETE",
        "  4 backups outside the retention with a finding of critical or above",
    ]


def test_no_format_holds_what_a_terminal_obeys(tmp_path: Path) -> None:
    """Control characters of sources, of names of files, of clusters and owners; the XML of JUnit is well-formed."""
    folder = tmp_path / "b\x1b[31m\x01\u202e"
    folder.mkdir()
    shutil.copy(MIGRATION / "1-plaintext.db", folder / f"a\x1b[2J\n\x9b{fleet.name(4)}")
    (folder / f"b\x07\ufffe{fleet.name(5)}").write_bytes(bytes(5000))
    (tmp_path / "c.toml").write_text(
        f'[cluster."x\\u001b[2J"]\npaths = ["{tmp_path}/*"]\nowner = "o\\u0007"\nevery = "1h"\n'
        '[cluster."y\\n\\u0085"]\nuid = "none"\n'
    )
    known = clusters_file.read(str(tmp_path / "c.toml"))
    fleet.run(fleet.request(folder, tmp_path / "set", fleet.key(tmp_path), clusters=known))
    context = Context(DataSetFolder(str(tmp_path / "set")), Questions(as_of=NIGHT))
    report = build.build(context, {**NOTHING_BEFORE, "clusters": {"z\x1b": [1, 1, 0]}}, Target.of("kms", "2026-11-01"))
    formats: dict[str, Callable[[FleetReport, IO[str]], None]] = {
        **write.FORMATS,
        "statement": lambda report, out: statement.write(report, context, out),
    }
    for name, function in formats.items():
        with io.StringIO() as out:
            function(report, out)
            text = out.getvalue()
        assert not [mark for mark in text if not mark.isprintable() and mark not in "\n\r\t"], name
        if name == "junit":
            ET.fromstring(text)
    for line in (*report.exceptions, *(line for each in report.sections for line in each.sentences)):
        assert line.isprintable()
    (sources,) = (line for line in section(report, "population").sentences if line.startswith("Sources: "))
    assert f"{tmp_path}/b\\x1b[31m\\x01\\xe2\\x80\\xae." in sources
    cells = [cell for each in report.sections for grid in each.grids for row in grid.rows for cell in row]
    assert all(cell.isprintable() for cell in cells if isinstance(cell, str))
    assert {"x\\x1b[2J", "y\\x0a\\xc2\\x85", "z\\x1b"} <= set(cells)


def test_two_names_of_one_cluster_are_said(tmp_path: Path) -> None:
    """Without uids in the file their paths make two of what the backups show to be one."""
    for number, name in enumerate("ab", 5):
        (tmp_path / name).mkdir()
        shutil.copy(MIGRATION / "5-defragmented.db", tmp_path / name / fleet.name(number))
    text = "".join(f'[cluster.{name}]\npaths = ["{tmp_path}/{name}/"]\n' for name in "ab")
    uid = "71314e90-44b9-4311-833c-506d91031055"
    for more, said in (("", True), (f'uid = "{uid}"\n', False)):
        (tmp_path / "c.toml").write_text(text + more)
        known = clusters_file.read(str(tmp_path / "c.toml"))
        fleet.run(fleet.request(f"{tmp_path}/[ab]", tmp_path / "set", clusters=known))
        words = " ".join(section(ask(tmp_path / "set", as_of=NIGHT), "population").sentences)
        assert (f"a, b are one cluster: their backups show one uid, {uid};" in words) == said


def test_what_new_only_counts(migrated: Path) -> None:
    report = ask(migrated, NOTHING_BEFORE, as_of=NIGHT, new_only=True)
    assert report.new
    assert report.exit_code == 1
    first = f"FINDINGS: {report.new} findings of medium or above new since the baseline"
    assert section(report, "conclusion").sentences[0] == first


def test_values_that_are_not_compared_are_counted(migrated: Path) -> None:
    count = sum(row["common_values"] for row in fleet.table(migrated, "backups"))
    assert count
    words = f"{count} values in the backups examined, readable or decrypted, public, common or short: not compared."
    assert words in section(ask(migrated, as_of=NIGHT), "rotate").sentences


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two clusters with a backup of the same night each, and the state of the report on them."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(fleet.STAGES[6], tmp_path / name / fleet.name(1))
    scan(tmp_path, "a", "b")
    return tmp_path


def scan(top: Path, *names: str) -> None:
    """A look at these clusters' folders, some time after any other look."""
    own = "\n".join(
        f'[cluster.{name}]\npaths = ["{name}/"]\nencryption-config = ["{ROTATED}"]\n{every}'
        for name, every in (("a", 'every = "1d"'), ("b", ""))
    )
    (top / "clusters.toml").write_text(own)
    (top / "list").write_text("\n".join(str(top / name) for name in names))
    known = clusters_file.read(str(top / "clusters.toml"))
    fleet.run(fleet.request(f"@{top / 'list'}", top / "set", clusters=known))
    # looks are told apart by their second
    listing = top / "set" / "listing.parquet"
    table = pq.read_table(listing)
    about = {**json.loads(table.schema.metadata[b"run"]), "listed": f"look {len(list(top.glob('look*')))}"}
    (top / f"look{len(list(top.glob('look*')))}").touch()
    pq.write_table(table.replace_schema_metadata({"run": json.dumps(about)}), listing)


def changes(top: Path, before: dict[str, Any], as_of: str) -> tuple[Answer, list[str], list[str]]:
    """The answer on changes, what is open of them, and the sentences in JUnit."""
    report = ask(top / "set", before, as_of=as_of, max_age=10**9)
    with io.StringIO() as out:
        write.junit(report, out)
        junit = out.getvalue()
    sentences = section(report, "since").sentences[1:]
    assert all(sentence in junit for sentence in sentences) or section(report, "since").answer is Answer.NONE
    marked = [each for each in report.open_questions if each.startswith("since the last report ")]
    assert not marked or report.exit_code != 0
    return section(report, "since").answer, list(sentences), marked


def test_a_cluster_that_is_gone_is_open(two: Path) -> None:
    before = ask(two / "set", as_of="2026-11-01T10:00:00Z").state
    scan(two, "a")
    answer, sentences, marked = changes(two, before, "2026-11-01T11:00:00Z")
    assert answer is Answer.UNKNOWN
    assert sentences == ["b is gone: no source has a backup of it."]
    assert marked == ["since the last report b is gone: no source has a backup of it"]


def test_a_cluster_that_stopped_is_open_and_two_reports_on_one_look_tell_nothing(two: Path) -> None:
    before = ask(two / "set", as_of="2026-11-01T10:00:00Z").state
    assert changes(two, before, "2026-11-05T10:00:00Z") == (Answer.NONE, [], [])
    scan(two, "a", "b")
    assert changes(two, before, "2026-11-02T06:00:00Z") == (Answer.NONE, [], [])  # the next is not yet due
    answer, sentences, marked = changes(two, before, "2026-11-02T13:00:00Z")
    assert answer is Answer.UNKNOWN
    assert sentences == ["a stopped backing up: no backup is newer than in the last report."]
    assert len(marked) == 1


def test_a_new_cluster_is_said_and_open_it_is_not(two: Path) -> None:
    before = ask(two / "set", as_of="2026-11-01T10:00:00Z").state
    del before["clusters"]["b"]
    assert changes(two, before, "2026-11-01T11:00:00Z") == (Answer.NONE, ["b is new."], [])
