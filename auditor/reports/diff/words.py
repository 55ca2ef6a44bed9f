"""The sentences and tables of a comparison that the terminal and the HTML report share."""

from auditor.diff.compare import Comparison, leftovers
from auditor.diff.objects import Content, FormChange
from auditor.model.audit import Audit
from auditor.model.evidence import Evidence
from auditor.model.vocabulary import Place, Severity, Verdict
from auditor.reports.verdict import connecting, weakening
from auditor.reports.words import label, plural
from auditor.text import hex_id

SUMMARY = ("form", "content", "namespace", "name", "before", "after", "finding")


def verdict(comparison: Comparison, fail_on: Severity) -> list[str]:
    """The conclusion in a few sentences, exit code included."""
    outcome = comparison.verdict(fail_on)
    if outcome is Verdict.FINDINGS:
        head = f"FINDINGS: not as expected: {'; '.join(_wrong(comparison, fail_on))}"
    elif outcome is Verdict.INCONCLUSIVE:
        head = "INCONCLUSIVE: nothing that was read is other than expected, and not everything was read or told"
    elif outcome is Verdict.ACCEPTED:
        accepted = sum(count for _, severity, count in comparison.after.tally.findings if severity >= Severity.MEDIUM)
        head = f"ACCEPTED FINDINGS: {plural(accepted, 'finding')} of AFTER, accepted by --fail-on {fail_on.label}"
    else:
        head = "NO FINDINGS in what was examined of AFTER: as expected"
    return [f"{head} (exit {comparison.exit_code(fail_on)})", *_limits(comparison, fail_on), _story(comparison)]


def _limits(comparison: Comparison, fail_on: Severity) -> list[str]:
    """The options that weaken the result, and those set elsewhere that connect to something."""
    weak, dialled = weakening(comparison.after, fail_on), connecting(comparison.after)
    return [f"The result is weakened by {weak}."] * bool(weak) + [f"Connections are made by {dialled}."] * bool(dialled)


def _wrong(comparison: Comparison, fail_on: Severity) -> list[str]:
    reasons = []
    tally = comparison.after.tally
    if comparison.unlike:
        reasons.append(f"{plural(comparison.unlike, 'value')} of BEFORE not as --expect-before says")
    now = sum(count for place, _, _, count, _ in tally.places if place is Place.LATEST)
    plain = comparison.of(FormChange.STILL_PLAINTEXT), comparison.of(FormChange.TURNED_TO_PLAINTEXT)
    readable = {place: count for place, (_, count) in leftovers(comparison.after).items() if count}
    findings = {finding.label: count for finding, severity, count in tally.findings if severity >= fail_on}
    if "plaintext" in findings:
        reasons += [f"{count:,} of {now:,} {what}" for count, what in zip(plain, _PLAIN, strict=True) if count]
        if (other := tally.readable - sum(plain) - sum(readable.values())) > 0:
            reasons.append(f"{plural(other, 'other readable value')} in latest")
        if readable:
            where = ", ".join(f"{place.label} {count:,}" for place, count in readable.items())
            reasons.append(f"{plural(sum(readable.values()), 'readable value')} left behind ({where})")
    reasons += [f"{plural(count, 'value')} {name}" for name, count in findings.items() if name != "plaintext"]
    if comparison.same_content and comparison.moved:
        holds = "holds" if comparison.moved == 1 else "hold"
        reasons.append(f"{plural(comparison.moved, 'object')} appeared, vanished or {holds} other content")
    return reasons


_PLAIN = (FormChange.STILL_PLAINTEXT.label, FormChange.TURNED_TO_PLAINTEXT.label)


def _story(comparison: Comparison) -> str:
    forms = [f"{count:,} {form.label}" for form in FormChange if (count := comparison.of(form))]
    contents = [
        text.format(count)
        for content, text in (
            (Content.SAME, "the same in {:,}"),
            (Content.CHANGED, "changed in {:,}"),
            (Content.UNKNOWN, "unknown of {:,}"),
        )
        if (count := comparison.with_content(content))
    ]
    story = f"{plural(sum(comparison.objects.values()), 'object')}: {', '.join(forms) or 'none'}."
    return f"{story} Content {', '.join(contents)}." if contents else story


def side(audit: Audit) -> str:
    """One side, in one line."""
    evidence = audit.evidence
    sha256 = f"SHA-256 {evidence.sha256}" if evidence.sha256 else "not hashed"
    changed = f"; changed during the run: {evidence.changed}" if evidence.changed else ""
    about = f"{evidence.name}, {evidence.size:,} bytes; {evidence.description}"
    return f"{about}, revision {revision(evidence)}; {sha256}{changed}"


