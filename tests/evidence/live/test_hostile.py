"""A peer that is no etcd, or means harm: nothing of what it says is printed, and nothing goes on for ever."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import auditor
from auditor.errors import AuditorError
from auditor.evidence.live import client
from auditor.protobuf import kv_pb2
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers.command import run
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import sample

CANARY = "CANARY-of-a-server-9b1d"
HEADER = rpc.ResponseHeader(cluster_id=7, member_id=8, revision=100)
Answer = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE", 0.05)


@contextmanager
def server(answer_range: Answer, answer_snapshot: Answer) -> Iterator[str]:
    """Its URL. An answer is a message, messages for a snapshot, or raised: the name of a gRPC code."""

    def guarded(answer: Answer) -> Callable[[Any, grpc.ServicerContext], Any]:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return answer(request)
            except KeyError as code:
                context.abort(grpc.StatusCode[code.args[0]], f"{CANARY} {CANARY}")

        return handle

    status = rpc.StatusResponse(header=HEADER, version=f"3.5\x1b[2J{CANARY[:0]}", leader=8, db_size=1000)
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    made = grpc.server(ThreadPoolExecutor(4))
    handlers: dict[str, dict[str, Any]] = {
        "KV": {"Range": unary(guarded(answer_range), rpc.RangeRequest.FromString, _raw)},
        "Maintenance": {
            "Status": unary(lambda *_: status, rpc.StatusRequest.FromString, _raw),
            "Snapshot": stream(guarded(answer_snapshot), rpc.SnapshotRequest.FromString, _raw),
        },
    }
    for name, methods in handlers.items():
        made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"etcdserverpb.{name}", methods),))
    port = made.add_insecure_port("127.0.0.1:0")
    made.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        made.stop(None).wait()


def _raw(message: Any) -> bytes:
    return message if isinstance(message, bytes) else bytes(message.SerializeToString())


def refused(code: str) -> Answer:
    def answer(_: Any) -> Any:
        raise KeyError(code)

    return answer


@pytest.mark.parametrize("code", sample([each.name for each in grpc.StatusCode if each.name != "OK"], 2))
def test_its_words_are_not_repeated(code: str) -> None:
    with server(refused(code), refused(code)) as url:
        for options in (auditor.Options(), auditor.Options(range_only=True)):
            with pytest.raises(AuditorError) as caught:
                auditor.scan(url, options)
            assert CANARY not in str(caught.value)
            assert code in str(caught.value) or code == "UNAUTHENTICATED"


@pytest.mark.parametrize("way", [[], ["--range"]], ids=["snapshot", "range"])
def test_the_command_repeats_nothing_either(way: list[str]) -> None:
    with server(refused("RESOURCE_EXHAUSTED"), refused("RESOURCE_EXHAUSTED")) as url:
        done = run("scan", url, *way)
    assert done.returncode == 2
    assert CANARY not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("raw", [b"\xff" * 40, b"\x0a\x7f" + CANARY.encode()], ids=["bytes", "cut"])
def test_answers_that_are_no_messages(raw: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with server(lambda _: raw, lambda _: iter([raw])) as url:
        for options in (auditor.Options(), auditor.Options(range_only=True)):
            with pytest.raises(AuditorError) as caught:
                auditor.scan(url, options)
            assert CANARY not in str(caught.value)
    assert CANARY not in "".join(capfd.readouterr())  # the tests' own server may have started gRPC with its log on


def pairs(*keys: bytes, revision: int = 50) -> list[kv_pb2.KeyValue]:
    value = StoredObject(data={b"p": b"x"}).protobuf()
    return [kv_pb2.KeyValue(key=key, value=value, mod_revision=revision, create_revision=1, version=1) for key in keys]


FIRST, SECOND = b"/registry/secrets/a/a", b"/registry/secrets/a/b"


@pytest.mark.parametrize(
    ("kvs", "said"),
    [
        (pairs(FIRST, SECOND), "not the range that was asked for"),  # the same page for ever
        (pairs(SECOND, FIRST), "not the range that was asked for"),
        (pairs(FIRST, FIRST), "not the range that was asked for"),
        (pairs(b"/other"), "not the range that was asked for"),
        (pairs(b"/registry0"), "not the range that was asked for"),
        (pairs(FIRST, revision=101), "newer than revision 100"),
        ([], "holds no key under /registry"),
    ],
)
def test_pages_that_cannot_be(kvs: list[kv_pb2.KeyValue], said: str) -> None:
    answer = rpc.RangeResponse(header=HEADER, kvs=kvs, more=True, count=1 << 40)
    with server(lambda _: answer, refused("INTERNAL")) as url, pytest.raises(AuditorError, match=said):
        auditor.scan(url, auditor.Options(range_only=True))


def test_a_snapshot_that_is_none(tmp_path: Path) -> None:
    """Its hash is right; what it is of is no database."""
    import hashlib

    raw = CANARY.encode() * 512
    parts = [rpc.SnapshotResponse(blob=raw), rpc.SnapshotResponse(blob=hashlib.sha256(raw).digest())]
    with server(refused("INTERNAL"), lambda _: iter(parts)) as url:
        done = run("scan", url)
        assert done.returncode == 2
        assert CANARY not in done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        with pytest.raises(AuditorError):
            auditor.scan(url, auditor.Options(work_dir=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
