"""What a script says and what it leaves out, by the evidence: the text of it, read by real shells and by shellcheck."""

import io
import re
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import auditor
from auditor import Options
from auditor.encryption.kms.address import parse
from auditor.errors import UsageError
from auditor.reports.remediation import plan as plans
from auditor.reports.remediation import script
from auditor.reports.remediation.objects import ObjectReference, grouped
from auditor.reports.remediation.plan import Plan
from tests.evidence.gardener.test_backup import full, written  # noqa: F401 - a fixture
from tests.helpers import sealing
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, FIXTURES, MIGRATION, PLAINTEXT, REWRITTEN, SNAPSHOTS
from tests.helpers.objects import StoredObject
from tests.helpers.packing import DATA_FILTER
from tests.helpers.sweeps import sample

UID = "71314e90-44b9-4311-833c-506d91031055"


def text_of(evidence: Path | str, **options: object) -> str:
    """The script of an audit, by the library; expect_cluster: as --expect-cluster would have it."""
    expected = str(options.pop("expect_cluster", ""))
    audit = auditor.scan(str(evidence), Options(**options))  # type: ignore[arg-type]
    asked = tuple((name, expected if name == "expect_cluster" else value) for name, value in audit.run.options)
    out = io.StringIO()
    script.write(replace(audit, run=replace(audit.run, options=asked)), out)
    return out.getvalue()


def plan_of(*names: tuple[str, str, str], form: str = "any") -> Plan:
    keys = [ObjectReference(*each, key=f"/registry/{'/'.join(filter(None, each))}") for each in names]
    groups, refused = grouped(keys, dict.fromkeys((each.resource for each in keys), form))
    return Plan(origin="a snapshot", evidence="", cluster=UID, revision=5, groups=groups, refused=refused)


def config(stage: str) -> tuple[str, ...]:
    return (str(MIGRATION / f"{stage}.encryption.json"),)


def kine(folder: Path, name: str = "kine-bundled/2-enabled") -> Path:
    with tarfile.open(FIXTURES / "kine" / f"{name}.raw.tar.gz") as archive:
        archive.extractall(folder, **DATA_FILTER)
    return folder / f"{name.partition('/')[2]}.raw" / "state.db"


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=20)), max_size=5))
def test_no_name_reaches_a_shell_that_kubernetes_would_not_have(objects: list[tuple[str, str, str]]) -> None:
    text = script.render(plan_of(*objects))
    lines = [line for line in text.splitlines() if line.startswith("batch ")]
    for line in lines:
        assert all(character.isascii() and (character.isalnum() or character in "-. ") for character in line)
    named = sum(len(line.split()) - 3 for line in lines)
    comments = [line for line in text.splitlines() if line.startswith("# Left out: ")]
    assert named + sum(int(line.split()[3]) for line in comments) == len(set(objects))


