"""With --redact-names no namespace, name or uid of the evidence is in any output, and nothing else is lost."""

import csv
import io
import json as json_module
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import auditor
from auditor import Options
from auditor.audit.redaction import Pseudonyms
from auditor.errors import UsageError
from auditor.model.audit import Redaction
from auditor.model.table import COLUMNS, findings, inventory
from auditor.model.vocabulary import RedactionMethod, Severity
from auditor.reports import json
from auditor.text import KEY, NAME, NAMESPACE, marked, unmarked
from tests.helpers import hostile
from tests.helpers.command import run
from tests.helpers.etcd import snapshot_after
from tests.helpers.fixtures import MIGRATION, PLAINTEXT, REWRITTEN, SNAPSHOTS, truth
from tests.helpers.sweeps import sample

PLAIN_WORD = re.compile(r"[a-z]+")
CODE = re.compile(r"<style[^>]*>.*?</style>|<script(?![^>]*application/json)[^>]*>.*?</script>", re.DOTALL)
"""What an HTML report brings along that is not of this evidence."""
REPORTS = {
    "--csv": "a.csv", "--inventory": "b.parquet", "--html": "c.html", "--json": "d.json", "--sarif": "e.sarif",
}  # fmt: skip


@cache
def names_of(snapshot: Path) -> frozenset[str]:
    """Namespaces and names of the Secrets, the last parts of all other keys but plain words, and uids."""
    found: set[str] = set()
    for key in truth(snapshot)["secrets"]:
        found |= set(key.split("/"))
    for entry in truth(snapshot)["stored"]:
        name = entry["key"].rpartition("/")[2]
        if not PLAIN_WORD.fullmatch(name):
            found.add(name)
    rows = auditor.scan(snapshot, Options(resources=("*",))).inventory
    found |= {uid for uid in rows.uid if uid not in {"", "unknown"}}
    audit = auditor.scan(snapshot, Options(quick=True))
    found.add(audit.evidence.cluster.uid)
    # a CustomResourceDefinition is called as the resource that it defines, and resources keep their names
    return frozenset(found - {"", *(row.resource for row in audit.coverage)})


def leaks(snapshot: Path, texts: dict[str, str]) -> set[str]:
    """Names that stand by themselves in a text."""
    found: set[str] = set()
    for text in texts.values():
        words = set(re.findall(r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?", CODE.sub("", text)))
        parts = {part for word in words for part in re.split(r"[:]", word)}
        found |= names_of(snapshot) & (words | parts)
    return found


def texts_of(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.iterdir():
        if path.suffix == ".parquet":
            yield path.name, "\n".join(str(cell) for row in pq.read_table(path).to_pylist() for cell in row.values())
        else:
            yield path.name, path.read_text()


def stage_options(snapshot: Path) -> list[str]:
    config = snapshot.with_suffix(".encryption.json")
    return ["--encryption-config", str(config)] if config.exists() else []


EVERYTHING = ["--resource", "*", "--hunt"]
CASES = [*((path, []) for path in SNAPSHOTS), *((path, EVERYTHING) for path in (SNAPSHOTS[3], SNAPSHOTS[-1]))]


@pytest.mark.parametrize(
    ("snapshot", "options"), sample(CASES, 5), ids=lambda part: part.stem if isinstance(part, Path) else "".join(part)
)
def test_no_name_of_any_fixture_is_in_any_output(snapshot: Path, options: list[str], tmp_path: Path) -> None:
    paths = [part for option, name in REPORTS.items() for part in (option, str(tmp_path / name))]
    done = run("scan", snapshot, *paths, *options, *stage_options(snapshot), "-v", "--redact-names")
    assert done.returncode in {0, 1, 3}, done.stderr
    texts = {**dict(texts_of(tmp_path)), "stdout": done.stdout, "stderr": done.stderr}
    assert set(REPORTS.values()) < set(texts)
    assert leaks(snapshot, texts) == set()
    plain = run(
        "scan", snapshot, "--inventory", tmp_path / "plain.csv", "--csv", "-", *options, *stage_options(snapshot)
    )
    assert plain.returncode == done.returncode
    assert leaks(snapshot, {"plain": (tmp_path / "plain.csv").read_text()}), "the names are there to be found"


def rows_of(audit: auditor.Audit) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, cells, strict=True)) for cells in inventory(audit.rows, audit.evidence).rows()]


def test_all_else_is_as_it_was() -> None:
    """Row by row: only names differ, one pseudonym stands for one name, and the shape of a key stays."""
    options = Options(encryption_configs=(str(REWRITTEN.with_suffix(".encryption.json")),), resources=("*",))
    plain, audit = auditor.scan(REWRITTEN, options), auditor.scan(REWRITTEN, redact(options))
    assert audit.redaction == Redaction(RedactionMethod.ORDINALS)
    assert audit.tally == plain.tally
    given: dict[tuple[str, str], str] = {}
    for before, after in zip(rows_of(plain), rows_of(audit), strict=True):
        assert {name for name in COLUMNS if before[name] != after[name]} <= {
            "namespace",
            "name",
            "key",
            "uid",
            "detail",
            "used_by",
        }
        for column in ("namespace", "name", "uid"):
            assert given.setdefault((column, before[column]), after[column]) == after[column]
            assert (after[column] == before[column]) == (before[column] in {"", "unknown"})
        path = before["key"].removesuffix("/".join(filter(None, (before["namespace"], before["name"]))))
        assert after["key"] == path + "/".join(filter(None, (after["namespace"], after["name"])))
    assert len(set(given.values())) == len(set(given) - {(column, text) for column, text in given if text == ""}) + 1


