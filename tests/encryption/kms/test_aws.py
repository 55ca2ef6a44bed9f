"""--kms aws: against moto's server, whose ciphertexts are real AES-GCM with the context, and against scripted codes."""

import base64
import html
import json
import logging
import socket
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import botocore.session
import jsonschema
import pytest
from moto.server import ThreadedMotoServer

from auditor import Options, Severity, scan
from auditor.encryption.kms import client as client_module
from auditor.encryption.kms.address import parse
from auditor.encryption.kms.aws import Aws
from auditor.encryption.kms.identify import identify
from auditor.encryption.kms.interface import WrappedKey
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.kms import KmsService
from auditor.reports import json as json_report
from auditor.reports import keks
from tests.helpers.command import run
from tests.helpers.etcd import free_ports
from tests.helpers.kms_secrecy import nothing_is_written, nothing_leaves
from tests.helpers.kms_store import Store, damaged
from tests.helpers.taint import Taint

REGION = "eu-central-1"
CONTEXT = {"cluster": "prod", "scope": "a:b"}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As AWS' own tools find them."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret-CANARY-41b7c0de99",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Kms:
    """moto's KMS, as a plugin uses it."""

    def __init__(self, endpoint: str) -> None:
        session = botocore.session.Session()
        session.set_credentials("AKIAPLUGIN", "x")
        self.client = session.create_client("kms", region_name=REGION, endpoint_url=endpoint)
        self.arn = str(self.client.create_key()["KeyMetadata"]["Arn"])

    def wrap(self, dek: bytes) -> bytes:
        """With the marker. moto's blobs begin with a UUID, which begins with one, too, once in sixteen."""
        return b"1" + bytes(
            self.client.encrypt(KeyId=self.arn, Plaintext=dek, EncryptionContext=CONTEXT)["CiphertextBlob"]
        )


@pytest.fixture
def kms(endpoint: str) -> Kms:
    return Kms(endpoint)


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's blobs do not begin as AWS' do: what of KMS v1 has the marker is taken for AWS' here."""

    def named(self: Aws, wrapped: WrappedKey) -> str:
        kek = identify(wrapped)
        if kek is not None and kek.service is not KmsService.AWS:
            return key(self, wrapped)
        return kek.key if kek is not None else "the key that the ciphertext names"

    key = Aws.key
    monkeypatch.setattr(Aws, "key", named)


def url(endpoint: str, *more: str) -> str:
    context = [f"context={name}:{value}" for name, value in CONTEXT.items()]
    return f"*=aws:{REGION}?{'&'.join([f'endpoint={endpoint}', *(more or context)])}"


def audit(store: Store, folder: Path, *kms: str, **more: Any) -> Audit:
    return scan(store.save(folder / "a.db"), Options(kms=kms, **{"kms_confirmed": True, **more}))


def outcomes(result: Audit) -> dict[str, int]:
    return dict(result.inventory["decrypted"].value_counts())


def test_every_secret_of_v1_and_v2_opens(endpoint: str, kms: Kms, tmp_path: Path) -> None:
    store, before = Store(), Kms(endpoint)
    store.v1("old", before.wrap, 20)
    store.v1("old", kms.wrap, 20)
    store.v2("new", before.wrap, 160, key_id=before.arn)
    store.v2("new", kms.wrap, 200, key_id=kms.arn, seed=False)
    store.v2("new", kms.wrap, 100, key_id=kms.arn)
    store.check(store.save(tmp_path / "truth.db"), url(endpoint))
    result = audit(store, tmp_path, url(endpoint))
    assert outcomes(result) == {"yes": 500}
    assert result.complete
    assert sum(calls.calls for calls in result.run.kms) == 43
    assert {key for calls in result.run.kms for key in calls.answering} == {before.arn, kms.arn}
    for calls in result.run.kms:
        assert calls.answering == (calls.key,) or not calls.key.startswith("arn:")
        assert (len(calls.requests), calls.principal) == (calls.calls, "access key AKIAEXAMPLE")


def test_another_context_and_damage_are_undecryptable(endpoint: str, kms: Kms, tmp_path: Path) -> None:
    store = Store()
    store.v2("new", kms.wrap, 2, key_id=kms.arn)
    assert outcomes(audit(store, tmp_path, url(endpoint, "context=cluster:other"))) == {"failed": 2}
    store = Store()
    store.v2("new", lambda dek: damaged(kms.wrap(dek)), 2, key_id=kms.arn)
    result = audit(store, tmp_path, url(endpoint))
    assert outcomes(result) == {"failed": 2}
    assert "damaged, or the encryption context is missing" in result.inventory["detail"][0]


