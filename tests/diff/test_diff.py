"""Two evidence items compared: the real migration stage by stage, and every form and content there is."""

import base64
import csv
import hashlib
import io
import json
import random
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import Options, Severity
from auditor.arrays import join
from auditor.arrays.buffer import Buffer
from auditor.diff import compare, fit
from auditor.diff import rows as diff_rows
from auditor.diff.compare import Comparison, DiffOptions
from auditor.diff.objects import Content, FormChange
from auditor.errors import UnreadableEvidence, UsageError
from auditor.model.vocabulary import Place
from auditor.reports.diff.json import document, schema
from tests.helpers import bolt_builder, hostile, sealing
from tests.helpers.ciphertexts import ciphertext, kms_v2
from tests.helpers.command import run
from tests.helpers.etcd import restore, snapshot_after
from tests.helpers.fixtures import MIGRATION, PROVIDERS, name_of, truth
from tests.helpers.kms_plugin import KmsPlugin, read_keks
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, OTHER, configuration, provider, seal
from tests.system.test_truth import PLACES

STAGES = sorted(MIGRATION.glob("*.db"))
PAIRS = list(pairwise(STAGES))
ENCRYPTED = Options()
VALIDATOR = jsonschema.Draft202012Validator(schema())


def config(path: Path) -> tuple[str, ...]:
    file = path.with_suffix(".encryption.json")
    return (str(file),) if file.exists() else ()


def stage_comparison(before: Path, after: Path, **options: Any) -> Comparison:
    """Both with the configuration of their own moment."""
    diff_options = DiffOptions(
        Options(encryption_configs=config(before)), Options(encryption_configs=config(after)), **options
    )
    return compare.compare(before, after, diff_options)


def secrets(path: Path) -> dict[str, tuple[str, str, str]]:
    """Provider, key name and canary of every current Secret, from the truth alone."""
    truths = truth(path)
    entries = {}
    for entry in truths["stored"]:
        if "/secrets/" in entry["key"]:
            name = entry["key"].removeprefix("/registry/secrets/")
            entries[entry["key"]] = (entry["provider"], entry["key_name"], truths["secrets"][name]["canary"])
    return entries


def truth_forms(before: Path, after: Path) -> dict[str, tuple[str, str]]:
    """Form and content of every Secret between two stages, from the truth alone."""
    one, two = secrets(before), secrets(after)
    forms = {}
    for key in one.keys() | two.keys():
        if key not in one or key not in two:
            forms[key] = ("appeared" if key in two else "vanished", "")
            continue
        (was, old, canary), (now, new, other) = one[key], two[key]
        plain, still = was.startswith("identity"), now.startswith("identity")
        form = {
            (True, True): "still plaintext",
            (True, False): "became encrypted",
            (False, True): "turned to plaintext",
        }
        same = "unchanged" if (was, old) == (now, new) else "re-keyed"
        forms[key] = (form.get((plain, still), same), "same" if canary == other else "changed")
    return forms


def test_the_truth_tells_the_readmes_story() -> None:
    """What expected() derives is worth comparing with: every step has its own counts."""
    steps = [Counter(form for form, _ in truth_forms(*pair).values()) for pair in PAIRS]
    assert steps == [
        {"still plaintext": 27, "appeared": 7},
        {"became encrypted": 27, "unchanged": 7},
        {"unchanged": 34},
        {"unchanged": 34},
        {"re-keyed": 14, "unchanged": 20},
        {"re-keyed": 20, "unchanged": 14},
    ]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].stem} {pair[1].stem}")
