"""The sentences that the terminal and the HTML report share: verdict, next steps, tables of counts."""

from auditor.model import Audit, Coverage, Finding, Place, Provider, Severity, Verdict
from auditor.reports import causes

MOST_PAGES = 12
RANGE = "range"
"""The way in which a live etcd gives no database, but keys."""


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def verdict(audit: Audit, fail_on: Severity) -> list[str]:
    """The conclusion in one or two sentences, exit code included."""
    code = f"(exit {audit.exit_code(fail_on)})"
    tally = audit.tally
    held = accepted(audit)
    if audit.verdict is Verdict.NONE:
        return [f"NO FINDINGS IN WHAT WAS EXAMINED {code}"]
    if audit.verdict is Verdict.INCONCLUSIVE:
        return [f"INCONCLUSIVE: no findings in what was examined, and not everything was {code}"]
    if tally.readable:
        what = _objects(audit)
        where = _places(tally.readable_places)
        lines = [f"FINDINGS: {plural(tally.readable, 'readable value')} of {what}, {where} {code}"]
        if told := _in_use(audit):
            lines.append(f"{told}: these credentials are in use.")
        if tally.undetermined:
            asked = f"Whether {tally.undetermined:,} of them are credentials in use is unknown"
            lines.append(f"{asked}: they could not be compared with the current values.")
        return [*lines, *held]
    return [f"FINDINGS: no readable value; {others(audit)} {code}", *held]


def current(audit: Audit) -> int:
    """How many current values are readable."""
    return sum(
        count
        for place, provider, _, count, _ in audit.tally.places
        if place is Place.LATEST and provider is Provider.IDENTITY and place in audit.tally.readable_places
    )


def _in_use(audit: Audit) -> str:
    """Which of the readable values are, or hold, what is in use; empty where none is known to."""
    same, now = audit.tally.in_use, current(audit)
    if not now:
        return f"{same:,} of them hold the same content as the current value" if same else ""
    also = f", and {plural(same, 'leftover')} {'holds' if same == 1 else 'hold'} the same content" if same else ""
    return f"{now:,} of them {'is the current value' if now == 1 else 'are current values'}{also}"


def accepted(audit: Audit) -> list[str]:
    """How many findings are accepted, in a sentence; nothing where none is."""
    count = sum(count for *_, count in audit.tally.accepted)
    total = sum(count for *_, count in audit.tally.marks)
    if not count:
        return []
    verb = "is" if count == 1 else "are"
    return [f"{count:,} of {plural(total, 'finding')} {verb} accepted: counted, and without a say in the exit code."]


def baseline(audit: Audit) -> str:
    """What became of an earlier report's findings, in one line; empty where there is none."""
    told = audit.baseline
    if told is None:
        return ""
    moved = f" ({told.moved:,} of them to another place, where they are new)" if told.moved else ""
    gone = "gone" if audit.complete else "not found again, where not everything was read"
    of = "the same evidence" if told.same_evidence else "other evidence"
    return f"{told.name} ({of}): {told.new:,} new, {told.still:,} still there, {len(told.gone):,} {gone}{moved}"


def control(audit: Audit) -> str:
    """Whether this run was able to find something, in one line; empty where no control ran."""
    if audit.control is None:
        return ""
    first = next(iter(audit.resources), "secrets")
    noun = {"secrets": "Secret", "*": "Secret", "configmaps": "ConfigMap"}.get(first, "object")
    if audit.control.found:
        return f"a planted plaintext {noun} was found"
    return f"A PLANTED PLAINTEXT {noun.upper()} WAS NOT FOUND: what this run did not find is unproven"


def names(audit: Audit) -> str:
    """What became of the names of objects; empty where they stand as they are."""
    if not audit.redaction:
        return ""
    how = "ordinals" if audit.redaction.startswith("ordinals") else "pseudonyms made with a key"
    return f"namespaces, names and uids are replaced by {how} (--redact-names)"


def _objects(audit: Audit) -> str:
    resources = audit.resources
    noun = (
        {"secrets": "Secret", "configmaps": "ConfigMap"}.get(resources[0], "object")
        if len(resources) == 1
        else "object"
    )
    return plural(audit.tally.objects, noun)


