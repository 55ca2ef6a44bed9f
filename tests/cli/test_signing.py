"""Reports signed with a real SSH key by the real ssh-keygen, and what verify says of them and of forgeries."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, REWRITTEN

EXAMINER = "examiner@example.test"

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def allow(path: Path, key: Path, namespaces: str = "etcd-auditor") -> Path:
    public = key.with_name(f"{key.name}.pub").read_text()
    path.write_text(f'{EXAMINER} namespaces="{namespaces}" {public}')
    return path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed report, the key, another key, and the files of allowed signers."""
    folder = tmp_path_factory.mktemp("signed")
    key, other = new_key(folder / "key"), new_key(folder / "other")
    allow(folder / "signers", key)
    allow(folder / "others", other)
    allow(folder / "for-git", key, "git")
    out = folder / "reports"
    out.mkdir()
    end = run("scan", REWRITTEN, "--csv", out / "a.csv", "--json", out / "a.json", "--sign", key)
    assert end.returncode == 1, end.stderr
    assert "a.csv.SHA256SUMS.sig" in end.stdout
    return folder


def copy(signed: Path, to: Path) -> Path:
    return shutil.copytree(signed / "reports", to / "reports")


def test_the_signature_is_one_that_ssh_keygen_verifies(signed: Path) -> None:
    listed = signed / "reports" / "a.csv.SHA256SUMS"
    signature = listed.with_name(f"{listed.name}.sig")
    assert stat.S_IMODE(signature.stat().st_mode) == 0o600
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signed / "signers"), "-I", EXAMINER, "-n", "etcd-auditor"]
    end = subprocess.run([*command, "-s", str(signature)], input=listed.read_bytes(), capture_output=True, check=False)
    assert end.returncode == 0


def test_verify_names_the_signer(signed: Path) -> None:
    for report in ("a.json", "a.csv.SHA256SUMS"):
        end = run("verify", signed / "reports" / report, "--signers", signed / "signers")
        assert end.returncode == 0, end.stdout + end.stderr
        assert f"signed by {EXAMINER} with ED25519 key SHA256:" in end.stdout
        assert "no author" not in end.stdout
        assert "A signature or a time stamp" not in end.stdout


def test_without_signers_the_key_is_named_and_nobody_vouched_for(signed: Path) -> None:
    end = run("verify", signed / "reports" / "a.json")
    assert end.returncode == 0, end.stdout + end.stderr
    assert "is signed with ED25519 key SHA256:" in end.stdout
    assert "whose that is, --signers FILE says" in end.stdout


@pytest.mark.parametrize("signers", ["others", "for-git"])
def test_another_key_or_purpose_is_no_signer(signed: Path, signers: str) -> None:
    end = run("verify", signed / "reports" / "a.json", "--signers", signed / signers)
    assert end.returncode == 1
    assert "which is no signer's of" in end.stdout


def test_reports_that_are_sealed_anew_do_not_pass(signed: Path, tmp_path: Path) -> None:
    """Whoever makes a report anew can seal it anew, and has no key."""
    reports = copy(signed, tmp_path)
    signature = (reports / "a.csv.SHA256SUMS.sig").read_bytes()
    forged = run("scan", DEFRAGMENTED, "--csv", reports / "a.csv", "--json", reports / "a.json", "--force")
    assert forged.returncode in {0, 1, 3}, forged.stderr
    (reports / "a.csv.SHA256SUMS.sig").write_bytes(signature)
    for options in ((), ("--signers", signed / "signers")):
        end = run("verify", reports / "a.json", *options)
        assert end.returncode == 1
        assert "it is no signature of a.csv.SHA256SUMS as it stands" in end.stdout


def test_a_signature_that_is_missing_or_broken_does_not_pass(signed: Path, tmp_path: Path) -> None:
    reports = copy(signed, tmp_path)
    signature = reports / "a.csv.SHA256SUMS.sig"
    signature.write_bytes(signature.read_bytes()[:120])
    assert run("verify", reports / "a.json").returncode == 1
    signature.unlink()
    assert run("verify", reports / "a.json").returncode == 0
    end = run("verify", reports / "a.json", "--signers", signed / "signers")
    assert end.returncode == 1
    assert "is not signed" in end.stdout
    (reports / "a.csv.SHA256SUMS").unlink()
    end = run("verify", reports / "a.json", "--signers", signed / "signers")
    assert end.returncode == 1
    assert "no list of checksums names it" in end.stdout


def test_a_self_check_is_signed_too(signed: Path, tmp_path: Path) -> None:
    end = run("self-check", "--json", tmp_path / "check.json", "--sign", signed / "key")
    assert end.returncode == 0, end.stderr
    listed = tmp_path / "check.json.SHA256SUMS"
    end = run("verify", listed, "--signers", signed / "signers")
    assert end.returncode == 0, end.stdout + end.stderr


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--json", "-", "--sign", "KEY"), "--sign is of the list of checksums"),
        (("--json", "OUT", "--sign", "NONE"), "no such file"),
        (("--json", "OUT", "--sign", "TEXT"), "is not signed"),
        (("--json", "KEY", "--sign", "KEY", "--force"), "is the evidence"),
    ],
    ids=["no file", "no key", "no key's file", "the key as an output"],
)
def test_what_cannot_be_signed_is_refused(signed: Path, tmp_path: Path, options: tuple[str, ...], error: str) -> None:
    text = tmp_path / "text"
    text.write_text("no key")
    names = {"KEY": signed / "key", "OUT": tmp_path / "a.json", "NONE": tmp_path / "none", "TEXT": text}
    end = run("scan", REWRITTEN, *(names.get(option, option) for option in options))
    assert end.returncode == 2
    assert error in end.stderr
    assert "PRIVATE KEY" not in end.stdout + end.stderr


def test_without_ssh_keygen_it_says_what_is_missing(signed: Path, tmp_path: Path) -> None:
    end = run("scan", REWRITTEN, "--json", tmp_path / "a.json", "--sign", signed / "key", PATH="/nonexistent")
    assert end.returncode == 2
    assert "comes with OpenSSH" in end.stderr
    end = run("verify", signed / "reports" / "a.json", PATH="/nonexistent")
    assert end.returncode == 1
    assert "NOT CHECKED" in end.stdout
