"""The calls of a client: one for each distinct wrapped key, several at once, bounded, and nothing left behind."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from auditor import Options, scan
from auditor.encryption.kms import services
from auditor.encryption.kms.address import Address
from auditor.encryption.kms.client import AT_ONCE, Budget, Client
from auditor.encryption.kms.interface import Answer, KmsError, KmsUntried, WrappedKey
from auditor.errors import UsageError
from auditor.scanning import many
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_store import Store
from tests.helpers.terminal import dialogue

MASK = bytes(range(32))


class Counting:
    """A service that xors, counts, and knows how many calls there were at the same time."""

    label, remote, batch, several = "a counting service", True, 1, False

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


def test_5000_values_of_v2_under_three_seeds_are_three_calls(service: Counting, tmp_path: Path) -> None:
    store = Store()
    for number in range(3):
        store.v2("lab", xor, 1667 - (number == 0), key_id=str(number))
    result = scan(store.save(tmp_path / "a.db"), Options(kms=("lab=x:",), kms_confirmed=True))
    assert dict(result.inventory["decrypted"].value_counts()) == {"yes": 5000}
    assert (service.calls, result.run.kms[0].calls) == (3, 3)


def test_5000_values_of_v1_are_a_call_each_several_at_once(service: Counting, tmp_path: Path) -> None:
    store = Store()
    store.v1("lab", xor, 5000)
    result = scan(store.save(tmp_path / "a.db"), Options(kms=("lab=x:",), kms_confirmed=True))
    assert dict(result.inventory["decrypted"].value_counts()) == {"yes": 5000}
    assert service.calls == 5000
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


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 2)])
def test_a_terminal_is_asked_and_shown_how_far_it_is(tmp_path: Path, answer: str, code: int) -> None:
    """Without a yes nothing is called."""
    store = Store()
    store.v1("lab", lambda dek: b"vault:v1:" + base64.b64encode(dek * 2), 600)
    deks = {(b"vault:v1:" + base64.b64encode(dek * 2)).decode(): base64.b64encode(dek).decode() for dek in store.deks}
    token = tmp_path / "token"
    token.write_text("t")
    calls: list[int] = []

    def respond(request: Request) -> tuple[int, dict[str, str], object]:
        if request.method == "GET":
            return 403, {}, {}
        batch = json.loads(request.body)["batch_input"]
        calls.append(len(batch))
        return 200, {}, {"data": {"batch_results": [{"plaintext": deks[each["ciphertext"]]} for each in batch]}}

    with serving(respond) as address:
        url = f"lab=vault:{address}/transit/key?token-file={token}"
        arguments = ["keys", str(store.save(tmp_path / "a.db")), "--kms", url]
        shown, returned = dialogue(arguments, "Call? [y/N] ", answer, tmp_path)
    assert returned == code, shown
    assert "3 calls to Vault or OpenBao transit, transit/key" in " ".join(shown.split())
    assert "can read every Secret" in shown
    assert sorted(calls) == ([100, 250, 250] if answer == "y" else [])
    assert ("Nothing was called" in " ".join(shown.split())) == (code == 2)
    assert ("of 600 wrapped keys" in shown) == (code == 0)


class Recorder(BaseHTTPRequestHandler):
    """A transit engine that answers nothing, and says when it is asked."""

    asked = threading.Event()
    over = threading.Event()

    def do_POST(self) -> None:
        self.asked.set()
        self.over.wait(60)

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def test_killed_half_way_nothing_is_left_on_disk(tmp_path: Path) -> None:
    """While a service takes its time: neither beside the evidence nor in the folders for temporary files."""
    store, token = Store(), tmp_path / "token"
    token.write_text("t")
    store.v2("lab", lambda dek: b"vault:v1:" + base64.b64encode(dek * 2), 3)
    folder, temporary, home = (tmp_path / name for name in ("evidence", "tmp", "home"))
    for each in (folder, temporary, home):
        each.mkdir()
    path = store.save(folder / "a.db")
    before = path.read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"lab=vault:http://127.0.0.1:{server.server_port}/transit/key?token-file={token}"
            command = [sys.executable, "-m", "auditor", "scan", str(path), "--kms", url, "--yes"]
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(temporary), "HOME": str(home)},
            )
            try:
                assert Recorder.asked.wait(120)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        finally:
            Recorder.over.set()
            server.shutdown()
            thread.join()
    assert [each.name for each in folder.iterdir()] == ["a.db"]
    assert path.read_bytes() == before
    assert [*temporary.rglob("*"), *home.rglob("*")] == []