def test_each_step_of_the_migration(pair: tuple[Path, Path]) -> None:
    comparison = stage_comparison(*pair)
    rows = {key: (form, content) for key, form, content in zip(
        *(comparison.columns[name] for name in ("key", "form", "content")), strict=True)}  # fmt: skip
    assert rows == truth_forms(*pair)
    counted = {(form.label, content.label): count for (form, content), count in comparison.objects.items()}
    assert counted == Counter(truth_forms(*pair).values())
    for path, each in zip(pair, (comparison.before, comparison.after), strict=True):
        places = {place for place in PLACES.get(name_of(path), {}) if place != "latest"}
        readable = {place.label: count for place, (_, count) in compare.leftovers(each).items() if count}
        assert readable == {place: PLACES[name_of(path)][place] for place in places}
    under = {(one.label, name): (was, now) for one, name, was, now in comparison.keys}
    for side, path in enumerate(pair):
        expected = Counter((provider.split(" ")[0], name) for provider, name, _ in secrets(path).values())
        assert {key: counts[side] for key, counts in under.items() if counts[side]} == expected
    assert comparison.complete
    # leftovers and stale keys keep stages 2 to 4 and 6 from being as they should
    assert comparison.exit_code(Severity.MEDIUM) == (0 if pair[1].stem[0] in "57" else 1)


def test_a_file_beside_itself_is_said_to_be_one() -> None:
    assert any("are one file" in note for note in stage_comparison(STAGES[0], STAGES[0]).notes)
    assert not any("are one file" in note for note in stage_comparison(STAGES[0], STAGES[1]).notes)


def test_from_the_first_stage_to_the_last() -> None:
    comparison = stage_comparison(STAGES[0], STAGES[-1])
    assert Counter(truth_forms(STAGES[0], STAGES[-1]).values()) == {
        ("became encrypted", "same"): 27,
        ("appeared", ""): 7,
    }
    assert comparison.objects == {
        (FormChange.BECAME_ENCRYPTED, Content.SAME): 27,
        (FormChange.APPEARED, Content.NONE): 7,
    }
    assert comparison.rewritten == 27
    assert compare.leftovers(comparison.before)[Place.FREED] == (7, 7)
    assert comparison.exit_code(Severity.MEDIUM) == 0
    strict = stage_comparison(STAGES[0], STAGES[-1], same_content=True)
    assert strict.exit_code(Severity.MEDIUM) == 1  # seven appeared


def test_without_keys_only_identical_bytes_prove_the_content() -> None:
    plain = compare.compare(STAGES[1], STAGES[2], DiffOptions(ENCRYPTED, ENCRYPTED))
    assert plain.objects == {
        (FormChange.BECAME_ENCRYPTED, Content.UNKNOWN): 27,
        (FormChange.UNCHANGED, Content.SAME): 7,
    }
    one_side = Options(encryption_configs=config(STAGES[6]))
    comparison = compare.compare(STAGES[5], STAGES[6], DiffOptions(ENCRYPTED, one_side))
    assert comparison.objects == {(FormChange.RE_KEYED, Content.UNKNOWN): 20, (FormChange.UNCHANGED, Content.SAME): 14}
    assert comparison.exit_code(Severity.MEDIUM) == 0
    strict = compare.compare(STAGES[5], STAGES[6], DiffOptions(ENCRYPTED, one_side, same_content=True))
    assert strict.exit_code(Severity.MEDIUM) == 3


def test_what_is_expected_of_both_ends() -> None:
    """--expect plaintext turns the story round; --expect-before holds the current values of BEFORE to something."""
    plaintext = replace(ENCRYPTED, expect="plaintext")
    comparison = compare.compare(STAGES[0], STAGES[1], DiffOptions(ENCRYPTED, plaintext))
    assert comparison.exit_code(Severity.MEDIUM) == 1  # seven appeared encrypted
    assert {finding.label: count for finding, _, count in comparison.after.tally.findings}["stale-provider"] == 7
    for expect, unlike in (("plaintext", 0), ("encrypted", 27), ("aescbc:key1", 27)):
        comparison = compare.compare(STAGES[0], STAGES[6], DiffOptions(ENCRYPTED, ENCRYPTED, expect_before=expect))
        assert comparison.unlike == unlike
        assert comparison.exit_code(Severity.MEDIUM) == bool(unlike)
    key2 = replace(ENCRYPTED, expect="aescbc:key2")
    assert compare.compare(STAGES[5], STAGES[6], DiffOptions(ENCRYPTED, key2)).exit_code(Severity.MEDIUM) == 0
    assert compare.compare(STAGES[4], STAGES[5], DiffOptions(ENCRYPTED, key2)).exit_code(Severity.MEDIUM) == 1


