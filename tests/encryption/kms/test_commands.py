"""--kms in show, find, diff, watch and with --current: one seam, one consent, no wrapped key asked for twice."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor import Options, scan
from auditor.diff.compare import DiffOptions, compare
from auditor.encryption.kms import services
from auditor.encryption.kms.address import Address
from auditor.encryption.kms.interface import Answer, KmsError, WrappedKey
from auditor.errors import UsageError
from auditor.evidence.live.access import Access, endpoints
from auditor.observer import SILENT, Observer
from auditor.reports.diff import json as diff_json
from auditor.reports.watch import json as watch_json
from auditor.watch.session import Session
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_store import Store
from tests.helpers.taint import Taint

KEK = bytes(range(64, 96))


def wrap(dek: bytes) -> bytes:
    return bytes(12) + AESGCM(KEK).encrypt(bytes(12), dek, None)


@pytest.fixture
def kek(tmp_path: Path) -> str:
    """--kms of a key in a file."""
    path = tmp_path / "kek"
    path.write_text(base64.b64encode(KEK).decode())
    return f"lab=file:{path}"


@pytest.fixture
def store() -> Store:
    store = Store()
    store.v1("lab", wrap, 5)
    store.v2("lab", wrap, 5)
    store.v2("lab", wrap, 5, seed=False)
    return store


class Recording:
    """A service with the key of the tests, which remembers for what it was asked."""

    label, remote, batch, several = "a recording service", True, 1, False

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def key(self, wrapped: WrappedKey) -> str:
        return "k"

    def principal(self) -> str:
        return "somebody"

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        self.keys += [each.wrapped for each in keys]
        return [Answer(AESGCM(KEK).decrypt(each.wrapped[:12], each.wrapped[12:], None)) for each in keys]

    def close(self) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Recording:
    recording = Recording()

    def connect(address: Address) -> Recording:
        return recording

    monkeypatch.setattr(services, "connect", connect)
    return recording


class Consent(Observer):
    """Agrees, and remembers to what."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def confirm(self, text: str) -> bool:
        self.texts.append(text)
        return True


def test_find_meets_every_value_of_the_truth(store: Store, kek: str, tmp_path: Path) -> None:
    path, values = store.save(tmp_path / "a.db"), tmp_path / "values"
    values.write_bytes(b"\n".join(store.canaries) + b"\n")
    done = run("find", path, "--value-file", values, "--kms", kek, "--json", tmp_path / "f.json")
    assert done.returncode == 1, done.stderr
    document = json.loads((tmp_path / "f.json").read_text())
    assert [each["found"] for each in document["values"]] == [True] * 15
    assert document["complete"]
    assert [each["unwrapped"] for each in document["kms"]] == [7]
    taint = Taint([*store.deks, *store.canaries, KEK])
    assert not any(taint.within(text) for text in (done.stdout, done.stderr, (tmp_path / "f.json").read_text()))
    without = run("find", path, "--value-file", values)
    assert without.returncode == 3


def test_show_asks_for_the_keys_of_the_object_alone(store: Store, service: Recording, tmp_path: Path) -> None:
    """Other Secrets, with which it is compared, are opened as far as these keys open them."""
    from auditor.history.find import history
    from auditor.scanning.exhibit import single

    path, consent = store.save(tmp_path / "a.db"), Consent()
    options = Options(kms=("lab=x:",))
    with single(str(path), options, consent) as exhibit:
        shown = history(exhibit, options, "shop/s1", consent)
    assert [each.opened.label for each in shown.versions] == ["yes"]
    assert len(service.keys) == 1
    assert "1 call to a recording service" in consent.texts[0]
    assert any("1 of 1 wrapped key unwrapped" in note for note in shown.notes)
    with single(str(path), options, SILENT) as exhibit, pytest.raises(UsageError, match="Nothing was called"):
        history(exhibit, options, "shop/s2", SILENT)


def test_show_by_the_command(store: Store, kek: str, tmp_path: Path) -> None:
    done = run("show", store.save(tmp_path / "a.db"), "shop/s12", "--kms", kek)
    assert done.returncode == 0, done.stderr
    assert "password" in done.stdout


def test_calls_stand_in_every_document(store: Store, kek: str, tmp_path: Path) -> None:
    """Of keys, show, diff and watch, as of scan and find: absent without the option."""
    path, json_of = store.save(tmp_path / "a.db"), tmp_path / "r.json"
    keys = {"name", "service", "key", "principal", "calls", "unwrapped", "first", "last", "requests", "answering"}
    for command, wrapped in ((("keys",), 7), (("show", "shop/s12"), 1), (("diff", path), 7)):
        name, *more = command
        done = run(name, path, *more, "--kms", kek, "--json", json_of, "--force")
        assert done.returncode == 0, done.stderr
        document = json.loads(json_of.read_text())
        (calls,) = document["kms"]
        assert (keys < set(calls), calls["unwrapped"]) == (True, wrapped)
        if name == "diff":
            jsonschema.Draft202012Validator(diff_json.schema()).validate(document)
        assert "kms" not in json.loads(run(name, path, *more, "--json", "-").stdout)


def test_diff_asks_once_for_what_both_sides_hold(store: Store, service: Recording, tmp_path: Path) -> None:
    """And once more for nothing: AFTER is judged again where BEFORE adds a resource."""
    before = store.save(tmp_path / "before.db")
    store.v2("lab", wrap, 2)
    after = store.save(tmp_path / "after.db")
    options = Options(kms=("lab=x:",), kms_confirmed=True)
    comparison = compare(before, after, DiffOptions(options, options, different_clusters=True))
    assert sorted(service.keys) == sorted(set(service.keys))
    assert len(service.keys) == 8
    assert comparison.after.run.kms[0].unwrapped == 8
    assert dict(comparison.columns)["content"].count("same") == 15


