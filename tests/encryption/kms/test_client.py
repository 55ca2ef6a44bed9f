"""The calls of a client: one for each distinct wrapped key, several at once, bounded, and nothing left behind."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from auditor import Options, scan
from auditor.encryption.kms import services
from auditor.encryption.kms.address import Address
from auditor.encryption.kms.client import AT_ONCE, Budget, Client
from auditor.encryption.kms.interface import Answer, KmsError, KmsUntried, WrappedKey
from auditor.errors import UsageError
from auditor.scanning import many
from tests.helpers.kms_store import Store

MASK = bytes(range(32))


class Counting:
    """A service that xors, counts, and knows how many calls there were at the same time."""

    label, remote, batch = "a counting service", True, 1

    def __init__(self) -> None:
        self.calls, self.now, self.most = 0, 0, 0
        self._lock = threading.Lock()
        self._together = threading.Barrier(2)

    def key(self, wrapped: WrappedKey) -> str:
        return "k"

    def principal(self) -> str:
        return "somebody"

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        with self._lock:
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)
        if self.calls <= 2:
            self._together.wait(60)  # two calls meet, or the test fails
        with self._lock:
            self.now -= 1
        return [Answer(xor(each.wrapped)) for each in keys]

    def close(self) -> None:
        pass


def xor(dek: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(dek, MASK, strict=True))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting()

    def connect(address: Address) -> Counting:
        return counting

    monkeypatch.setattr(services, "connect", connect)
    return counting


def test_values_of_v2_under_three_seeds_are_three_calls(service: Counting, tmp_path: Path) -> None:
    store = Store()
    for number in range(3):
        store.v2("lab", xor, 500, key_id=str(number))
    result = scan(store.save(tmp_path / "a.db"), Options(kms=("lab=x:",), kms_confirmed=True))
    assert dict(result.inventory["decrypted"].value_counts()) == {"yes": 1500}
    assert (service.calls, result.run.kms[0].calls) == (3, 3)


def test_values_of_v1_are_a_call_each_several_at_once(service: Counting, tmp_path: Path) -> None:
    store = Store()
    store.v1("lab", xor, 1000)
    result = scan(store.save(tmp_path / "a.db"), Options(kms=("lab=x:",), kms_confirmed=True))
    assert dict(result.inventory["decrypted"].value_counts()) == {"yes": 1000}
    assert service.calls == 1000
    assert 1 < service.most <= AT_ONCE
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def test_a_budget_is_of_one_evidence_item(service: Counting, tmp_path: Path) -> None:
    store = Store()
    store.v2("lab", xor, 1)
    path = store.save(tmp_path / "a.db")

    with pytest.raises(UsageError, match="--kms-budget is of one evidence item"):
        many.scan([str(path), str(path)], Options(kms=("lab=x:",), kms_budget=1, kms_confirmed=True))
    assert service.calls == 0


def test_what_was_not_announced_is_not_called(service: Counting) -> None:
    client = Client("lab", service, Budget())
    with pytest.raises(KmsUntried, match="not among those that were announced"):
        client.unwrap(MASK)
    assert service.calls == 0