@pytest.mark.parametrize("snapshot", sample(SNAPSHOTS, 4), ids=lambda path: path.stem)
def test_scripts_of_scans_are_read_by_shells(snapshot: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.sh"
    run("scan", snapshot, "--remediation", target, "--expect-cluster", UID)
    if not target.exists():
        assert auditor.scan(snapshot).evidence.cluster.uid not in {"", UID}
        run("scan", snapshot, "--remediation", target)
    for shell in ("sh", "bash"):
        subprocess.run([shell, "-n", target], check=True)
    text = target.read_text()
    assert text.startswith("#!/bin/sh\n# WARNING: ")
    rows = auditor.scan(snapshot).findings
    expected = set(rows[(rows.place == "latest") & (rows.finding == "plaintext")].name)
    named = {name for line in text.splitlines() if line.startswith("batch ") for name in line.split()[3:]}
    assert named == expected


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
@pytest.mark.parametrize("kind", ["etcd", "kine", "gardener", "watch"])
def test_shellcheck_has_nothing_to_say(kind: str, tmp_path: Path) -> None:
    base = replace(plan_of(("secrets", "n", "a"), ("widgets.lab.example.com", "", "b")), screen=("it's so",))
    steps = {
        "etcd": replace(base, compaction=True, defragmentation=True, trees=(("/registry/secrets/", "any"),)),
        "kine": replace(base, store="kine", remarks=("what kine does",)),
        "gardener": replace(base, store="gardener", watchable=False),
        "watch": base,
    }
    target = tmp_path / "r.sh"
    target.write_text(script.render(steps[kind]))
    unused = ["--exclude=SC2034"] if kind != "etcd" else []  # steps that do not apply leave their words behind
    done = subprocess.run(["shellcheck", "--shell=sh", *unused, target], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_every_line_is_what_the_shell_is_to_run() -> None:
    """Evidence names itself in comments and quoted words, whatever its name is."""
    hostile = "a\\' $(touch x) `x` {{ 7 * 7 }} {% if %}"
    text = script.render(replace(plan_of(("secrets", "n", "a")), origin=hostile, screen=(hostile,)))
    assert f"# {hostile}\n" in text
    done = subprocess.run(
        ["sh", "-c", text.replace('\nmain "$@"', "\nscreen")], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{hostile}\n"


def test_the_shell_is_strict() -> None:
    lines = script.render(plan_of(("secrets", "n", "a"))).splitlines()
    strict = lines.index("set -uf")
    assert all(not line or line.startswith("#") for line in lines[:strict])


def test_a_plain_migration_rewrites_into_the_write_provider() -> None:
    text = text_of(MIGRATION / "2-enabled.db", encryption_configs=config("2-enabled"))
    assert f"EA_CLUSTER={UID}\n" in text
    assert "at /registry/secrets/ /registry/secrets/payments/ k8s:enc:aescbc:v1:key1:\n" in text
    assert "EA_COMPACTION=yes\nEA_DEFRAGMENTATION=yes\n" in text
    assert f"--encryption-config={config('2-enabled')[0]}" in text
    assert 'audit watch "$ETCDCTL_ENDPOINTS" --once' in text
    assert "among them 1 value in history" in text or "values in history" in text


def test_a_rotation_rewrites_into_its_own_key_and_notes_it_apart() -> None:
    first = text_of(MIGRATION / "2-enabled.db", encryption_configs=config("2-enabled"))
    second = text_of(MIGRATION / "6-rotating.db", encryption_configs=config("6-rotating"))
    assert "k8s:enc:aescbc:v1:key2:\n" in second
    runs = [re.findall(r"^EA_RUN=(\S+)$", text, re.MULTILINE) for text in (first, second)]
    assert runs[0] != runs[1]
    other = text_of(MIGRATION / "2-enabled.db", expect="aescbc:key9")
    assert re.findall(r"^EA_RUN=(\S+)$", other, re.MULTILINE) not in runs


def test_a_decryption_expects_plain_values() -> None:
    assert "/registry/secrets/payments/ plain\n" in text_of(REWRITTEN, expect="plaintext")


def test_wildcards_are_verified_by_a_range() -> None:
    text = text_of(PLAINTEXT, resources=("*",))
    assert 'audit scan "$ETCDCTL_ENDPOINTS" --range --accept-partial' in text
    assert "audit watch" not in text


def test_where_nothing_is_left_nothing_is_rewritten() -> None:
    text = text_of(DEFRAGMENTED)
    assert "# No object is to be rewritten" in text
    assert "Rewrite 0" not in text
    assert "EA_COMPACTION=no\nEA_DEFRAGMENTATION=no\n" in text
    assert "compact() {" not in text
    assert "defragment() {" not in text


def test_kine_has_no_step_of_etcd(tmp_path: Path) -> None:
    text = text_of(kine(tmp_path), expect_cluster=UID)
    assert "EA_STORE=kine\n" in text
    assert "which_etcd() {" not in text
    assert "compact() {" not in text
    assert "batch secrets " in text
    assert "old-value: each row repeats the value that it replaced" in text
    assert "PRESERVED=FILE, a copy of state.db" in text


def test_gardener_has_its_own_ways(tmp_path: Path, full: bytes) -> None:  # noqa: F811
    text = text_of(written(tmp_path, full), expect_cluster=UID)
    assert "EA_STORE=gardener\n" in text
    assert "etcd-druid defragments by its schedule" in text
    assert "compact() {" not in text


def test_a_key_of_a_kms_is_named_by_its_plugin() -> None:
    text = text_of(
        FIXTURES / "providers" / "2-kek-rotated.db",
        encryption_configs=(str(FIXTURES / "providers" / "2-kek-rotated.encryption.json"),),
        expect_cluster=UID,
    )
    assert re.search(r"^at \S+ \S+ k8s:enc:\S+$", text, re.MULTILINE) or "# No object is to be rewritten" in text


def test_what_is_rewritten_is_verified() -> None:
    every = FIXTURES / "providers" / "1-every-provider.db"
    text = text_of(every, encryption_configs=(str(every.with_suffix(".encryption.json")),))
    assert "\nbatch configmaps " in text
    assert " --resource=secrets --resource=configmaps --storage-prefix=/registry " in text


def test_what_verifying_takes_of_the_kms_and_what_it_leaves_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kek = tmp_path / "a kek+1"
    kek.write_bytes(bytes(range(32)))
    text = text_of(
        FIXTURES / "providers" / "2-kek-rotated.db",
        encryption_configs=(str(FIXTURES / "providers" / "2-kek-rotated.encryption.json"),),
        kms=(f"vault=file:{kek.name}",),
        kms_confirmed=True,
        compromised_keys=("aescbc:key1",),
        expect_cluster=UID,
    )
    assert f" --kms=vault=file:{tmp_path}/a%20kek+1 --yes" in text
    assert parse(f"vault=file:{tmp_path}/a%20kek+1").place == str(kek)
    assert "say 'verifying asks --kms of vault for what it wrapped, as the audit did, without another question'" in text
    assert "say 'verifying is without --compromised-key of the audit: it says nothing of what they decide'" in text


def test_without_a_uid_no_script_is_made(tmp_path: Path) -> None:
    evidence = sealing.database(tmp_path / "a.db", [(StoredObject().key, StoredObject().protobuf())])
    target, table = tmp_path / "r.sh", tmp_path / "a.csv"
    done = run("scan", evidence, "--remediation", target, "--csv", table)
    assert done.returncode == 2
    assert "does not show which cluster it is of" in done.stderr
    assert "give --expect-cluster UID (kubectl get namespace kube-system" in done.stderr
    assert not target.exists()
    assert not table.exists()
    done = run("scan", evidence, "--remediation", target, "--expect-cluster", UID)
    assert done.returncode == 1
    assert f"EA_CLUSTER={UID}\n" in target.read_text()
    assert "EA_UID_SHOWN=no\n" in target.read_text()
    assert "for the script --expect-cluster says so" in " ".join(done.stdout.split())
    odd = run("scan", evidence, "--remediation", target, "--force", "--expect-cluster", "$(id)")
    assert odd.returncode == 2
    assert "is no uid of a namespace" in odd.stderr


def test_a_member_whose_id_is_damaged_is_none_of_the_scripts(tmp_path: Path) -> None:
    raw = PLAINTEXT.read_bytes()
    number = re.search(rb"[0-9a-f]{16}(?=\{\"id\":)", raw)
    assert number is not None
    evidence, target = tmp_path / "a.db", tmp_path / "r.sh"
    evidence.write_bytes(raw.replace(number[0], b"\x00" + number[0][1:]))
    done = run("scan", evidence, "--remediation", target, "--expect-cluster", UID)
    assert done.returncode == 1, done.stderr
    assert "\nEA_MEMBERS_THEN=''\n" in target.read_text()


def test_a_uid_that_is_shown_is_not_overruled(tmp_path: Path) -> None:
    done = run("scan", PLAINTEXT, "--remediation", tmp_path / "r.sh", "--expect-cluster", "another")
    assert done.returncode == 2
    assert "is not known to be of cluster another" in done.stderr
    assert not (tmp_path / "r.sh").exists()


def test_what_a_rewrite_would_not_mend_is_refused(tmp_path: Path) -> None:
    plain = sealing.configuration(
        tmp_path / "plain.json", {"identity": {}}, sealing.provider("aescbc", ("k", sealing.KEY))
    )
    with pytest.raises(UsageError, match="writes secrets in plain: put an encrypting provider first"):
        text_of(PLAINTEXT, encryption_configs=(plain,))
    files = [
        sealing.configuration(tmp_path / f"{name}.json", sealing.provider("aescbc", (name, key)), {"identity": {}})
        for name, key in (("key1", sealing.KEY), ("key2", sealing.OTHER))
    ]
    with pytest.raises(UsageError, match="write secrets under different keys"):
        text_of(PLAINTEXT, encryption_configs=tuple(files))
    odd = sealing.configuration(
        tmp_path / "odd.json", sealing.provider("aescbc", ("clé", sealing.KEY)), {"identity": {}}
    )
    with pytest.raises(UsageError, match="etcdctl cannot show the key name"):
        text_of(PLAINTEXT, encryption_configs=(odd,))


def test_options_that_a_script_does_not_go_with(tmp_path: Path) -> None:
    target = tmp_path / "r.sh"
    several = run("scan", PLAINTEXT, REWRITTEN, "--remediation", target)
    assert several.returncode == 2
    assert "a script is of one item of evidence" in several.stderr
    beside = run("scan", PLAINTEXT, "--use-found-config", "--remediation", target)
    assert beside.returncode == 2
    assert "needs the configuration in --encryption-config" in beside.stderr


def test_a_key_name_is_quoted_as_etcdctl_quotes_it(tmp_path: Path) -> None:
    name = "a'b\"c\\d e"
    odd = sealing.configuration(tmp_path / "c.json", sealing.provider("aescbc", (name, sealing.KEY)), {"identity": {}})
    text = text_of(PLAINTEXT, encryption_configs=(odd,))
    line = next(line for line in text.splitlines() if line.startswith("at "))
    done = subprocess.run(
        ["sh", "-c", f'at() {{ printf %s "$3"; }}; {line}'], capture_output=True, text=True, check=True
    )
    assert done.stdout == "k8s:enc:aescbc:v1:a'b\\\"c\\\\d e:"


def test_a_storage_prefix_that_a_script_must_not_hold() -> None:
    with pytest.raises(UsageError, match="holds characters that a script must not"):
        plans._prefix((), ("/reg istry",))
