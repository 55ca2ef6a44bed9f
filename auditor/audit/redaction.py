"""What becomes of the names of objects when a run is over: they stay, or pseudonyms stand for them everywhere.

With ordinals two reports have nothing in common; with a key the same name has the same pseudonym in each of them.
Resources, names of encryption keys and of KMS plugins, names of data and of the evidence's files are kept.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from auditor.audit.rows import NOT_KNOWN, tag
from auditor.errors import UsageError
from auditor.kubernetes.resources import resource_at
from auditor.model.audit import Audit, Redaction, Run
from auditor.model.evidence import Cluster, Evidence
from auditor.model.findings import Acceptance, Cell, KeyUsage, Rows
from auditor.model.vocabulary import FindingKind, RedactionMethod
from auditor.options import Options
from auditor.text import KEY, NAME, NAMESPACE, encode, unmarked

LEAST_KEY = 16
DIGITS = 12
"""Hexadecimal digits of a pseudonym: 48 bits, so that two of 100,000 names meet once in 50,000 runs."""
CALLED = {NAMESPACE: "namespace", NAME: "name", KEY: "key", "u": "uid", "m": "member"}
UID, MEMBER = "u", "m"
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_TAGGED = FindingKind.COPIED_VALUE | FindingKind.KEY_PRESENT
_OFFSET = 10
"""Digits of the offset at the end of the id of a hit (rows.py)."""


def prepare(options: Options) -> "Redactor":
    """Raises UsageError where the key cannot be used."""
    if options.redact_key and not options.redact_names:
        raise UsageError("--redact-key says how names are replaced: give --redact-names too")
    if not options.redact_names:
        return Redactor(None)
    if not options.redact_key:
        return Redactor(Pseudonyms(b""))
    path = Path(options.redact_key)
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"--redact-key {path} cannot be read: {error.strerror}") from None
    if len(secret) < LEAST_KEY:
        raise UsageError(f"--redact-key {path}: {len(secret)} bytes can be guessed; expected at least {LEAST_KEY}")
    return Redactor(Pseudonyms(secret))


class Pseudonyms:
    """One for each name of a kind: numbered as they are met, or made with a key (HMAC-SHA256, cut)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    @property
    def redaction(self) -> Redaction:
        if not self._secret:
            return Redaction(RedactionMethod.ORDINALS)
        return Redaction(RedactionMethod.KEYED, self._digest("", "etcd-auditor")[:8])

    def __call__(self, kind: str, name: str) -> str:
        if name in {"", NOT_KNOWN}:
            return name
        if (kind, name) not in self._known:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            mark = self._digest(kind, name)[:DIGITS] if self._secret else str(self._counts[kind])
            self._known[kind, name] = f"{CALLED[kind]}-{mark}"
        return self._known[kind, name]

    def in_words(self, text: str) -> str:
        """A person's text with every word that is a known name replaced."""
        return _WORD.sub(lambda found: self._word(found[0]), text)

    def _word(self, word: str) -> str:
        return next((self._known[kind, word] for kind in (NAMESPACE, NAME) if (kind, word) in self._known), word)

    def _digest(self, kind: str, name: str) -> str:
        return hmac.digest(self._secret, encode(f"{kind}\0{name}"), "sha256").hex()


