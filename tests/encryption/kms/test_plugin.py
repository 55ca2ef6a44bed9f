"""The client of KMS plugins, against a real plugin on a real socket."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from auditor.encryption.kms.interface import KmsError
from auditor.encryption.kms.plugin import Plugin
from tests.helpers.kms_plugin import ANNOTATIONS, SECRET_DETAIL, KmsPlugin, read_keks

PROVIDERS = Path(__file__).parents[3] / "fixtures" / "providers"
DEK = b"0123456789-data-encryption-key!!"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KmsPlugin]:
    with KmsPlugin(tmp_path, {"kek-a": os.urandom(32), "kek-b": os.urandom(32)}) as plugin:
        yield plugin


@pytest.fixture
def v1(server: KmsPlugin) -> Iterator[Plugin]:
    with closing(Plugin("old", server.endpoint, version=1)) as plugin:
        yield plugin


@pytest.fixture
def v2(server: KmsPlugin) -> Iterator[Plugin]:
    with closing(Plugin("lab", server.endpoint, version=2)) as plugin:
        yield plugin


def assert_discreet(error: pytest.ExceptionInfo[KmsError], plugin: Plugin, *confidential: bytes) -> None:
    """The message names the plugin and its socket, and neither it nor what caused it says anything of the call."""
    text = str(error.value)
    assert plugin.name in text
    assert plugin.endpoint in text
    assert error.value.__cause__ is None
    assert error.value.__context__ is None
    for shown in (text, repr(error.value), repr(plugin)):
        assert SECRET_DETAIL not in shown
        for bytes_ in (DEK, *confidential):
            assert bytes_.hex() not in shown
            assert repr(bytes_)[2:-1] not in shown


@pytest.mark.parametrize("path", sorted(PROVIDERS.glob("kek-*.json")), ids=lambda path: path.stem)
def test_every_fixture_key_round_trips(tmp_path: Path, path: Path) -> None:
    with KmsPlugin(tmp_path, read_keks(path)) as server:
        for kek in server.keks:
            wrapped = server.wrap(DEK, kek)
            for version in (1, 2):
                with closing(Plugin("lab", server.endpoint, version=version)) as plugin:
                    assert plugin.unwrap(wrapped, kek, ANNOTATIONS) == DEK


def test_fixture_keys_are_there() -> None:
    assert len(list(PROVIDERS.glob("kek-*.json"))) == 2


def test_v1_sends_the_literal_version_and_asks_once(server: KmsPlugin, v1: Plugin) -> None:
    wrapped = server.wrap(DEK)
    assert [v1.unwrap(wrapped) for _ in range(5)] == [DEK] * 5
    assert v1.calls == server.calls["v1beta1/Decrypt"] == 1
    assert server.requests[0].version == "v1beta1"
    assert v1.current_key_id() is None
    assert v1.calls == 1


def test_v2_asks_once_for_every_distinct_wrapped_key(server: KmsPlugin, v2: Plugin) -> None:
    wrapped = [server.wrap(bytes([number]) * 32) for number in range(3)]
    for _ in range(4):
        for number, each in enumerate(wrapped):
            assert v2.unwrap(each, "kek-a", dict(ANNOTATIONS)) == bytes([number]) * 32
    assert v2.calls == server.calls["v2/Decrypt"] == 3


def test_key_id_and_annotations_are_part_of_the_question(server: KmsPlugin, v2: Plugin) -> None:
    wrapped = server.wrap(DEK, "kek-b")
    for key_id, annotations in (("kek-a", ANNOTATIONS), ("kek-b", {}), ("kek-b", {**ANNOTATIONS, "more": b""})):
        with pytest.raises(KmsError, match="INVALID_ARGUMENT"):
            v2.unwrap(wrapped, key_id, annotations)
    assert v2.unwrap(wrapped, "kek-b", ANNOTATIONS) == DEK
    assert v2.calls == 4


def test_a_refusal_is_remembered_and_says_nothing_of_the_key(server: KmsPlugin, v2: Plugin) -> None:
    wrapped, good = server.wrap(DEK), server.wrap(DEK)
    server.refusing = True
    for _ in range(3):
        with pytest.raises(KmsError, match="refuses Decrypt") as error:
            v2.unwrap(wrapped, "kek-a", ANNOTATIONS)
        assert_discreet(error, v2, wrapped)
    assert v2.calls == 1
    server.refusing = False
    assert v2.unwrap(good, "kek-a", ANNOTATIONS) == DEK


def test_tampered_wrapped_key_is_refused(server: KmsPlugin, v1: Plugin) -> None:
    wrapped = server.wrap(DEK)
    with pytest.raises(KmsError, match="INTERNAL") as error:
        v1.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    assert_discreet(error, v1, wrapped)
    assert v1.unwrap(wrapped) == DEK


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED])
def test_refusals_name_their_code(server: KmsPlugin, v2: Plugin, code: grpc.StatusCode) -> None:
    server.refusing, server.refusal = True, code
    with pytest.raises(KmsError, match=code.name):
        v2.unwrap(server.wrap(DEK), "kek-a", ANNOTATIONS)
    assert v2.calls == 1


def test_unavailable_is_retried(server: KmsPlugin, v2: Plugin) -> None:
    server.unavailable = 2
    assert v2.unwrap(server.wrap(DEK), "kek-a", ANNOTATIONS) == DEK
    assert v2.calls == 3


def test_a_plugin_that_is_just_starting_is_waited_for(tmp_path: Path) -> None:
    server = KmsPlugin(tmp_path, {"kek-a": os.urandom(32)})
    with closing(Plugin("late", server.endpoint, version=1)) as plugin:
        timer = threading.Timer(0.1, server.__enter__)
        timer.start()
        try:
            assert plugin.unwrap(server.wrap(DEK)) == DEK
        finally:
            timer.join()
            server.__exit__()
        assert plugin.calls > 1


def test_an_absent_plugin_is_waited_for_once(tmp_path: Path) -> None:
    with closing(Plugin("gone", f"unix://{tmp_path}/gone.sock", version=2)) as plugin:
        for number in range(2000):
            with pytest.raises(KmsError, match="absent") as error:
                plugin.unwrap(number.to_bytes(4, "big") + DEK, "kek-a")
        assert_discreet(error, plugin)
        with pytest.raises(KmsError, match="absent"):
            plugin.current_key_id()
        assert plugin.calls == 3


def test_what_was_unwrapped_stays_when_the_plugin_goes(tmp_path: Path) -> None:
    with KmsPlugin(tmp_path, {"kek-a": os.urandom(32)}) as server:
        plugin = Plugin("lab", server.endpoint, version=1, attempts=1)
        wrapped, other = server.wrap(DEK), server.wrap(DEK)
        assert plugin.unwrap(wrapped) == DEK
    with closing(plugin):
        with pytest.raises(KmsError, match="absent"):
            plugin.unwrap(other)
        assert plugin.unwrap(wrapped) == DEK


@pytest.mark.parametrize("version", [1, 2])
def test_a_hanging_plugin_is_given_up(server: KmsPlugin, version: int) -> None:
    server.hanging = True
    with closing(Plugin("slow", server.endpoint, version=version, timeout=0.1, attempts=2)) as plugin:
        for _ in range(3):
            wrapped = server.wrap(DEK)
            with pytest.raises(KmsError, match="does not answer") as error:
                plugin.unwrap(wrapped, "kek-a", ANNOTATIONS)
            assert "DEADLINE_EXCEEDED" in str(error.value)
            assert_discreet(error, plugin, wrapped)
        assert plugin.calls == 2


def test_a_socket_that_nobody_accepts_on_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "deaf.sock"))
        listener.listen()
        with (
            closing(Plugin("deaf", f"unix://{tmp_path}/deaf.sock", version=1, timeout=0.1, attempts=2)) as plugin,
            pytest.raises(KmsError, match="does not answer"),
        ):
            plugin.unwrap(DEK)


def test_status_tells_the_current_key(server: KmsPlugin, v2: Plugin) -> None:
    assert v2.current_key_id() == "kek-a"
    server.current, server.version = "kek-b", "v2beta1"
    assert v2.current_key_id() == "kek-b"
    assert v2.calls == server.calls["v2/Status"] == 2


@pytest.mark.parametrize(("healthz", "version", "says"), [("sick", "v2", "not healthy"), ("ok", "v1beta1", "KMS v2")])
def test_status_that_is_not_ok(server: KmsPlugin, v2: Plugin, healthz: str, version: str, says: str) -> None:
    server.healthz, server.version = healthz, version
    with pytest.raises(KmsError, match=says) as error:
        v2.current_key_id()
    assert_discreet(error, v2)
    assert "sick" not in str(error.value)


@pytest.mark.parametrize("version", [1, 2])
def test_an_answer_that_is_no_message(server: KmsPlugin, version: int) -> None:
    server.garbage = True
    with closing(Plugin("odd", server.endpoint, version=version)) as plugin:
        with pytest.raises(KmsError, match="without a data key") as error:
            plugin.unwrap(server.wrap(DEK), "kek-a", ANNOTATIONS)
        assert_discreet(error, plugin)
        if version == 2:
            with pytest.raises(KmsError, match="does not speak KMS v2"):
                plugin.current_key_id()


def test_a_damaged_key_id_is_not_sent(v2: Plugin) -> None:
    with pytest.raises(KmsError, match="not text") as error:
        v2.unwrap(DEK, "\udcff")
    assert_discreet(error, v2)
    assert v2.calls == 0


@pytest.mark.parametrize("version", [1, 2])
def test_abstract_socket(tmp_path: Path, version: int) -> None:
    name = f"etcd-auditor-{os.getpid()}-{version}"
    with (
        KmsPlugin(tmp_path, {"kek-a": os.urandom(32)}, abstract=name) as server,
        closing(Plugin("abstract", server.endpoint, version=version)) as plugin,
    ):
        assert server.endpoint == f"unix:///@{name}"
        assert plugin.unwrap(server.wrap(DEK), "kek-a", ANNOTATIONS) == DEK


def test_socket_path_with_a_space(tmp_path: Path) -> None:
    with (
        KmsPlugin(tmp_path, {"kek-a": os.urandom(32)}) as server,
        closing(Plugin("spaced", f"unix://{tmp_path}/a%20b.sock", version=1)) as plugin,
    ):
        (tmp_path / "a b.sock").symlink_to(tmp_path / "kms.sock")
        assert plugin.unwrap(server.wrap(DEK)) == DEK


@pytest.mark.parametrize(
    "endpoint",
    ["", "tcp://127.0.0.1:1", "https://user:hunter2@kms", "/run/kms.sock", "unix://run/kms.sock", "unix:kms.sock",
     "unix:///", "unix:///@", "unix:///a%00b", "unix:///" + "x" * 200],
)  # fmt: skip
def test_other_endpoints_are_refused(endpoint: str) -> None:
    with pytest.raises(KmsError, match="KMS plugin lab") as error:
        Plugin("lab", endpoint, version=2)
    assert "hunter2" not in str(error.value)


def test_other_versions_are_refused() -> None:
    with pytest.raises(KmsError, match="give 1 or 2"):
        Plugin("lab", "unix:///kms.sock", version=3)


def test_repr_shows_name_and_endpoint_only(server: KmsPlugin, v1: Plugin) -> None:
    v1.unwrap(server.wrap(DEK))
    assert repr(v1) == f"Plugin('old', '{server.endpoint}')"


def test_grpc_is_loaded_late_and_says_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from auditor.encryption.kms.plugin import KmsError, Plugin\n"
        f"plugin = Plugin('lab', 'unix://{tmp_path}/none.sock', version=2, attempts=1)\n"
        "assert 'grpc' not in sys.modules\n"
        "try: plugin.unwrap(b'x')\n"
        "except KmsError: pass\n"
        "plugin.close()\n"
    )
    environment = {**os.environ, "GRPC_VERBOSITY": "DEBUG", "http_proxy": "http://127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
