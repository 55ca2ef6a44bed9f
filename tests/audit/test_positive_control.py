"""The control in the run: it is found by every run, costs nothing, and a run that misses it concludes nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import auditor
from auditor import Options
from auditor.audit import positive_control
from auditor.evidence.etcd import unallocated
from auditor.judgement.policy import Policy
from auditor.kubernetes import prefixes
from auditor.model.audit import Audit
from auditor.model.vocabulary import Place, Severity, Verdict
from auditor.reports import words
from tests.helpers import sealing
from tests.helpers.calls import calls
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, SNAPSHOTS
from tests.helpers.objects import StoredObject

BOTH = ((Place.LATEST, True), (Place.FREED, True))


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_every_run_finds_it(path: Path) -> None:
    audit = auditor.scan(path)
    assert audit.control is not None
    assert audit.control.planted == BOTH
    assert words.control(audit) == "passed, a planted plaintext Secret was reported"
    assert positive_control.FOUND in [step for _, step in audit.run.log]
    # it is no part of what the run says of the evidence
    assert not (audit.inventory.name == positive_control.NAME.decode()).any()
    assert all(row.resource != "control" for row in audit.coverage)


@pytest.mark.parametrize(
    "options",
    [
        Options(quick=True),
        Options(resources=("*",)),
        Options(resources=("configmaps",)),
        Options(resources=("deployments.apps", "secrets")),
        Options(resources=("widgets.lab.example.com",)),
        Options(resources=("services",)),
        Options(expect="plaintext"),
        Options(storage_prefixes=("registry",)),
        Options(storage_prefixes=("/somewhere/else/",), resources=("endpoints",)),
    ],
    ids=str,
)
def test_under_all_options(options: Options) -> None:
    audit = auditor.scan(DEFRAGMENTED, options)
    assert audit.control is not None
    assert audit.control.planted == (BOTH[:1] if options.quick else BOTH)


def test_under_the_prefix_of_the_evidence(tmp_path: Path) -> None:
    path = sealing.database(tmp_path / "a.db", [(b"/kubernetes.io/a/secrets/n/s", StoredObject().protobuf())])
    audit = auditor.scan(path)
    assert audit.evidence.cluster.prefixes == ("/kubernetes.io/a",)
    assert audit.control is not None
    assert audit.control.success


def blind(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Break one part of the pipeline so that it sees less, without an error."""
    if part == "classification":
        monkeypatch.setattr(prefixes, "PROTOBUF", b"k8t\0")
    elif part == "policy":
        monkeypatch.setattr(
            "auditor.judgement.policy.judge", lambda provider, *_, **__: np.zeros(provider.shape, np.uint16)
        )
    elif part == "what is left":
        monkeypatch.setattr(unallocated, "read", lambda *_, **__: ())
    else:
        monkeypatch.setattr("auditor.evidence.etcd.mvcc.SEPARATOR", ord("-"))


@pytest.mark.parametrize("part", ["classification", "policy", "what is left", "reading"])
def test_a_run_that_misses_it_is_inconclusive(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blind(monkeypatch, part)
    audit: Audit = auditor.scan(DEFRAGMENTED, Options(expect="encrypted"))
    assert audit.control is not None
    assert not audit.control.success
    assert any(gap.reason == positive_control.MISSED for gap in audit.gaps)
    assert "NOT FOUND" in words.control(audit)
    assert audit.exit_code(Severity.MEDIUM) != 0
    if not audit.tally.findings:
        assert audit.verdict() is Verdict.INCONCLUSIVE


def test_its_cost() -> None:
    """In calls, once all is imported: 9,780 with the ledger of its pages, in 9 ms."""
    assert positive_control.run(Options(), Policy(), ("/registry",)).success
    assert calls(lambda: positive_control.run(Options(), Policy(), ("/registry",))) < 15_000


def test_the_terminal_and_the_json_say_so(tmp_path: Path) -> None:
    import json

    target = tmp_path / "a.json"
    done = run("scan", DEFRAGMENTED, "--json", target)
    assert "Self-test: passed, a planted plaintext Secret was reported." in done.stdout
    told: dict[str, Any] = json.loads(target.read_text())["control"]
    assert told["found"] is True
    assert told["planted"] == [{"place": "latest", "found": True}, {"place": "freed", "found": True}]