def _places(places: tuple[Place, ...]) -> str:
    names = ["freed pages" if place is Place.FREED else place.label for place in places]
    if len(names) == 1:
        return f"all in {names[0]}"
    return f"in {', '.join(names[:-1])} and {names[-1]}"


def others(audit: Audit) -> str:
    """Findings other than plaintext, counted."""
    return ", ".join(
        f"{plural(count, 'value')} {finding.label} ({severity.label})"
        for finding, severity, count in audit.tally.marks
        if finding is not Finding.PLAINTEXT
    )


def next_steps(audit: Audit) -> list[str]:
    """What to do now, the evidence and the credentials first."""
    if not audit.tally.readable:
        return []
    steps = ["preserve this evidence"]
    known = audit.tally.in_use if not (current(audit) or audit.tally.undetermined) else 0
    count = known or audit.tally.objects
    steps.append(f"rotate the {plural(count, 'credential')}")
    following = causes.KINE_NEXT if causes.is_kine(audit) else causes.NEXT_PLACE
    steps += dict.fromkeys(following[place] for place in audit.tally.readable_places if place in following)
    if not causes.is_kine(audit) and {Place.LATEST, Place.HISTORY, Place.DELETED} & set(audit.tally.readable_places):
        steps.append(causes.NEXT_PLACE[Place.FREED])
    steps = list(dict.fromkeys(steps))
    steps[-1] += ", then take and audit new backups"
    return steps


