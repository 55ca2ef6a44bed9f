"""Redaction: pseudonyms in place of the names of objects, in all texts of a run.

Ordinals differ from report to report; by a key, a name has the same pseudonym in all reports. Resources, names of
encryption keys and of KMS plugins, names of data and of the evidence's files stay.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from auditor import inputs
from auditor.arrays.dictionary import Dictionary, from_table
from auditor.arrays.dictionary import encode as encode_column
from auditor.audit import chronology, ids
from auditor.audit.facts import NOT_KNOWN
from auditor.errors import UsageError
from auditor.kubernetes.resources import resource_at
from auditor.model.audit import Audit, Redaction, Run
from auditor.model.chronology import Chronology
from auditor.model.evidence import Cluster, Evidence
from auditor.model.findings import AbsentFinding, Acceptance, Baseline, Cell, KeyUsage, Rows
from auditor.model.rotation import Rotation, RotationRow
from auditor.model.vocabulary import RedactionMethod
from auditor.options import Options, Setting
from auditor.text import KEY, NAME, NAMESPACE, encode, unmarked

LEAST_KEY = 16
"""Bytes of the shortest key."""
DIGITS = 12
"""Hexadecimal digits of a pseudonym: 48 bits, so that two of 100,000 names meet once in 50,000 runs."""
PSEUDONYM_PREFIXES = {NAMESPACE: "namespace", NAME: "name", KEY: "key", "u": "uid", "m": "member"}
UID, MEMBER = "u", "m"
_DAY = re.compile(r"(\d{4})-(\d\d)-\d\d")
_PSEUDONYM = re.compile(r"(?:namespace|name)-[0-9a-f]+")
_PART = re.compile(r"[A-Za-z0-9-]+")
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def prepare(options: Options) -> "Redactor":
    """The redactor by the options. Raises UsageError where the key cannot be used."""
    if options.redact_key and not options.redact_names:
        raise UsageError("--redact-key says how names are replaced: give --redact-names too")
    if not options.redact_names:
        return Redactor(None)
    if not options.redact_key:
        return Redactor(Pseudonyms(b""))
    path = Path(options.redact_key)
    try:
        secret = inputs.read(path, inputs.LARGEST).strip()
    except OSError as error:
        raise UsageError(f"--redact-key {path} cannot be read: {error.strerror}") from None
    if len(secret) < LEAST_KEY:
        raise UsageError(f"--redact-key {path}: {len(secret)} bytes can be guessed; expected at least {LEAST_KEY}")
    return Redactor(Pseudonyms(secret))


def quarter(day: str) -> str:
    """Year and quarter of a day: an exact end finds a certificate in public logs. Other words stay."""
    match = _DAY.fullmatch(day)
    return f"{match[1]}-Q{(int(match[2]) + 2) // 3}" if match else day


def _mapped(column: Sequence[Cell], change: Callable[[str], str]) -> Dictionary[Cell]:
    """The column with every distinct cell changed once."""
    encoded = encode_column(column)
    return from_table([change(str(cell)) for cell in encoded.values], encoded.codes)


class Pseudonyms:
    """One pseudonym for each name of a kind: an ordinal, or by a key (HMAC-SHA256, truncated)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._by_name: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    @property
    def redaction(self) -> Redaction:
        """Method, and check value of the key."""
        if not self._secret:
            return Redaction(RedactionMethod.ORDINALS)
        return Redaction(RedactionMethod.KEYED, self._digest("", "etcd-auditor")[:8])

    def __call__(self, kind: str, name: str) -> str:
        """The pseudonym of a name."""
        if name in {"", NOT_KNOWN}:
            return name
        if (kind, name) not in self._by_name:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            suffix = self._digest(kind, name)[:DIGITS] if self._secret else str(self._counts[kind])
            self._by_name[kind, name] = f"{PSEUDONYM_PREFIXES[kind]}-{suffix}"
        return self._by_name[kind, name]

    def in_words(self, text: str) -> str:
        """A user's text with the pseudonym of every word that is a known name."""
        return _WORD.sub(lambda match: self._word(match[0]), text)

    def _word(self, word: str) -> str:
        known = self._known(word)
        return known if known is not None else _PART.sub(lambda part: self._known(part[0]) or part[0], word)

    def _known(self, word: str) -> str | None:
        """The pseudonym of a known name, in whatever case it is written."""
        kinds = (NAMESPACE, NAME)
        spellings = (word, word.lower())
        return next((self._by_name[kind, w] for kind in kinds for w in spellings if (kind, w) in self._by_name), None)

    def _digest(self, kind: str, name: str) -> str:
        return hmac.digest(self._secret, encode(f"{kind}\0{name}"), "sha256").hex()