def test_the_wrong_order_is_refused() -> None:
    with pytest.raises(UsageError, match=r"AFTER \(1-plaintext.db\) is at revision 103 .* 206.* the older one"):
        stage_comparison(STAGES[6], STAGES[0])
    comparison = stage_comparison(STAGES[6], STAGES[0], any_order=True)
    assert comparison.objects == {
        (FormChange.TURNED_TO_PLAINTEXT, Content.SAME): 27,
        (FormChange.VANISHED, Content.NONE): 7,
    }
    assert comparison.exit_code(Severity.MEDIUM) == 1


def test_of_the_same_revision_what_is_compacted_less_is_before() -> None:
    rewritten, compacted = STAGES[2:4]
    with pytest.raises(
        UsageError, match=r"at revision \d+; BEFORE \(4-.* up to \d+, AFTER \(3-.* not at all: AFTER is the older"
    ):
        stage_comparison(compacted, rewritten)
    assert sum(stage_comparison(compacted, rewritten, any_order=True).objects.values()) == 34
    assert sum(stage_comparison(rewritten, compacted).objects.values()) == 34


def test_different_clusters_are_refused() -> None:
    other = PROVIDERS / "1-every-provider.db"
    with pytest.raises(UsageError, match=r"different clusters.*uid is 71314e90.*nothing was compared"):
        stage_comparison(STAGES[0], other)
    comparison = stage_comparison(STAGES[0], other, different_clusters=True)
    rows = zip(comparison.columns["form"], comparison.columns["key"], strict=True)
    forms = {str(key): form for form, key in rows if "/secrets/" in str(key)}
    mine, theirs = secrets(STAGES[0]).keys(), secrets(other).keys()
    assert forms == {**dict.fromkeys(mine, "vanished"), **dict.fromkeys(theirs, "appeared")}
    assert comparison.rewritten == 0  # revisions of two clusters cannot be compared


def test_what_only_one_sides_configuration_covers_is_compared(tmp_path: Path) -> None:
    """ConfigMaps that one side encrypts are looked for on the other, whichever it is."""
    thing = StoredObject(b"n", b"c", kind=b"ConfigMap")
    key = b"/registry/configmaps/n/c"
    plain = sealing.database(tmp_path / "plain.db", [NAMESPACE, (key, thing.protobuf())])
    value = ciphertext("aesgcm", b"key1", b"\xa0" * 64)
    encrypted = sealing.database(tmp_path / "encrypted.db", [NAMESPACE, (key, value)])
    rule = provider("aesgcm", ("key1", KEY))
    covers = Options(encryption_configs=(configuration(tmp_path / "c.json", rule, resources=["configmaps"]),))
    for before, after, options, form in (
        (plain, encrypted, (ENCRYPTED, covers), FormChange.BECAME_ENCRYPTED),
        (encrypted, plain, (covers, ENCRYPTED), FormChange.TURNED_TO_PLAINTEXT),
    ):
        comparison = compare.compare(before, after, DiffOptions(*options))
        assert comparison.objects == {(form, Content.UNKNOWN): 1}


