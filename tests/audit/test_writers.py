"""Notes on API servers that write differently, and on values that no key at hand reads."""

import random
from pathlib import Path

import pytest

from auditor import Options, scan
from tests.helpers import sealing
from tests.helpers.objects import StoredObject

CASES = Path(__file__).parents[2] / "fixtures/cases"


def notes(case: str, *configs: str) -> list[str]:
    folder = CASES / case
    options = Options(encryption_configs=tuple(str(folder / name) for name in configs))
    return list(scan(folder / "snapshot.db", options).notes)


@pytest.mark.parametrize(("configs", "which"), [(("config.json",), "this"), ((), "one")])
def test_api_servers_that_differ(configs: tuple[str, ...], which: str) -> None:
    (note,) = [note for note in notes("api-servers-that-differ", *configs) if "API server writes" in note]
    assert note == (
        "plain values of secrets were written after encrypted ones and between them (revisions 3, 5, 7, 9; theirs are "
        f"2 to 8): more than one API server writes, not all with {which} configuration; "
        "make them equal before rewriting"
    )


@pytest.mark.parametrize(
    "configs", [(), ("config-first-key.json",), ("config-first-key.json", "config-second-key.json")]
)
def test_one_rotation_is_no_difference(configs: tuple[str, ...]) -> None:
    assert not [note for note in notes("keys-with-a-wrong-key", *configs) if "API server writes" in note]


def test_values_that_cannot_be_read_are_named() -> None:
    every = notes("keys-with-a-wrong-key", "config-wrong-key.json")
    (note,) = [note for note in every if "no API server reads" in note]
    assert "/registry/secrets/" in note
    assert note.endswith(" and 3 more")


def test_what_was_written_before_the_others_is_not_between_them(tmp_path: Path) -> None:
    """Encryption was enabled at revision 4; the plain values before say nothing of another API server."""
    rng, pairs = random.Random(1), []
    for number, plain in enumerate((1, 1, 0, 0, 1, 0, 1, 0)):
        thing = StoredObject(name=b"s%d" % number)
        value = thing.protobuf() if plain else sealing.seal("secretbox", "key1", sealing.KEY, thing, rng)
        pairs.append((thing.key, value))
    audit = scan(sealing.database(tmp_path / "a.db", pairs), Options())
    (note,) = [note for note in audit.notes if "API server writes" in note]
    assert "(revisions 6, 8; theirs are 4 to 9)" in note


@pytest.mark.parametrize(
    ("order", "turns"), [("abcd", ""), ("aabbccdd", ""), ("aabcbc", "b"), ("abab", "b"), ("aba", "")]
)
def test_rotations_one_after_another_are_no_turns(order: str, turns: str, tmp_path: Path) -> None:
    """Nor is a key that was left for good one of those that write by turns."""
    rng, pairs = random.Random(1), []
    for number, name in enumerate(order):
        thing = StoredObject(name=b"s%d" % number)
        pairs.append((thing.key, sealing.seal("secretbox", name, sealing.KEY, thing, rng)))
    audit = scan(sealing.database(tmp_path / "a.db", pairs), Options())
    named = [note for note in audit.notes if "API server writes" in note]
    assert len(named) == bool(turns)
    assert all(f"values under secretbox/{turns} of secrets" in note or order == "abab" for note in named)