def cluster(comparison: Comparison) -> str:
    one, two = comparison.before.evidence.cluster.identity, comparison.after.evidence.cluster.identity
    if one and one == two:
        return f"both of Kubernetes cluster {one}"
    etcd, other = (
        "" if each.evidence.backend.cluster_id is None else hex_id(each.evidence.backend.cluster_id)
        for each in (comparison.before, comparison.after)
    )
    if not (one and two) and etcd and etcd == other:
        return f"both of etcd cluster {etcd}"
    return f"{one or etcd or 'unknown'} and {two or other or 'unknown'}"


def forms(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows: objects by form and content."""
    rows = []
    for form in FormChange:
        if total := comparison.of(form):
            contents = [comparison.objects.get((form, content), 0) for content in list(Content)[1:]]
            cells = (
                ["-"] * len(contents)
                if form in {FormChange.APPEARED, FormChange.VANISHED}
                else [f"{count:,}" for count in contents]
            )
            rows.append([form.label, f"{total:,}", *cells])
    return ["form", "objects", "same content", "changed", "unknown"], rows


def keys(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows: current values under each provider and key."""
    rows = [[label(provider, name), f"{before:,}", f"{after:,}"] for provider, name, before, after in comparison.keys]
    return ["latest, under", "BEFORE", "AFTER"], rows


def leftover_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows: leftovers by place, and how many of them are readable."""
    sides = leftovers(comparison.before), leftovers(comparison.after)
    rows = [
        [place.label, *(f"{count:,}" for each in sides for count in each.get(place, (0, 0)))]
        for place in sorted(sides[0].keys() | sides[1].keys())
    ]
    return ["left behind, in", "BEFORE", "readable", "AFTER", "readable"], rows


def differences(comparison: Comparison) -> list[int]:
    """Rows of objects whose form or content differs, or that are not as they should be."""
    serious = {severity.label for severity in Severity if severity > Severity.LOW}
    cells = zip(*(comparison.columns[name] for name in ("form", "content", "severity")), strict=True)
    same = (FormChange.UNCHANGED.label, Content.SAME.label)
    return [row for row, cell in enumerate(cells) if cell[:2] != same or cell[2] in serious]


def worst(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the first objects that are not as they should be, narrow enough for a terminal."""
    columns = comparison.worst
    under = [
        [label_of(provider, name) for provider, name in zip(*pair, strict=True)]
        for side in ("before", "after")
        for pair in ((columns[f"{side}_provider"], columns[f"{side}_key_name"]),)
    ]
    cells = zip(*(columns[name] for name in SUMMARY[:4]), *under, columns["finding"], strict=True)
    return list(SUMMARY), [[str(cell) for cell in row] for row in cells]


def label_of(provider: str | int, name: str | int) -> str:
    return f"{provider}/{name}" if name else str(provider)


def unexamined(comparison: Comparison) -> list[str]:
    """The gaps, and everything that was not examined or concluded on, of both sides."""
    lines = [f"Gap in {name}: {gap.source}: {gap.reason}" for name, each in _sides(comparison) for gap in each.gaps]
    sides: dict[tuple[str, str], list[str]] = {}
    for name, audit in _sides(comparison):
        for part in audit.unexamined:
            sides.setdefault((part.what, part.reason), []).append(name)
    lines += [f"{' and '.join(names)}: {what}: {reason}" for (what, reason), names in sides.items()]
    return lines + [f"{part.what}: {part.reason}" for part in comparison.unexamined]


def notes(comparison: Comparison) -> list[str]:
    sides: dict[str, list[str]] = {}
    for name, audit in _sides(comparison):
        for note in audit.notes:
            sides.setdefault(note, []).append(name)
    return [*comparison.notes, *(f"{' and '.join(names)}: {note}" for note, names in sides.items())]


def _sides(comparison: Comparison) -> tuple[tuple[str, Audit], tuple[str, Audit]]:
    return ("BEFORE", comparison.before), ("AFTER", comparison.after)


def revision(evidence: Evidence) -> str:
    compacted = evidence.backend.compacted
    if not evidence.backend.revision:
        return "unknown"
    return f"{evidence.backend.revision:,}" + (f", compacted at {compacted:,}" if compacted is not None else "")