class Redactor:
    """Settles every text of a run: rows first, since they are shown while the evidence is still being hashed."""

    def __init__(self, pseudonyms: Pseudonyms | None) -> None:
        self._pseudonyms = pseudonyms
        self._prefixes: Sequence[str] = ()

    @property
    def redaction(self) -> Redaction | None:
        return self._pseudonyms.redaction if self._pseudonyms is not None else None

    def rows(self, rows: Rows, prefixes: Sequence[str]) -> Rows:
        """prefixes: the storage prefixes of this evidence, by which etcd keys are taken apart."""
        self._prefixes = prefixes
        if not rows.columns:
            return rows
        columns: dict[str, Sequence[Cell]] = dict(rows.columns)
        give = self._pseudonyms
        if give is None:
            if any("\x0e" in str(detail) for detail in set(columns["detail"])):
                columns["detail"] = [unmarked(str(detail)) for detail in columns["detail"]]
            return replace(rows, columns=columns)
        keys = columns["key"]
        named = list(zip(keys, columns["namespace"], columns["name"], strict=True))
        columns["namespace"] = [give(NAMESPACE, str(each)) for each in columns["namespace"]]
        columns["name"] = [give(NAME, str(each)) for each in columns["name"]]
        columns["key"] = [self._row_key(str(key), str(namespace), str(name)) for key, namespace, name in named]
        columns["uid"] = [give(UID, str(each)) for each in columns["uid"]]
        columns["detail"] = [self.text(str(detail)) for detail in columns["detail"]]
        columns["id"] = [
            self._id(str(id_), row, columns) if marks and marks[0].kind & _TAGGED else id_
            for row, (id_, marks) in enumerate(zip(columns["id"], rows.findings, strict=True))
        ]
        marks_ = [
            tuple(replace(mark, accepted=give.in_words(mark.accepted)) if mark.accepted else mark for mark in marks)
            for marks in rows.findings
        ]
        return Rows(columns, marks_)

    def audit(self, audit: Audit) -> Audit:
        """The rest of an audit of which the rows are settled."""
        made = replace(
            audit,
            notes=tuple(map(self.text, audit.notes)),
            gaps=tuple(replace(gap, reason=self.text(gap.reason)) for gap in audit.gaps),
            unexamined=tuple(
                replace(part, what=self.text(part.what), reason=self.text(part.reason)) for part in audit.unexamined
            ),
        )
        if self._pseudonyms is None:
            return made
        return replace(
            made,
            evidence=self._evidence(made.evidence, self._pseudonyms),
            keys=tuple(map(self._key_use, made.keys)),
            acceptances=tuple(self._acceptance(each, self._pseudonyms) for each in made.acceptances),
            run=self._run(made.run, self._pseudonyms),
            redaction=self.redaction,
        )

    def text(self, text: str) -> str:
        """A sentence of the run with its marked names settled."""
        return unmarked(text, self._marked if self._pseudonyms is not None else None)

    def key(self, key: str) -> str:
        """An etcd key with its namespace and name replaced; one under no known prefix is replaced whole."""
        if key in {"", NOT_KNOWN}:
            return key
        for prefix in self._prefixes:
            if not key.startswith(f"{prefix}/"):
                continue
            found = resource_at(prefix, key[len(prefix) + 1 :].split("/"))
            if found is not None and key.startswith(f"{found.path}/"):
                namespace, slash, name = key[len(found.path) + 1 :].rpartition("/")
                return f"{found.path}/{self._give(NAMESPACE, namespace)}{slash}{self._give(NAME, name)}"
        return self._give(KEY, key)

    def _row_key(self, key: str, namespace: str, name: str) -> str:
        own = f"/{namespace}/{name}" if namespace else f"/{name}"
        if name in {"", NOT_KNOWN} or not key.endswith(own):
            return self.key(key)
        parts = (self._give(NAMESPACE, namespace), self._give(NAME, name))
        return "/".join([key[: -len(own)], *(part for part in parts if part)])

    def _give(self, kind: str, name: str) -> str:
        return self._pseudonyms(kind, name) if self._pseudonyms is not None else name

    def _marked(self, kind: str, name: str) -> str:
        return self.key(name) if kind == KEY else self._give(kind, name)

    def _id(self, id_: str, row: int, columns: dict[str, Sequence[Cell]]) -> str:
        """The id of a hit is made from its text, which held names: a hash of them could be guessed."""
        return tag(f"{columns['source'][row]} {columns['detail'][row]}") + id_[-_OFFSET:]

    def _evidence(self, evidence: Evidence, give: Callable[[str, str], str]) -> Evidence:
        members = tuple((member, give(MEMBER, name)) for member, name in evidence.backend.members)
        cluster: Cluster = replace(evidence.cluster, uid=give(UID, evidence.cluster.uid))
        return replace(evidence, backend=replace(evidence.backend, members=members), cluster=cluster)

    def _key_use(self, use: KeyUsage) -> KeyUsage:
        return replace(use, objects=tuple(map(self.key, use.objects)))

    def _acceptance(self, each: Acceptance, give: Pseudonyms) -> Acceptance:
        return replace(each, reason=give.in_words(each.reason))

    def _run(self, run: Run, give: Pseudonyms) -> Run:
        options = tuple(
            (name, give(UID, value) if name == "expect_cluster" and isinstance(value, str) else value)
            for name, value in run.options
        )
        return replace(run, options=options, case=give.in_words(run.case))