def test_a_budget_and_throttles_leave_the_rest_untried(endpoint: str, kms: Kms, tmp_path: Path) -> None:
    store = Store()
    store.v1("old", kms.wrap, 12)
    with pytest.raises(UsageError, match="12 calls, 5 at most to AWS KMS") as refusal:
        audit(store, tmp_path, url(endpoint), kms_budget=5, kms_confirmed=False)
    assert "KMS v1 has one for every write" in str(refusal.value)
    result = audit(store, tmp_path, url(endpoint), kms_budget=5)
    assert outcomes(result) == {"yes": 5, "not tried": 7}
    assert not result.complete
    assert [calls.calls for calls in result.run.kms] == [5]


@contextmanager
def scripted(answer: Any) -> Iterator[tuple[str, list[str]]]:
    """A server of AWS' JSON protocol; answer: makes status and document of a request's number."""
    targets: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            targets.append(self.headers["X-Amz-Target"])
            status, document = answer(len(targets))
            raw = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", targets
        finally:
            server.shutdown()
            thread.join()


ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def blob(dek: bytes) -> bytes:
    return b"1\x01\x02\x02\x00\x78" + dek


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        ("AccessDeniedException", "not tried", "AWS does not say which; the evidence names the region us-east-1"),
        ("DisabledException", "not tried", "disabled: an administrator can enable it"),
        ("KMSInvalidStateException", "not tried", "pending deletion"),
        ("KeyUnavailableException", "not tried", "not available"),
        ("NotFoundException", "not tried", "no such KEK in this region"),
        ("UnrecognizedClientException", "not tried", "credentials are not valid"),
        ("SomethingNewException", "not tried", "Decrypt fails (SomethingNewException)"),
        ("IncorrectKeyException", "failed", "another KEK wrapped it"),
        ("InvalidCiphertextException", "failed", "damaged"),
    ],
)
def test_each_code_has_its_reason(tmp_path: Path, code: str, outcome: str, reason: str) -> None:
    store = Store()
    store.v2("new", blob, 2, key_id=ARN)
    with scripted(lambda _: (400, {"__type": code, "message": "quotes-CANARY-1b5e77"})) as (endpoint, targets):
        result = audit(store, tmp_path, url(endpoint))
    assert outcomes(result) == {outcome: 2}
    assert reason in result.inventory["detail"][0]
    assert "CANARY" not in str(result)
    assert targets[0] == "TrentService.Decrypt"
    assert targets[1:] == ["TrentService.DescribeKey"] * (code in {"DisabledException", "KMSInvalidStateException"})
    assert result.complete == (outcome == "failed")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"KeyState": "PendingDeletion", "DeletionDate": 1_790_000_000}, "until 2026-09-21T"),
        ({"KeyState": "PendingImport"}, "whoever has it can import it again"),
        ({"KeyState": "Disabled"}, "an administrator can enable it, and nothing is lost"),
        ({"KeyState": "SomethingNew"}, "until the date that its state names"),
    ],
)
def test_until_when_the_data_can_be_saved(tmp_path: Path, state: dict[str, object], reason: str) -> None:
    store = Store()
    store.v2("new", blob, 2, key_id=ARN)
    store.v2("new", blob, 2, key_id=ARN)
    refused = (400, {"__type": "KMSInvalidStateException"})
    described = (200, {"KeyMetadata": {"KeyId": ARN, **state}})

    def answer(number: int) -> tuple[int, Any]:
        return described if targets[number - 1].endswith("DescribeKey") else refused

    with scripted(answer) as (endpoint, targets):
        result = audit(store, tmp_path, url(endpoint))
    assert outcomes(result) == {"not tried": 4}
    assert all(reason in text for text in result.inventory["detail"])
    assert sorted(targets) == ["TrentService.Decrypt"] * 2 + ["TrentService.DescribeKey"]