def test_evidence_without_a_cluster_of_its_own_is_inconclusive(tmp_path: Path) -> None:
    value = ciphertext("aesgcm", b"key1", b"\xa0" * 64)
    buckets = {**bolt_builder.store([bolt_builder.record(2, StoredObject().key, value)]), b"members": []}
    path = tmp_path / "a.db"
    path.write_bytes(bolt_builder.Builder(buckets, inline=bolt_builder.SMALL).build().seal())
    comparison = compare.compare(path, path, DiffOptions(ENCRYPTED, ENCRYPTED))
    assert comparison.exit_code(Severity.MEDIUM) == 3
    assert [part.what for part in comparison.unexamined if part.decisive] == ["whether both are of one cluster"]
    comparison = compare.compare(path, path, DiffOptions(ENCRYPTED, ENCRYPTED, different_clusters=True))
    assert comparison.exit_code(Severity.MEDIUM) == 0


MEMBER = 0x8000000000000005
"""A member whose cluster id, as etcd derives it, begins with a zero digit."""


def test_a_cluster_id_is_the_same_in_every_spelling(tmp_path: Path) -> None:
    """A snapshot and etcdctl's JSON of one cluster, where the kube-system namespace cannot be read."""
    cluster = int.from_bytes(hashlib.sha1(struct.pack(">Q", MEMBER), usedforsecurity=False).digest()[:8])
    assert cluster < 1 << 60
    value = ciphertext("aesgcm", b"key1", b"\xa0" * 64)
    buckets = {
        **bolt_builder.store([bolt_builder.record(2, StoredObject().key, value)]),
        b"members": [(f"{MEMBER:x}".encode(), b'{"name": "t"}')],
    }
    before, after = tmp_path / "a.db", tmp_path / "a.json"
    before.write_bytes(bolt_builder.Builder(buckets, inline=bolt_builder.SMALL).build().seal())
    key, text = (base64.b64encode(raw).decode() for raw in (StoredObject().key, value))
    record = {"key": key, "create_revision": 2, "mod_revision": 2, "version": 1, "value": text}
    header = {"cluster_id": cluster, "member_id": MEMBER, "revision": 2, "raft_term": 3}
    after.write_text(json.dumps({"header": header, "kvs": [record], "count": 1}, separators=(",", ":")))
    comparison = compare.compare(before, after, DiffOptions(ENCRYPTED, ENCRYPTED))
    ids = [side.evidence.backend.cluster_id for side in (comparison.before, comparison.after)]
    assert ids == [cluster, cluster]
    assert [row["etcd_cluster"] for row in sides(comparison)] == [f"{cluster:016x}"] * 2
    with pytest.raises(UsageError, match="different clusters"):
        fit._same(["BEFORE", "AFTER"], [("", cluster), ("", cluster + 1)], different_clusters=False)


def sides(comparison: Comparison) -> list[dict[str, Any]]:
    whole = document(comparison, Severity.MEDIUM)
    return [whole["before"], whole["after"]]


def test_kek_rotation_is_re_keying(tmp_path: Path) -> None:
    """Stage 2 of providers: the KMS v2 plugin's KEK moved on, and every prefix stayed the same."""
    before, after = PROVIDERS / "1-every-provider.db", PROVIDERS / "2-kek-rotated.db"
    keks = read_keks(PROVIDERS / "kek-vault.json"), read_keks(PROVIDERS / "kek-legacy.json")
    with (
        KmsPlugin(tmp_path, keks[0], current="kek-b", socket="vault.sock") as vault,
        KmsPlugin(tmp_path, keks[1], socket="legacy.sock") as legacy,
    ):
        plugins = f"vault={vault.endpoint}", f"legacy={legacy.endpoint}"
        sides = [Options(encryption_configs=config(path), kms_plugins=plugins) for path in (before, after)]
        comparison = compare.compare(before, after, DiffOptions(sides[0], sides[1]))
    assert comparison.complete
    rows = [dict(zip(comparison.columns, row, strict=True)) for row in zip(*comparison.columns.values(), strict=True)]
    one, two = secrets(before), secrets(after)
    for row in rows:
        kms = row["before_kek_id"] and row["after_kek_id"]
        if row["key"] in one and row["key"] in two:
            moved = row["before_kek_id"] != row["after_kek_id"]
            assert (row["form"] == "re-keyed") == (moved or one[row["key"]][:2] != two[row["key"]][:2])
            assert row["content"] == ("same" if one[row["key"]][2] == two[row["key"]][2] else "changed")
            assert not kms or row["before_provider"] == row["after_provider"] == "kms v2"