class Redactor:
    """The redaction of every text of a run: rows first, since reports show them while the evidence is hashed."""

    def __init__(self, pseudonyms: Pseudonyms | None) -> None:
        self._pseudonyms = pseudonyms
        self._prefixes: Sequence[str] = ()

    @property
    def redaction(self) -> Redaction | None:
        """Method and check value; None where names stay."""
        return self._pseudonyms.redaction if self._pseudonyms is not None else None

    def rows(self, rows: Rows, prefixes: Sequence[str], own: str) -> Rows:
        """The rows with pseudonyms.

        Args:
            rows: of the audit.
            prefixes: storage prefixes of the evidence, which split etcd keys.
            own: name of the evidence's own file.
        """
        self._prefixes = prefixes
        if not rows.columns:
            return rows
        columns: dict[str, Sequence[Cell]] = dict(rows.columns)
        pseudonym = self._pseudonyms
        if pseudonym is None:
            if any("\x0e" in str(detail) for detail in set(columns["detail"])):
                columns["detail"] = [unmarked(str(detail)) for detail in columns["detail"]]
            columns["used_by"] = _mapped(columns["used_by"], unmarked)
            return replace(rows, columns=columns)
        keys = columns["key"]
        triples = list(zip(keys, columns["namespace"], columns["name"], strict=True))
        columns["namespace"] = [pseudonym(NAMESPACE, str(cell)) for cell in columns["namespace"]]
        columns["name"] = [pseudonym(NAME, str(cell)) for cell in columns["name"]]
        columns["key"] = [self._row_key(str(key), str(namespace), str(name)) for key, namespace, name in triples]
        columns["uid"] = [pseudonym(UID, str(cell)) for cell in columns["uid"]]
        columns["detail"] = [self.text(str(detail)) for detail in columns["detail"]]
        columns["used_by"] = _mapped(columns["used_by"], self.text)
        columns["valid_until"] = _mapped(columns["valid_until"], quarter)
        columns["id"] = ids.redacted(columns, rows.findings, own)
        findings = [
            tuple(
                replace(finding, accepted=pseudonym.in_words(finding.accepted)) if finding.accepted else finding
                for finding in own
            )
            for own in rows.findings
        ]
        return Rows(columns, findings)

    def audit(self, audit: Audit) -> Audit:
        """The audit with pseudonyms in all texts but its rows, which have them already."""
        unmarked_audit = replace(
            audit,
            notes=tuple(map(self.text, audit.notes)),
            gaps=tuple(replace(gap, reason=self.text(gap.reason)) for gap in audit.gaps),
            unexamined=tuple(
                replace(part, what=self.text(part.what), reason=self.text(part.reason)) for part in audit.unexamined
            ),
        )
        if audit.chronology is not None:
            unmarked_audit = replace(unmarked_audit, chronology=self.chronology(audit.chronology))
        if self._pseudonyms is None:
            return unmarked_audit
        return replace(
            unmarked_audit,
            evidence=self._evidence(unmarked_audit.evidence, self._pseudonyms),
            keys=tuple(map(self._key_use, unmarked_audit.keys)),
            baseline=self._baseline(unmarked_audit.baseline),
            acceptances=tuple(
                self._acceptance(acceptance, self._pseudonyms) for acceptance in unmarked_audit.acceptances
            ),
            run=self._run(unmarked_audit.run, self._pseudonyms),
            redaction=self.redaction,
        )

    def chronology(self, times: Chronology) -> Chronology:
        """The bounds without marks, and with pseudonyms for their marked names."""
        if self._pseudonyms is not None:
            times = chronology.coarse(times)
        return replace(
            times,
            bounds=tuple(replace(bound, source=self.text(bound.source)) for bound in times.bounds),
            contradictions=tuple(map(self.text, times.contradictions)),
        )

    def rotation(self, rotation: Rotation) -> Rotation:
        """The list of what to rotate without marks, and with the pseudonyms of the rows."""
        values = rotation.values
        return replace(
            rotation,
            rows=tuple(map(self._rotation_row, rotation.rows)),
            values=values and replace(values, rows=tuple(map(self._rotation_row, values.rows))),
        )

    def _rotation_row(self, row: RotationRow) -> RotationRow:
        return replace(
            row,
            secrets=tuple(map(self.text, row.secrets)),
            valid_until=quarter(row.valid_until) if self._pseudonyms is not None else row.valid_until,
            rotate_at=self.text(row.rotate_at),
            rotate=self.text(row.rotate),
            reach=self.text(row.reach),
            used_by=self.text(row.used_by),
            owner=self.text(row.owner),
        )

    def text(self, text: str) -> str:
        """A sentence of the run without marks, and with pseudonyms for its marked names."""
        return unmarked(text, self._marked if self._pseudonyms is not None else None)

    def key(self, key: str) -> str:
        """An etcd key with pseudonyms for namespace and name; for a key under no known prefix one pseudonym."""
        if key in {"", NOT_KNOWN}:
            return key
        for prefix in self._prefixes:
            if not key.startswith(f"{prefix}/"):
                continue
            resource = resource_at(prefix, key[len(prefix) + 1 :].split("/"))
            if resource is not None and key.startswith(f"{resource.path}/"):
                namespace, slash, name = key[len(resource.path) + 1 :].rpartition("/")
                return f"{resource.path}/{self._pseudonym(NAMESPACE, namespace)}{slash}{self._pseudonym(NAME, name)}"
        return self._pseudonym(KEY, key)

    def _row_key(self, key: str, namespace: str, name: str) -> str:
        own = f"/{namespace}/{name}" if namespace else f"/{name}"
        if name in {"", NOT_KNOWN} or not key.endswith(own):
            return self.key(key)
        parts = (self._pseudonym(NAMESPACE, namespace), self._pseudonym(NAME, name))
        return "/".join([key[: -len(own)], *(part for part in parts if part)])

    def _pseudonym(self, kind: str, name: str) -> str:
        return self._pseudonyms(kind, name) if self._pseudonyms is not None else name

    def _marked(self, kind: str, name: str) -> str:
        return self.key(name) if kind == KEY else self._pseudonym(kind, name)

    def _evidence(self, evidence: Evidence, pseudonym: Callable[[str, str], str]) -> Evidence:
        members = tuple((member, pseudonym(MEMBER, name)) for member, name in evidence.backend.members)
        clusters = tuple(replace(each, uid=pseudonym(UID, each.uid)) for each in evidence.cluster.clusters)
        cluster: Cluster = replace(evidence.cluster, uid=pseudonym(UID, evidence.cluster.uid), clusters=clusters)
        return replace(evidence, backend=replace(evidence.backend, members=members), cluster=cluster)

    def _key_use(self, use: KeyUsage) -> KeyUsage:
        return replace(use, objects=tuple(map(self.key, use.objects)))

    def _acceptance(self, acceptance: Acceptance, pseudonyms: Pseudonyms) -> Acceptance:
        return replace(acceptance, reason=pseudonyms.in_words(acceptance.reason))

    def _run(self, run: Run, pseudonyms: Pseudonyms) -> Run:
        def option(name: str, value: Setting) -> Setting:
            if name == "expect_cluster" and isinstance(value, str):
                return pseudonyms(UID, value)
            return pseudonyms.in_words(value) if name == "case" and isinstance(value, str) else value

        options = tuple((name, option(name, value)) for name, value in run.options)
        provenance = tuple((name, pseudonyms.in_words(text)) for name, text in run.provenance)
        return replace(run, options=options, case=pseudonyms.in_words(run.case), provenance=provenance)

    def _baseline(self, baseline: Baseline | None) -> Baseline | None:
        """The baseline with pseudonyms for the names of an earlier report that was not redacted."""
        return baseline and replace(baseline, absent=tuple(map(self._absent, baseline.absent)))

    def _absent(self, finding: AbsentFinding) -> AbsentFinding:
        names = (finding.namespace, finding.name)
        if all(name in {"", NOT_KNOWN} or _PSEUDONYM.fullmatch(name) for name in names) and any(
            map(_PSEUDONYM.fullmatch, names)
        ):
            return finding
        return replace(
            finding,
            namespace=self._pseudonym(NAMESPACE, finding.namespace),
            name=self._pseudonym(NAME, finding.name),
            key=self._row_key(finding.key, finding.namespace, finding.name),
        )