def causes_table(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and rows: for each place with readable values, why they lie there and what would stop it."""
    causes_ = causes.of(audit)
    rows = [[place.label, *causes_[place]] for place in audit.tally.readable_places]
    return ["place", "why it is there", "what would stop the next backup from carrying it"], rows


def kind(audit: Audit) -> str:
    """The file's kind and the store's revision, for one line."""
    backend, cluster = audit.evidence.backend, audit.evidence.cluster
    if audit.parts:
        return audit.evidence.kind
    compacted = f"compacted at {backend.compacted:,}" if backend.compacted is not None else "never compacted"
    alone = audit.evidence.kind == causes.LOG_ALONE
    parts = [audit.evidence.kind if alone else f"{audit.evidence.kind}; revision {backend.revision:,}"]
    ranged = audit.evidence.live is not None and audit.evidence.live.way == RANGE
    if not ranged and not alone and not audit.evidence.kind.startswith(causes.DUMP):
        parts[0] += f", {compacted}"
    if backend.storage_version:
        parts.append(f"etcd storage version {backend.storage_version}")
    elif backend.cluster_version:
        parts.append(f"etcd cluster version {backend.cluster_version}")
    if cluster.uid:
        parts.append(f"Kubernetes cluster {cluster.uid} created {cluster.created}")
    elif not cluster.prefixes:
        parts.append("no Kubernetes storage prefix found")
    if cluster.newest:
        parts.append(f"newest object time {cluster.newest}")
    return "; ".join(parts)


def extent(audit: Audit) -> str:
    """How much was read."""
    sources = audit.evidence.sources
    size = sum(each.size for each in sources)
    return f"{plural(len(sources), 'file')}, {size:,} bytes" if len(sources) > 1 else f"{size:,} bytes"


def scope(audit: Audit) -> str:
    if audit.parts:
        return "each is one member's"
    if causes.is_kine(audit):
        alone = audit.evidence.kind == causes.LOG_ALONE
        return "what was written last, without the database" if alone else "one server's database"
    if audit.evidence.kind.startswith(causes.DUMP):
        return "current keys, without their history"
    live = audit.evidence.live
    if live is not None and live.way == RANGE:
        return "current keys of the cluster, without their history"
    return "one member's data directory" if audit.evidence.directory else "one member's database"


def live(audit: Audit) -> str:
    """Through whom a live etcd was read; empty for evidence of another kind."""
    told = audit.evidence.live
    if told is None:
        return ""
    asked = "at" if told.way == RANGE else "asked at"
    through = f"{told.way} of {told.endpoint}: member {told.member_id} of cluster {told.cluster_id}"
    return f"{through}, etcd {told.etcd_version}, {asked} revision {told.revision:,}"


def sha256(audit: Audit) -> str:
    """The evidence's own hash, and what it is of."""
    if audit.parts:
        return hashed(audit)
    if audit.evidence.sha256:
        return f"{audit.evidence.sha256} ({hashed(audit)})"
    live = audit.evidence.live
    return "none: a range is no file" if live is not None and live.way == RANGE else "not computed"


def hashed(audit: Audit) -> str:
    """Which file the evidence's own hash is of."""
    if audit.parts:
        return "each piece has its own, in the reports"
    if not audit.evidence.directory and len(audit.evidence.sources) == 1:
        return "whole file"
    main = next((each.name for each in audit.evidence.sources if each.sha256 == audit.evidence.sha256), "")
    return f"{main}; the other files' are in the reports"


def trailer(audit: Audit) -> str:
    evidence = audit.evidence
    if audit.parts:
        return {"matches": "match", "none": "see each piece"}.get(evidence.trailer, evidence.trailer)
    if evidence.trailer == "none":
        return "none"
    covered = f"etcd's hash of the first {evidence.size - evidence.trailer_bytes:,} bytes"
    return f"{evidence.trailer} ({covered})"


def part_table(audit: Audit, fail_on: Severity) -> tuple[list[str], list[list[str]]]:
    """Header and rows: one line a piece of evidence, where there are several."""
    rows = [
        [
            part.name,
            "not read, see below" if part.problem else part.verdict.value,
            str(part.exit_code(fail_on)),
            *(
                ["", "", "", ""]
                if part.problem
                else [f"{part.values:,}", f"{part.readable:,}", f"{part.in_use:,}", f"{part.revision:,}"]
            ),
            part.sha256[:12],
        ]
        for part in audit.parts
    ]
    return ["evidence", "conclusion", "exit", "values", "readable", "in use", "revision", "SHA-256"], rows


def place_table(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and rows: values of the selected resources by place and by provider and key."""
    columns: dict[tuple[Provider, str], None] = {}
    for _, provider, name, _, _ in audit.tally.places:
        if provider is not Provider.IDENTITY:
            columns[provider, name] = None
    names = [label(provider, name) for provider, name in columns]
    rows = []
    for place in dict.fromkeys(place for place, *_ in audit.tally.places):
        mine = {
            (provider, name): (count, opened)
            for where, provider, name, count, opened in audit.tally.places
            if where == place
        }
        encrypted = sum(count for key, (count, _) in mine.items() if key[0] is not Provider.IDENTITY)
        opened = sum(count for _, count in mine.values())
        readable = mine.get((Provider.IDENTITY, ""), (0, 0))[0]
        total = sum(count for count, _ in mine.values())
        counts = [f"{mine.get(column, (0, 0))[0]:,}" for column in columns]
        where = _pages(audit) if place is Place.FREED else ""
        rows.append([place.label, f"{total:,}", f"{readable:,}", *counts, f"{opened:,}" if encrypted else "-", where])
    return ["place", "values", "readable", *names, "opened", ""], rows


def _pages(audit: Audit) -> str:
    """Which freed pages hold readable values."""
    pages = audit.tally.freed_pages
    if len(pages) > MOST_PAGES:
        return plural(len(pages), "page")
    return f"{'page' if len(pages) == 1 else 'pages'} {' '.join(map(str, pages))}" if pages else ""


def coverage_table(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and rows: resource x provider, every place together, over the whole database."""
    labels = sorted({(row.provider, row.key_name) for row in audit.coverage})
    totals: dict[tuple[str, bool], dict[tuple[Provider, str], int]] = {}
    for row in audit.coverage:
        counts = totals.setdefault((_resource(row), row.exempt), {})
        counts[row.provider, row.key_name] = counts.get((row.provider, row.key_name), 0) + row.values
    rows = []
    for (resource, exempt), counts in sorted(totals.items()):
        name = f"{resource} (never encrypted)" if exempt else resource
        rows.append([name, *(f"{counts[column]:,}" if column in counts else "" for column in labels)])
    return ["resource", *(label(provider, name) for provider, name in labels)], rows


def _resource(row: Coverage) -> str:
    return row.resource or "keys under no prefix"


def label(provider: Provider, name: str) -> str:
    return f"{provider.label}/{name}" if name else provider.label