NAMESPACE = (b"/registry/namespaces/kube-system", StoredObject(b"", b"kube-system", kind=b"Namespace").protobuf())
RNG = random.Random(7)


def story() -> Iterator[tuple[str, bytes, bytes, str, str]]:
    """Name, stored before and after, form and content, of every pair of ways to be stored."""
    old, new = ("key1", KEY), ("key1", OTHER)  # another key under the same name
    for content, data in (("same", {b"a": b"1"}), ("changed", {b"a": b"2"})):
        ways: dict[str, Callable[[StoredObject], bytes]] = {
            "plain": lambda thing: thing.protobuf(),
            "json": lambda thing: thing.json(),
            "old": lambda thing: seal("aesgcm", *old, thing, RNG),
            "new": lambda thing: seal("aesgcm", *new, thing, RNG),
            "box": lambda thing: seal("secretbox", "key1", KEY, thing, RNG),
        }
        for was, write in ways.items():
            for now, rewrite in ways.items():
                name = f"{was}-{now}-{content}"
                first = StoredObject(b"n", name.encode(), {b"a": b"1"})
                second = replace(first, data=data, labels={b"k": b"v"})
                plain = was in {"plain", "json"}, now in {"plain", "json"}
                form = {(True, True): "still plaintext", (True, False): "became encrypted",
                        (False, True): "turned to plaintext"}.get(plain)  # fmt: skip
                form = form or ("unchanged" if was == now else "re-keyed")
                yield name, write(first), rewrite(second), form, content


def test_every_form_and_content(tmp_path: Path) -> None:
    """A key of the same name that is another key is told by what opens the values."""
    told = list(story())
    assert len(told) == 50
    keys = [f"/registry/secrets/n/{name}".encode() for name, *_ in told]
    gone, come = (b"/registry/secrets/n/gone", told[0][1]), (b"/registry/secrets/n/come", told[0][2])
    before = sealing.database(
        tmp_path / "before.db", [NAMESPACE, gone, *((key, was) for key, (_, was, *_) in zip(keys, told, strict=True))]
    )
    after = sealing.database(
        tmp_path / "after.db", [NAMESPACE, come, *((key, now) for key, (_, _, now, *_) in zip(keys, told, strict=True))]
    )
    gcm, box = provider("aesgcm", ("key1", OTHER), ("key1", KEY)), provider("secretbox", ("key1", KEY))
    both = Options(encryption_configs=(configuration(tmp_path / "c.json", gcm, box, {"identity": {}}),))
    comparison = compare.compare(before, after, DiffOptions(both, both))
    assert comparison.complete
    rows = dict(
        zip(
            comparison.columns["name"],
            zip(comparison.columns["form"], comparison.columns["content"], strict=True),
            strict=True,
        )
    )
    expected = {name: (form, content) for name, _, _, form, content in told}
    assert rows == {**expected, "gone": ("vanished", ""), "come": ("appeared", "")}
    assert list(comparison.columns["key"]) == sorted(comparison.columns["key"])
    # a key that opens one of two values under its name: the other is under another key, or damaged
    one_key = configuration(tmp_path / "one.json", provider("aesgcm", ("key1", KEY)), box, {"identity": {}})
    with_one = Options(encryption_configs=(one_key,))
    half = compare.compare(before, after, DiffOptions(with_one, with_one))
    assert dict(zip(half.columns["name"], half.columns["form"], strict=True))["old-new-same"] == "unknown"
    assert (half.complete, half.exit_code(Severity.MEDIUM) != 0) == (False, True)
    # without keys the same name looks like the same key, and no content of what is encrypted is known
    blind = compare.compare(before, after, DiffOptions(ENCRYPTED, ENCRYPTED))
    rows = dict(
        zip(blind.columns["name"], zip(blind.columns["form"], blind.columns["content"], strict=True), strict=True)
    )
    assert rows["old-new-same"] == ("unchanged", "unknown")
    assert rows["old-box-same"] == ("re-keyed", "unknown")
    assert rows["plain-json-same"] == ("still plaintext", "same")
    assert rows["json-plain-changed"] == ("still plaintext", "changed")


