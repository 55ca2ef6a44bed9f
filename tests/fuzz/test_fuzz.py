"""A part of the longer run (python -m tests.fuzz), the same files each time; and what that run found, kept."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import auditor
from auditor import Options, Severity
from tests.fuzz import bases, mutate, oracle
from tests.fuzz.bases import CANARY, PLAIN, Base
from tests.fuzz.oracle import Outcome

PLACES = ("latest", "deleted", "history", "freed", "wal")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Base]:
    return {each.place: each for each in bases.make(tmp_path_factory.mktemp("bases"))}


@pytest.mark.parametrize("place", PLACES)
def test_the_oracle_finds_the_canary_and_passes_without_it(place: str, made: dict[str, Base], tmp_path: Path) -> None:
    base = made[place]
    assert oracle.judge(base, base.data, tmp_path)[0] is Outcome.FOUND
    found = auditor.scan(base.lay(tmp_path, base.data), Options(encryption_configs=(base.config,))).findings
    plain = found[found.finding == "plaintext"]
    assert set(plain.place) == {place}
    assert set(plain["name"]) == {"canary"}


@pytest.mark.parametrize("place", PLACES)
def test_mutated_evidence_never_hides_the_canary(place: str, made: dict[str, Base], tmp_path: Path) -> None:
    base = made[place]

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1 << 32))
    def run(seed: int) -> None:
        outcome, said = oracle.judge(base, mutate.mutate(base.data, seed, log=base.log), tmp_path)
        assert not outcome.bad, (outcome, said, seed)

    run()


@pytest.mark.parametrize("part", [b"secrets/prod", b"canary"])
def test_a_key_that_names_something_else_hides_no_secret(part: bytes, made: dict[str, Base], tmp_path: Path) -> None:
    """One letter of an etcd key changed, and the value was no longer a Secret's to the auditor."""
    base = made["latest"]
    data = bytearray(base.data)
    at = data.index(PLAIN.key) + PLAIN.key.index(part) + 3
    for letter in (0x00, 0x78, 0xE3):
        data[at] = letter
        path = base.lay(tmp_path, bytes(data))
        audit = auditor.scan(path, Options(encryption_configs=(base.config,)))
        (row,) = audit.findings[audit.findings.finding == "plaintext"].to_dict("records")
        assert row["resource"] == "secrets"
        assert row["detail"].startswith("its etcd key names another resource") == (part != b"canary")
        assert data[row["offset"] : row["offset"] + row["size"]].count(CANARY) == 1
        assert audit.exit_code(Severity.CRITICAL) == 1
