"""--expect beside a configuration: both hold, or they contradict each other and are refused. None is left out."""

from dataclasses import replace
from pathlib import Path

import pytest

import auditor
from auditor.diff.compare import DiffOptions, compare
from auditor.errors import UsageError
from auditor.model.vocabulary import Severity
from auditor.options import Options
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION
from tests.helpers.sealing import KEY, configuration, provider

REWRITTEN, ROTATED = MIGRATION / "3-rewritten.db", MIGRATION / "7-rotated.db"
OLD, NEW = (str(each.with_suffix(".encryption.json")) for each in (REWRITTEN, ROTATED))


@pytest.mark.parametrize("expect", ["aescbc:key9", "aesgcm", "secretbox:key2", "kms:key2", "plaintext"])
def test_what_the_configuration_does_not_write_is_a_contradiction(expect: str) -> None:
    with pytest.raises(UsageError, match=rf"{expect} is expected .*7-rotated.* writes secrets as aescbc/key2"):
        auditor.scan(ROTATED, Options(encryption_configs=(NEW,), expect=expect))


@pytest.mark.parametrize("expect", ["encrypted", "aescbc", "aescbc:key2"])
def test_what_it_writes_is_none(expect: str) -> None:
    audit = auditor.scan(ROTATED, Options(encryption_configs=(NEW,), expect=expect))
    assert audit.exit_code(Severity.MEDIUM) == auditor.scan(ROTATED, Options(encryption_configs=(NEW,))).exit_code(
        Severity.MEDIUM
    )


def test_each_of_several_configurations_is_compared() -> None:
    with pytest.raises(UsageError, match=r"3-rewritten.* writes secrets as aescbc/key1"):
        auditor.scan(ROTATED, Options(encryption_configs=(NEW, OLD), expect="aescbc:key2"))


def test_a_resource_that_no_rule_covers_is_held_to_what_is_expected(tmp_path: Path) -> None:
    config = configuration(tmp_path / "c.json", provider("aescbc", ("key1", KEY)), resources=("configmaps",))
    held = Options(encryption_configs=(str(config),), expect="aescbc:key9")
    assert auditor.scan(ROTATED, held).tally.findings
    with pytest.raises(UsageError, match="writes configmaps as aescbc/key1"):
        auditor.scan(ROTATED, replace(held, resources=("*",)))


def test_a_decryption_migration_has_identity_first(tmp_path: Path) -> None:
    config = configuration(tmp_path / "c.json", {"identity": {}}, provider("aescbc", ("key1", KEY)))
    auditor.scan(MIGRATION / "1-plaintext.db", Options(encryption_configs=(str(config),), expect="plaintext"))
    with pytest.raises(UsageError, match="writes secrets as identity"):
        auditor.scan(ROTATED, Options(encryption_configs=(str(config),), expect="aescbc:key1"))


def test_before_is_held_to_what_is_expected_of_it_and_not_to_afters_configuration() -> None:
    common = [REWRITTEN, ROTATED]
    for more, code in (
        (["--encryption-config", NEW, "--expect-before", "aescbc:key1"], 0),
        (["--encryption-config", NEW, "--expect-before", "aescbc:key2"], 1),
        (["--encryption-config", NEW, "--expect-before", "encrypted"], 0),
        (["--encryption-config", NEW, "--expect-before", "plaintext"], 1),
        (["--before-config", OLD, "--after-config", NEW, "--expect-before", "aescbc:key1"], 0),
        (["--before-config", OLD, "--after-config", NEW, "--expect-before", "aescbc:key2"], 2),
        (["--encryption-config", NEW, "--expect", "aescbc:key9"], 2),
    ):
        assert run("diff", *common, *more).returncode == code, more


def test_the_library_holds_before_to_its_own_configuration() -> None:
    before, after = Options(encryption_configs=(OLD,)), Options(encryption_configs=(NEW,))
    with pytest.raises(UsageError, match="3-rewritten"):
        compare(REWRITTEN, ROTATED, DiffOptions(before, after, expect_before="aescbc:key2"))
    opening = replace(after, opening_only=True)
    assert compare(REWRITTEN, ROTATED, DiffOptions(opening, after, expect_before="aescbc:key1")).unlike == 0