def test_a_name_that_is_ambiguous_without_its_key_is_no_proof_of_the_same_key(tmp_path: Path) -> None:
    pairs = []
    for byte in (b"\xa0", b"\xa1"):
        value = ciphertext("aesgcm", b"a:b", byte * 64)
        pairs.append(sealing.database(tmp_path / f"{byte.hex()}.db", [NAMESPACE, (StoredObject().key, value)]))
    comparison = compare.compare(pairs[0], pairs[1], DiffOptions(ENCRYPTED, ENCRYPTED))
    assert comparison.objects == {(FormChange.UNKNOWN, Content.UNKNOWN): 1}
    assert comparison.exit_code(Severity.MEDIUM) == 3
    assert comparison.problems == 1


def test_values_of_no_known_form(tmp_path: Path) -> None:
    before = sealing.database(tmp_path / "a.db", [NAMESPACE, (StoredObject().key, b"neither")])
    after = sealing.database(tmp_path / "b.db", [NAMESPACE, (StoredObject().key, b"nor")])
    comparison = compare.compare(before, after, DiffOptions(ENCRYPTED, ENCRYPTED))
    assert comparison.objects == {(FormChange.UNKNOWN, Content.UNKNOWN): 1}
    assert comparison.exit_code(Severity.MEDIUM) == 1
    same = compare.compare(before, before, DiffOptions(ENCRYPTED, ENCRYPTED))
    assert same.objects == {(FormChange.UNCHANGED, Content.SAME): 1}


def test_a_prefix_that_differs_between_clusters(tmp_path: Path) -> None:
    value = ciphertext("kms v2", b"vault", kms_v2(b"\xa0" * 64))
    keys = [b"/%s/secrets/n/a" % prefix for prefix in (b"registry", b"kubernetes.io")]
    paths = [sealing.database(tmp_path / f"{number}.db", [(key, value)]) for number, key in enumerate(keys)]
    comparison = compare.compare(paths[0], paths[1], DiffOptions(ENCRYPTED, ENCRYPTED, different_clusters=True))
    assert comparison.objects == {(FormChange.UNCHANGED, Content.SAME): 1}
    assert comparison.columns["name"] == ["a"]
    assert comparison.columns["key"] == ["/kubernetes.io/secrets/n/a"]


def test_deleted_and_created_again(tmp_path: Path) -> None:
    from tests.helpers.etcd import Etcd

    with Etcd(tmp_path / "data") as etcd:
        value = ciphertext("aesgcm", b"key1", b"\xa0" * 64)
        for name in (b"a", b"b"):
            etcd.put(b"/registry/secrets/n/" + name, value)
        before = etcd.save(tmp_path / "before.db")
        etcd.delete(b"/registry/secrets/n/a")
        for name in (b"a", b"b"):
            etcd.put(b"/registry/secrets/n/" + name, value)
        after = etcd.save(tmp_path / "after.db")
    comparison = compare.compare(before, after, DiffOptions(ENCRYPTED, ENCRYPTED))
    assert comparison.columns["detail"] == ["deleted and created again", ""]
    assert comparison.rewritten == 2
    assert comparison.notes == ("1 object was deleted and created again in between",)