def test_newer_evidence_is_opened_too(store: Store, service: Recording, tmp_path: Path) -> None:
    older = store.save(tmp_path / "older.db")
    newer = store.save(tmp_path / "newer.db")
    consent = Consent()
    result = scan(older, Options(kms=("lab=x:",), current=str(newer)), observer=consent)
    assert dict(result.inventory["decrypted"].value_counts()) == {"yes": 15}
    assert sorted(service.keys) == sorted(set(service.keys))
    assert len(consent.texts) == 1


def test_exhibits_of_one_container_share_their_calls(store: Store, service: Recording, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("a.db", "b.db"):
        store.save(folder / name)
    import tarfile

    with tarfile.open(tmp_path / "both.tar", "w") as tar:
        tar.add(folder, "backups")
    result = scan(tmp_path / "both.tar", Options(kms=("lab=x:",), kms_confirmed=True))
    assert dict(result.inventory["decrypted"].value_counts()) == {"yes": 30}
    assert (len(service.keys), [calls.calls for calls in result.run.kms]) == (7, [7])


def test_watch_confirms_once_and_asks_for_what_is_written_later(
    store: Store, service: Recording, tmp_path: Path
) -> None:
    notes: list[str] = []
    options = Options(kms=("lab=x:",), expect="kms:lab")
    with Etcd(tmp_path / "data") as etcd:
        etcd.put_many(store.pairs)
        session = Session(Access(endpoints([etcd.url])), options, notes.append)
        with pytest.raises(UsageError, match="7 calls to a recording service"):
            session.unwrap(SILENT)
        assert service.keys == []
        consent = Consent()
        session.unwrap(consent)
        with session:
            tracks = [calls for client in session.criteria.clients for calls in client.tracks()]
            document = watch_json.document(session.progress(), ["secrets"], "", [], tracks, configured=True)
            jsonschema.Draft202012Validator(watch_json.schema()).validate(document)
            assert [(each["calls"], each["principal"]) for each in document["kms"]] == [(7, "somebody")]
            assert session.progress().unopened == 0
            assert (len(service.keys), len(consent.texts)) == (7, 1)
            session.follow()
            before = len(store.pairs)
            store.v1("lab", wrap, 1)
            etcd.put_many(store.pairs[before:])
            while not session.step(10):
                pass
            assert session.progress().unopened == 0
    assert len(service.keys) == 8


def test_what_the_service_did_not_answer_is_inconclusive(tmp_path: Path) -> None:
    """A budget that ended, a denial, one value of each wrapped key: exit 3, and each says why."""
    denied = Store()
    denied.v2("lab", lambda dek: b"vault:v1:" + base64.b64encode(dek * 2), 4)
    denied.v2("other", lambda dek: b"vault:v1:" + base64.b64encode(dek * 2), 4, seed=False)
    token = tmp_path / "token"
    token.write_text("t")
    answers = {
        (b"vault:v1:" + base64.b64encode(dek * 2)).decode(): base64.b64encode(dek).decode() for dek in denied.deks
    }

    def respond(request: Request) -> tuple[int, dict[str, str], object]:
        if request.method == "GET" or refusing:
            return 403, {}, {"errors": ["permission denied"]}
        batch = json.loads(request.body)["batch_input"]
        return 200, {}, {"data": {"batch_results": [{"plaintext": answers[each["ciphertext"]]} for each in batch]}}

    refusing, path = False, denied.save(tmp_path / "a.db")
    with serving(respond) as address:
        url = f"vault:{address}/transit/key?token-file={token}"

        def scanned(*options: str) -> tuple[int, str]:
            named = ("--kms", f"lab={url}", "--kms", f"other={url}", "--inventory", tmp_path / "i.csv", "--force")
            done = run("scan", path, "--yes", "-v", *named, *options)
            return done.returncode, " ".join((done.stdout + (tmp_path / "i.csv").read_text()).split())

        assert scanned()[0] == 0
        code, text = scanned("--kms-budget", "1")
        assert (code, text.count("the budget of --kms-budget was spent") >= 4) == (3, True)
        code, text = scanned("--kms-prove")
        assert (code, "no pass for the others" in text, "this is another one" in text) == (3, True, True)
        refusing = True
        code, text = scanned()
        assert (code, "denied: the token is not valid" in text) == (3, True)


class Faulty(Recording):
    """A service whose library raises something with the answer in its text."""

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        (answer, *_) = super().decrypt(keys)
        raise RuntimeError(f"unexpected answer: {answer!r} {getattr(answer, 'plaintext', b'').hex()}")

    def principal(self) -> str:
        raise RuntimeError("token-CANARY-77af01")


def test_whatever_a_library_raises_is_quoted_nowhere(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faulty: Any = Faulty()
    monkeypatch.setattr(services, "connect", lambda address: faulty)
    options = Options(kms=("lab=x:",), kms_confirmed=True)
    with pytest.raises(KmsError, match=r"the login fails \(RuntimeError\)") as failure:
        scan(store.save(tmp_path / "a.db"), options)
    assert "CANARY" not in repr(failure.getrepr())
    monkeypatch.setattr(Faulty, "principal", Recording.principal)
    result = scan(store.save(tmp_path / "b.db"), replace(options, kms_confirmed=True))
    assert dict(result.inventory["decrypted"].value_counts()) == {"not tried": 15}
    assert not result.complete
    assert "no answer that can be read (RuntimeError)" in result.inventory["detail"][0]
    assert not Taint(store.deks).within(repr(result))