def redact(options: Options, key: Path | None = None) -> Options:
    from dataclasses import replace

    return replace(options, redact_names=True, redact_key=str(key or ""))


def key_file(folder: Path, text: bytes = b"a key of sixteen bytes, and more") -> Path:
    path = folder / "redaction.key"
    path.write_bytes(text)
    return path


def test_pseudonyms_match_between_reports_of_one_key(tmp_path: Path) -> None:
    key = key_file(tmp_path)

    def named(path: Path, key: Path) -> dict[str, tuple[str, str]]:
        audit, plain = auditor.scan(path, redact(Options(), key)), auditor.scan(path)
        return {
            str(real["key"]): (str(row["namespace"]), str(row["name"]))
            for real, row in zip(rows_of(plain), rows_of(audit), strict=True)
        }

    first, second = named(PLAINTEXT, key), named(REWRITTEN, key)
    both = first.keys() & second.keys()
    assert len(both) > 20
    assert all(first[each] == second[each] for each in both)
    other = named(REWRITTEN, key_file(tmp_path, b"another key, also long enough"))
    assert not {*second.values()} & {*other.values()}
    assert all(re.fullmatch(r"name-[0-9a-f]{12}", name) for _, name in second.values())


def test_a_baseline_needs_names_that_can_be_compared(tmp_path: Path) -> None:
    def report(audit: auditor.Audit, name: str) -> str:
        with (tmp_path / name).open("w") as out:
            json.write(audit, Severity.MEDIUM, out)
        return str(tmp_path / name)

    key, compacted = key_file(tmp_path), MIGRATION / "4-compacted.db"
    plain = auditor.scan(compacted, Options(baseline=report(auditor.scan(REWRITTEN), "plain.json"))).baseline
    keyed = report(auditor.scan(REWRITTEN, redact(Options(), key)), "keyed.json")
    found = auditor.scan(compacted, redact(Options(baseline=keyed), key)).baseline
    assert plain is not None
    assert found is not None
    assert (found.new, found.unchanged, found.moved) == (plain.new, plain.unchanged, plain.moved)
    ordinals = report(auditor.scan(REWRITTEN, redact(Options())), "ordinals.json")
    for options in (Options(baseline=keyed), redact(Options(baseline=keyed)), redact(Options(baseline=ordinals))):
        with pytest.raises(UsageError, match="names cannot be compared"):
            auditor.scan(compacted, options)
    again = auditor.scan(REWRITTEN, redact(Options(baseline=ordinals))).baseline
    assert again is not None
    assert (again.new, again.absent) == (0, ())


def test_hostile_names_are_replaced_too(tmp_path: Path) -> None:
    path = snapshot_after(tmp_path, hostile.work)
    audit = auditor.scan(path, redact(Options()))
    texts = json_module.dumps(json.document(audit, Severity.MEDIUM))
    for row in rows_of(audit):
        assert re.fullmatch(r"(namespace-\d+)?", row["namespace"])
        assert re.fullmatch(r"name-\d+|unknown", row["name"])
        assert re.fullmatch(r"uid-\d+|unknown|", row["uid"])
    details = [str(said) for said in findings(audit.rows, audit.evidence).columns["detail"]]
    assert any(re.search(r"says it is namespace-\d+/name-\d+", said) for said in details)
    assert "x" * 100 not in "".join(str(row["key"]) for row in rows_of(audit))
    assert "\\u000e" not in texts