def test_gaps_keep_the_comparison_open(tmp_path: Path) -> None:
    cut = tmp_path / "cut.db"
    cut.write_bytes(STAGES[6].read_bytes()[: 4096 * 20])
    comparison = compare.compare(
        STAGES[5], cut, DiffOptions(ENCRYPTED, ENCRYPTED, any_order=True, different_clusters=True)
    )
    assert not comparison.complete
    assert comparison.exit_code(Severity.MEDIUM) in {1, 3}
    assert any("AFTER has gaps" in note for note in comparison.notes) or not comparison.of(FormChange.VANISHED)


def test_a_directory_without_a_database_has_no_current_values(tmp_path: Path) -> None:
    (tmp_path / "d" / "member" / "snap").mkdir(parents=True)
    (tmp_path / "d" / "member" / "snap" / "0000000000000001-0000000000000001.snap").write_bytes(b"x" * 100)
    with pytest.raises(UnreadableEvidence, match="AFTER"):
        compare.compare(STAGES[0], tmp_path / "d", DiffOptions(ENCRYPTED, ENCRYPTED))


words = st.lists(st.binary(max_size=70), max_size=30)


@given(words, words)
def test_pairing_is_that_of_dictionaries(one: list[bytes], two: list[bytes]) -> None:
    sides = []
    for texts in (one, two):
        length = np.array([len(text) for text in texts], np.int64)
        sides.append((Buffer(b"".join(texts)), np.cumsum(length) - length, length))
    pairs = sorted(zip(*(rows.tolist() for rows in join.outer_join(sides[0], sides[1])), strict=True))
    last = [{text: row for row, text in enumerate(texts)} for texts in (one, two)]
    assert pairs == sorted((last[0].get(text, -1), last[1].get(text, -1)) for text in last[0].keys() | last[1].keys())
    count = min(len(one), len(two))
    cut = [(buffer, at[:count], length[:count]) for buffer, at, length in sides]
    same = join.identical(cut[0], cut[1]).tolist()
    assert same == [a == b for a, b in zip(one, two, strict=False)]


def outputs(folder: Path, *arguments: str | Path) -> tuple[int, dict[str, str], str]:
    """Exit code, files and standard output of the command with every report."""
    reports = {"--csv": "d.csv", "--json": "d.json", "--html": "d.html"}
    paths = [part for option, name in reports.items() for part in (option, str(folder / name))]
    done = run("diff", *arguments, *paths)
    assert "Traceback" not in done.stderr
    return done.returncode, {name: (folder / name).read_text() for name in reports.values()}, done.stdout


def test_the_command_and_its_reports(tmp_path: Path) -> None:
    given_ = ["--before-config", *config(STAGES[5]), "--after-config", *config(STAGES[6])]
    code, files, output = outputs(tmp_path, STAGES[5], STAGES[6], *given_)
    assert code == 0
    assert output.startswith(
        "NO FINDINGS in what was examined of AFTER: as expected (exit 0)\n34 objects: 14 unchanged, 20 re-keyed"
    )
    rows = list(csv.DictReader(io.StringIO(files["d.csv"])))
    assert list(rows[0]) == list(diff_rows.COLUMNS)
    assert {f"{row['key']}": (row["form"], row["content"]) for row in rows} == truth_forms(STAGES[5], STAGES[6])
    document = json.loads(files["d.json"])
    assert not list(VALIDATOR.iter_errors(document))
    assert [{name: str(cell) for name, cell in row.items()} for row in document["objects"]] == rows
    assert document["tally"]["forms"]["re-keyed"] == 20
    assert document["after"]["left_behind"] == [{"place": "freed", "values": 31, "readable": 0}]
    assert files["d.html"].count("<td>re-keyed</td>") == 21  # a row each, and one of the table of forms
    assert (tmp_path / "d.csv.SHA256SUMS").exists()
    for name in ("d.json", "d.html"):
        done = run("verify", tmp_path / name, STAGES[5], STAGES[6])
        assert done.returncode == 0, done.stdout
        assert "BEFORE (6-rotating.db): its SHA-256 is that of 6-rotating.db" in done.stdout
    (tmp_path / "d.csv.SHA256SUMS").unlink()
    assert run("verify", tmp_path / "d.json").returncode == 0
    (tmp_path / "d.json").write_text(files["d.json"].replace("key2", "key1", 1))
    done = run("verify", tmp_path / "d.json")
    assert (done.returncode, "is not what it was" in done.stdout) == (1, True)
    assert all(len(line) <= 140 for line in output.splitlines())