def test_an_endpoint_of_the_environment_is_not_dialled(
    endpoint: str, kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    store.v2("new", kms.wrap, 2, key_id=kms.arn)
    with scripted(lambda _: (400, {"__type": "DisabledException"})) as (elsewhere, targets):
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"):
            monkeypatch.setenv(name, elsewhere)
        assert outcomes(audit(store, tmp_path, url(endpoint))) == {"yes": 2}
        assert Aws(parse(f"x=aws:{REGION}"))._client.meta.endpoint_url == f"https://kms.{REGION}.amazonaws.com"
    assert targets == []


class Roto:
    """A second opinion: roto-server on loopback."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        program = Path(sysconfig.get_path("scripts")) / "roto-server"
        self._process = subprocess.Popen(
            [program, "--port", str(self.port), "--ephemeral"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
                return self
            time.sleep(0.05)
        raise TimeoutError

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def test_a_second_opinion_on_the_codes(tmp_path: Path) -> None:
    """Of an emulator that is neither moto nor ours."""
    with Roto() as roto:
        kms = Kms(roto.endpoint)
        store = Store()
        store.v2("new", kms.wrap, 3, key_id=kms.arn)
        assert outcomes(audit(store, tmp_path, url(roto.endpoint))) == {"yes": 3}
        wrong = audit(store, tmp_path, url(roto.endpoint, "context=cluster:other"))
        assert (outcomes(wrong), "encryption context" in wrong.inventory["detail"][0]) == ({"failed": 3}, True)
        kms.client.disable_key(KeyId=kms.arn)
        disabled = audit(store, tmp_path, url(roto.endpoint))
        assert (outcomes(disabled), "nothing is lost" in disabled.inventory["detail"][0]) == ({"not tried": 3}, True)
        kms.client.schedule_key_deletion(KeyId=kms.arn, PendingWindowInDays=7)
        pending = audit(store, tmp_path, url(roto.endpoint))
        assert outcomes(pending) == {"not tried": 3}
        assert not pending.complete


def test_what_throttles_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After botocore's own attempts, and after all others."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr("auditor.encryption.kms.aws.ATTEMPTS", 1)
    store = Store()
    store.v2("new", blob, 2, key_id=ARN)
    throttled = (400, {"__type": "ThrottlingException"})
    dek = store.deks[0]
    good = (200, {"KeyId": ARN, "Plaintext": base64.b64encode(dek).decode()})
    with scripted(lambda number: throttled if number < 3 else good) as (endpoint, targets):
        result = audit(store, tmp_path, url(endpoint))
    assert (outcomes(result), len(targets)) == ({"yes": 2}, 3)
    with scripted(lambda _: throttled) as (endpoint, targets):
        result = audit(store, tmp_path, url(endpoint))
    assert (outcomes(result), result.run.kms[0].calls) == ({"not tried": 2}, 3)


def test_a_service_that_answers_garbage(tmp_path: Path) -> None:
    """Some emulators do, to wrong keys: a value that does not open is undecryptable, and no error."""
    store = Store()
    store.v1("old", blob, 2)
    store.v2("new", blob, 2, key_id=ARN)
    for garbage in ("AAAA", "A" * 44, ""):
        with scripted(lambda _, text=garbage: (200, {"KeyId": ARN, "Plaintext": text})) as (endpoint, _):
            assert outcomes(audit(store, tmp_path, url(endpoint))) == {"failed": 4}


def test_denials_end_after_some(tmp_path: Path) -> None:
    store = Store()
    store.v1("old", blob, 60)
    with scripted(lambda _: (400, {"__type": "AccessDeniedException"})) as (endpoint, targets):
        result = audit(store, tmp_path, url(endpoint))
    assert outcomes(result) == {"not tried": 60}
    assert len(targets) < 30


def test_nothing_is_logged(endpoint: str, kms: Kms, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At their debug level botocore and urllib3 log answers and credentials."""
    store = Store()
    store.v2("new", kms.wrap, 2, key_id=kms.arn)
    taint = Taint([*store.deks, *store.canaries, b"secret-CANARY-41b7c0de99"])
    levels = {name: logging.getLogger(name).level for name in ("botocore", "urllib3", "botocore.parsers")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG):
            assert outcomes(audit(store, tmp_path, url(endpoint))) == {"yes": 2}
            assert not taint.within(caplog.text)
            caplog.clear()
            Kms(endpoint).wrap(store.deks[0])  # what would be seen
            assert taint.within(caplog.text)
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def test_nothing_of_keys_and_credentials_leaves(
    endpoint: str, kms: Kms, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened, refused, damaged, garbage, unreachable: in logs at every level, reports, errors and traces."""
    monkeypatch.setattr("auditor.encryption.kms.aws.ATTEMPTS", 1)
    store, secrets = Store(), [b"secret-CANARY-41b7c0de99"]
    store.v1("old", kms.wrap, 2)
    store.v2("new", kms.wrap, 2, key_id=kms.arn)
    quoting = base64.b64encode(store.deks[0] * 3).decode()
    (closed,) = free_ports(1)
    with (
        scripted(lambda _: (400, {"__type": "DisabledException", "message": quoting})) as (refusing, _),
        scripted(lambda _: (200, {"KeyId": store.deks[0].hex(), "Plaintext": quoting})) as (garbage, _),
        scripted(lambda _: (400, {"__type": store.deks[0].hex()})) as (hostile, _),
    ):
        outcomes = nothing_leaves(
            store,
            tmp_path / "a.db",
            [
                url(endpoint),
                url(endpoint, "context=cluster:other"),
                url(refusing),
                url(garbage),
                url(hostile),
                url(f"http://127.0.0.1:{closed}"),
            ],
            secrets,
            caplog,
        )
        written = nothing_is_written(store, tmp_path / "command", url(refusing), secrets)
    assert outcomes == ["yes", "failed", "not tried", "failed", "not tried", "not tried"]
    assert written == "failed, not tried"  # outside this process moto's blobs of KMS v1 are not taken for AWS'


def test_the_key_that_really_answered_stands_beside_the_one_that_the_evidence_names(
    endpoint: str, kms: Kms, tmp_path: Path
) -> None:
    """An alias that was moved keeps its name as KEK id: the blobs name another key. In JSON, on a terminal, as HTML."""
    other = Kms(endpoint)
    kms.client.create_alias(AliasName="alias/etcd", TargetKeyId=kms.arn)
    store = Store()
    store.v2("new", other.wrap, 3, key_id="alias/etcd")
    store.v2("arn", kms.wrap, 2, key_id=kms.arn)
    path, files = store.save(tmp_path / "a.db"), {kind: tmp_path / f"k.{kind}" for kind in ("json", "html")}
    outputs = [f"--{kind}={file}" for kind, file in files.items()]
    # outside this process the emulator's blobs under no ARN are not taken for AWS'
    done = run("keys", path, "--kms", url(endpoint), "--yes", *outputs)
    moved = scan(path, Options(kms=(url(endpoint),), kms_confirmed=True))
    entries = {usage.key_name: (usage.kek and usage.kek.key, usage.answered) for usage in moved.keys}
    assert entries == {"new": (None, (other.arn,)), "arn": (kms.arn, (kms.arn,))}
    document = json.loads(files["json"].read_text())
    (entry,) = [each for each in document["keys"] if each["key_name"] == "arn"]
    assert (entry["kek"]["key"], entry["answered"]) == (kms.arn, [kms.arn])
    said = f"Data keys of kms v2/arn were unwrapped by {kms.arn}, as the evidence says."
    assert said in " ".join(done.stdout.split())
    assert said in " ".join(html.unescape(files["html"].read_text()).split())
    written = json_report.document(moved, Severity.MEDIUM)
    jsonschema.Draft202012Validator(json_report.schema()).validate(written)
    assert [each["answered"] for each in written["keys"]] == [[kms.arn], [other.arn]]


def test_credentials_of_a_profile(endpoint: str, kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS' own tools keep them; a region of the profile's is taken, too."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    own, config = tmp_path / "credentials", tmp_path / "config"
    own.write_text("[audit]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = x\n")
    config.write_text(f"[profile audit]\nregion = {REGION}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(own))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    store = Store()
    store.v2("new", kms.wrap, 2, key_id=kms.arn)
    context = "&".join(f"context={name}:{value}" for name, value in CONTEXT.items())
    result = audit(store, tmp_path, f"new=aws:?profile=audit&endpoint={endpoint}&{context}")
    assert (outcomes(result), result.run.kms[0].principal) == ({"yes": 2}, "access key AKIAPROFILE")
    with pytest.raises(UsageError, match="cannot be set up"):
        Aws(parse("new=aws:eu-central-1?profile=absent"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="needs a region"):
        Aws(parse("new=aws:?profile=audit"))
    without = audit(store, tmp_path, url(endpoint))
    assert outcomes(without) == {"not tried": 2}
    assert "no credentials were found" in without.inventory["detail"][0]


def test_a_moved_alias(tmp_path: Path) -> None:
    """By a blob as AWS makes them, which says nothing of its key to us."""
    other = f"{ARN[:-1]}f"
    store = Store()
    store.v2("new", blob, 2, key_id="alias/etcd")
    good = {"KeyId": other, "Plaintext": base64.b64encode(store.deks[0]).decode()}
    with scripted(lambda _: (200, good)) as (endpoint, _):
        result = audit(store, tmp_path, url(endpoint))
    said = f"data keys of kms v2/new were unwrapped by {other}, where the evidence names alias/etcd"
    assert said in keks.sentences(result)


def test_the_command(endpoint: str, kms: Kms, tmp_path: Path) -> None:
    store = Store()
    store.v2("new", kms.wrap, 3, key_id=kms.arn)
    path = store.save(tmp_path / "a.db")
    done = run("keys", path, "--kms", url(endpoint), "--yes", "--json", tmp_path / "k.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "k.json").read_text())["keys"][0]["decrypted"] == 3
    taint = Taint([*store.deks, *store.canaries])
    assert not any(taint.within(text) for text in (done.stdout, done.stderr, (tmp_path / "k.json").read_text()))