def test_what_names_an_object_in_a_sentence(tmp_path: Path) -> None:
    """A misplaced ciphertext and a copied value: the other object's name is in the detail only."""
    import random

    from tests.helpers import sealing
    from tests.helpers.objects import StoredObject

    rng = random.Random(1)
    moved = StoredObject(b"origin-space", b"origin-object", {b"password": b"Zk3#qW9vRt71LmXe"})
    stored = sealing.seal("aescbc", "key1", sealing.KEY, moved, rng)
    copy = StoredObject(b"copy-space", b"copy-object", {b"env": b"p=Zk3#qW9vRt71LmXe"}, kind=b"ConfigMap")
    pairs = [
        (b"/registry/secrets/other-space/other-object", stored),
        (moved.key, moved.protobuf()),
        (b"/registry/configmaps/copy-space/copy-object", copy.protobuf()),
    ]
    path = sealing.database(tmp_path / "a.db", pairs)
    config = sealing.configuration(tmp_path / "c.json", sealing.provider("aescbc", ("key1", sealing.KEY)))
    options = Options(encryption_configs=(config,), hunt=True)
    plain, audit = auditor.scan(path, options), auditor.scan(path, redact(options))
    said = " ".join(plain.findings.detail)
    assert "opens as a different object: v1 Secret origin-space/origin-object" in said
    assert "of=/registry/secrets/origin-space/origin-object field=password" in said
    text = json_module.dumps(json.document(audit, Severity.MEDIUM))
    for word in ("origin-space", "origin-object", "copy-space", "copy-object", "other-space", "other-object"):
        assert word not in text
    details = " ".join(audit.findings.detail)
    assert re.search(r"opens as a different object: v1 Secret namespace-\d+/name-\d+", details)
    assert re.search(r"of=/registry/secrets/namespace-\d+/name-\d+ field=password", details)
    hits = audit.findings.finding == "copied-value"
    assert set(audit.findings[hits].id) != set(plain.findings[plain.findings.finding == "copied-value"].id)
    assert set(audit.findings[~hits].id) == set(plain.findings[plain.findings.finding != "copied-value"].id)


def test_a_case_and_a_reason_are_words_of_a_person(tmp_path: Path) -> None:
    ignore = tmp_path / "ignore.yaml"
    ignore.write_text(
        "accepted:\n- {finding: '*', name: old0, reason: payments/old0 is rotated., expires: 2999-01-01}\n"
    )
    audit = auditor.scan(REWRITTEN, redact(Options(case="platform and others", ignore=str(ignore))))
    assert audit.acceptances[0].matches > 2
    text = json_module.dumps(json.document(audit, Severity.MEDIUM))
    assert not re.search(r"\bpayments\b|\bold0\b", text)
    assert re.search(r"accepted until 2999-01-01: namespace-\d+/name-\d+ is rotated\.", text)
    assert re.search(r'"case": "namespace-\d+ and others"', text)


def test_the_command(tmp_path: Path) -> None:
    done = run("scan", REWRITTEN, "--redact-names", "--json", tmp_path / "a.json")
    assert "Names     namespaces, names and uids are replaced by ordinals (--redact-names)" in done.stdout
    # a report without names still speaks for its evidence
    assert run("verify", tmp_path / "a.json", REWRITTEN).returncode == 0
    refusals: list[list[str | Path]] = [
        ["--redact-names", "--remediation", tmp_path / "r.sh"],
        ["--redact-key", key_file(tmp_path)],
        ["--redact-names", "--redact-key", tmp_path / "nosuch"],
        ["--redact-names", "--redact-key", key_file(tmp_path, b"short\n")],
    ]
    for arguments in refusals:
        refused = run("scan", REWRITTEN, *arguments)
        assert refused.returncode == 2
        assert "--redact" in refused.stderr
    listed = csv.DictReader(io.StringIO(run("scan", REWRITTEN, "--redact-names", "--csv", "-").stdout))
    assert {row["namespace"] for row in listed} == {"", "namespace-1", "namespace-2"}


def test_marks_in_sentences() -> None:
    text = f"it says {marked('a', NAMESPACE)}/{marked('b', NAME)} of {marked('/registry/x', KEY)}"
    assert unmarked(text) == "it says a/b of /registry/x"
    assert unmarked(text, lambda kind, name: f"<{kind}{len(name)}>") == "it says <n1>/<o1> of <k11>"
    give = Pseudonyms(b"")
    assert [give(NAME, each) for each in ("a", "b", "a", "", "unknown")] == [
        "name-1",
        "name-2",
        "name-1",
        "",
        "unknown",
    ]
    assert give.in_words("a, b. and c") == "name-1, name-2. and c"


def test_a_case_and_an_earlier_report_hold_no_names_in_any_output(tmp_path: Path) -> None:
    """In the options too; and the absent findings of a report that was not redacted."""
    earlier = tmp_path / "earlier.json"
    assert run("scan", PLAINTEXT, "--json", earlier).returncode == 1
    document = json_module.loads(earlier.read_text())
    first = next(row for row in document["findings"] if row["namespace"] and row["name"] != "unknown")
    names = {row["name"] for row in document["findings"] if len(row["name"]) > 4 and row["name"] != "unknown"}
    case = f"{first['namespace']}/{first['name']} leaked, {first['name'].upper()}.{first['namespace']}"
    for options in ([], ["--baseline", str(earlier)], ["--baseline", str(earlier), "--expect", "aescbc"]):
        outputs = [part for kind in ("json", "html", "sarif", "csv") for part in (f"--{kind}", tmp_path / f"r.{kind}")]
        done = run("scan", PLAINTEXT, "--redact-names", "--case", case, *options, *outputs, "--force")
        texts = (
            done.stdout
            + done.stderr
            + "".join((tmp_path / f"r.{kind}").read_text() for kind in ("json", "html", "sarif", "csv"))
        )
        assert not [name for name in names if name in texts]
    alone = run("scan", PLAINTEXT, "--redact-names", "--case", case)
    assert "leaked" in alone.stdout
    assert first["name"] not in alone.stdout