def test_usage(tmp_path: Path) -> None:
    for arguments, message in (
        ([STAGES[6], STAGES[0]], "AFTER is the older one"),
        ([STAGES[0], PROVIDERS / "1-every-provider.db"], "different clusters"),
        ([STAGES[0], tmp_path / "nowhere.db"], "nowhere.db"),
        ([STAGES[0], STAGES[1], "--expect", "rot13"], "--expect rot13"),
        ([STAGES[0], STAGES[1], "--csv", STAGES[0]], "is the evidence"),
    ):
        done = run("diff", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert not done.stdout


def test_what_fail_on_lets_pass_is_accepted_and_not_none() -> None:
    done = run("diff", STAGES[1], STAGES[2], "--fail-on", "critical")
    first, second, *_ = done.stdout.splitlines()
    assert done.returncode == 0
    assert first == "ACCEPTED FINDINGS: 29 findings of AFTER, accepted by --fail-on critical (exit 0)"
    assert second == "The result is weakened by --fail-on critical."


def test_a_live_endpoint_is_evidence(tmp_path: Path) -> None:
    """The last stage served by a real etcd: by its snapshot, and by its keys alone."""
    config_ = ["--before-config", *config(STAGES[5]), "--after-config", *config(STAGES[6])]
    story = "34 objects: 14 unchanged, 20 re-keyed. Content the same in 34."
    with restore(STAGES[6], tmp_path / "data") as etcd:
        done = run("diff", STAGES[5], etcd.url, *config_)
        assert (done.returncode, story in done.stdout) == (0, True)
        keys = run("diff", STAGES[5], etcd.url, *config_, "--range")
        assert (keys.returncode, story in keys.stdout) == (3, True)
        accepted = run("diff", STAGES[5], etcd.url, *config_, "--range", "--accept-partial")
        assert (accepted.returncode, story in accepted.stdout) == (0, True)
        assert "--range: only current values were read" in accepted.stdout
    done = run("diff", STAGES[5], STAGES[6], "--user", "viewer")
    assert (done.returncode, "is no endpoint" in done.stderr) == (2, True)


def test_hostile_names(tmp_path: Path) -> None:
    """They change nothing about a CSV's rows, a page's elements or what a terminal does."""
    evidence = snapshot_after(tmp_path, hostile.work)
    reports = tmp_path / "reports"
    reports.mkdir()
    code, files, output = outputs(reports, evidence, evidence, "--resource", "*")
    assert code == 1
    page = re.sub(r"<script[^>]*>.*?</script>|<style[^>]*>.*?</style>", "", files["d.html"], flags=re.DOTALL)
    assert not re.search(r"<(?:script|img|iframe|object|link)\b", page)
    texts = (output, files["d.csv"], files["d.json"], page)
    assert not any(character in text for text in texts for character in ("\x1b", "\x9b", "\u202e", "\0"))
    assert not any(hostile.MARK.decode() in text for text in texts)
    rows: Sequence[Sequence[str]] = list(csv.reader(io.StringIO(files["d.csv"])))
    assert {len(row) for row in rows} == {len(diff_rows.COLUMNS)}
    assert not any(cell.startswith(("=", "+", "@", "\t")) for row in rows for cell in row)
    assert not list(VALIDATOR.iter_errors(json.loads(files["d.json"])))
