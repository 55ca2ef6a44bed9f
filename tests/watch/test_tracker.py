"""The map that a watch keeps: whatever is applied twice, late or in pieces, the numbers are those of a plain model."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from auditor.model.vocabulary import Opened, Provider
from auditor.watch.progress import Progress, measure
from auditor.watch.tracker import StoredForm, Tracker

OLD = StoredForm(Provider.IDENTITY, "", "", "plaintext", Opened.NOT_TRIED)
NEW = StoredForm(Provider.AESCBC, "key1", "", "", Opened.YES)
KEYS = [b"/registry/secrets/%s/%d" % (namespace, number) for namespace in (b"a", b"b") for number in range(4)]
ROOTS = [("secrets", b"/registry/secrets/")]


def kms(kek: str) -> StoredForm:
    return StoredForm(Provider.KMS_V2, "vault", kek, "", Opened.YES)


@dataclass
class Model:
    """What a person would write down: of every key its form now, and whether it ever was another than wanted."""

    forms: dict[bytes, StoredForm] = field(default_factory=dict)
    counted: set[bytes] = field(default_factory=set)

    def change(self, key: bytes, form: StoredForm | None) -> None:
        if form is None:
            self.forms.pop(key, None)
            return
        self.forms[key] = form
        if form is OLD:
            self.counted.add(key)

    def numbers(self) -> tuple[int, int, int, int, int]:
        remaining = sum(form is OLD for form in self.forms.values())
        rewritten = sum(form is NEW and key in self.counted for key, form in self.forms.items())
        deleted = len(self.counted - self.forms.keys())
        return len(self.counted), remaining, rewritten, deleted, len(self.forms)


def progress_of(tracker: Tracker, now: float = 0.0) -> Progress:
    return measure(tracker, ROOTS, 0.0, now, 60.0, name_all=True)


def numbers(found: Progress) -> tuple[int, int, int, int, int]:
    whole = found.all
    assert whole.remaining + whole.rewritten + whole.deleted == whole.total
    for name in ("total", "remaining", "rewritten", "deleted", "present"):
        assert sum(getattr(share, name) for share in found.namespaces.values()) == getattr(whole, name)
    assert sum(count for *_, count in found.under) == whole.present
    assert len(found.remaining) == whole.remaining
    return whole.total, whole.remaining, whole.rewritten, whole.deleted, whole.present


changes = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([OLD, NEW, None])), max_size=40)
first = st.dictionaries(st.sampled_from(KEYS), st.sampled_from([OLD, NEW]))


@given(first, changes, st.data())
def test_the_numbers_add_up_at_every_step(
    start: dict[bytes, StoredForm], script: list[tuple[bytes, StoredForm | None]], data: st.DataObject
) -> None:
    """Events come in pieces; after each some that were applied already come again, or everything is read again."""
    tracker, model = Tracker({}), Model()
    revision = 10
    tracker.replace({key: (form, number) for number, (key, form) in enumerate(start.items(), 1)}, revision, None)
    now = {key: number for number, key in enumerate(start, 1)}
    for key, held in start.items():
        model.change(key, held)
    assert numbers(progress_of(tracker)) == model.numbers()
    events = [(key, form, revision + number) for number, (key, form) in enumerate(script, 1)]
    done = 0
    while done < len(events):
        size = data.draw(st.integers(1, 5))
        for key, form, main in events[done : done + size]:
            model.change(key, form)
            now[key] = main
        again = data.draw(st.integers(0, done))
        tracker.apply(events[again : done + size], 1.0)
        done = min(done + size, len(events))
        if data.draw(st.booleans()):
            whole = {key: (form, now[key]) for key, form in model.forms.items()}
            assert not tracker.contradicts(whole)
            tracker.replace(whole, revision + done, 1.0)
        assert numbers(progress_of(tracker)) == model.numbers()
        assert tracker.revision == revision + done


@given(first, changes)
def test_what_was_missed_is_made_up_for_by_reading_again(
    start: dict[bytes, StoredForm], script: list[tuple[bytes, StoredForm | None]]
) -> None:
    """After a compaction only the end is known: the forms are right, and every deletion of what was counted."""
    tracker, model = Tracker({}), Model()
    tracker.replace({key: (form, 1) for key, form in start.items()}, 1, None)
    now = dict.fromkeys(start, 1)
    for key, held in start.items():
        model.change(key, held)
    counted = set(model.counted)
    for number, (key, form) in enumerate(script, 2):
        model.change(key, form)
        now[key] = number
    whole = {key: (form, now[key]) for key, form in model.forms.items()}
    assert not tracker.contradicts(whole)
    tracker.replace(whole, len(script) + 2, 5.0)
    total, remaining, rewritten, deleted, present = numbers(progress_of(tracker))
    assert (remaining, present) == (model.numbers()[1], model.numbers()[4])
    assert total == len(counted | {key for key, form in model.forms.items() if form is OLD})
    assert deleted == len(counted - model.forms.keys())
    assert rewritten == total - remaining - deleted


def test_what_no_store_shows_after_what_was_read_contradicts_it() -> None:
    tracker = Tracker({})
    tracker.replace({KEYS[0]: (OLD, 5), KEYS[1]: (NEW, 6)}, 9, None)
    tracker.apply([(KEYS[0], NEW, 12), (KEYS[1], None, 13)], 1.0)
    for later in ({KEYS[0]: (NEW, 12)}, {KEYS[0]: (OLD, 14), KEYS[1]: (NEW, 15), KEYS[2]: (OLD, 10)}, {}):
        assert not tracker.contradicts(later)
    assert tracker.contradicts({KEYS[0]: (OLD, 5)})  # before it was rewritten
    assert tracker.contradicts({KEYS[0]: (OLD, 12)})  # another value at the same revision
    assert tracker.contradicts({KEYS[1]: (NEW, 6)})  # before it was deleted
    assert tracker.contradicts({KEYS[2]: (OLD, 8)})  # of a revision at which it was not there
    # the keys open it no more: the value is the same
    assert not tracker.contradicts({KEYS[0]: (replace(NEW, findings="unopened", opened=Opened.NOT_TRIED), 12)})


def test_a_kek_that_takes_over_makes_the_others_remain() -> None:
    """Of a KMS whose current KEK is not known that of the newest value is presumed."""
    tracker = Tracker({})
    tracker.replace({KEYS[0]: (kms("kek-a"), 5), KEYS[1]: (kms("kek-a"), 6)}, 6, None)
    assert numbers(progress_of(tracker)) == (0, 0, 0, 0, 2)
    tracker.apply([(KEYS[0], kms("kek-b"), 7)], 1.0)
    assert numbers(progress_of(tracker)) == (1, 1, 0, 0, 2)
    assert [(each.object.key, each.why) for each in progress_of(tracker).remaining] == [(KEYS[1].decode(), "stale-kek")]
    tracker.apply([(KEYS[1], kms("kek-b"), 8)], 2.0)
    assert numbers(progress_of(tracker)) == (1, 0, 1, 0, 2)


def test_a_kek_that_was_read_in_any_order() -> None:
    """The first read comes in the order of keys: what counts is known at its end."""
    tracker = Tracker({})
    tracker.replace({KEYS[0]: (kms("kek-b"), 5), KEYS[1]: (kms("kek-a"), 3), KEYS[2]: (kms("kek-b"), 9)}, 9, None)
    assert numbers(progress_of(tracker)) == (1, 1, 0, 0, 3)


def test_a_kek_that_is_known() -> None:
    tracker = Tracker({"vault": "kek-a"})
    tracker.replace({KEYS[0]: (kms("kek-b"), 9), KEYS[1]: (kms("kek-a"), 3)}, 9, None)
    assert [each.object.key for each in progress_of(tracker).remaining] == [KEYS[0].decode()]


def test_rate_time_left_and_what_is_stuck() -> None:
    tracker = Tracker({})
    tracker.replace(dict.fromkeys(KEYS, (OLD, 1)), 1, None)
    progress = progress_of(tracker, now=30.0)
    assert (progress.rate, progress.seconds_left, progress.idle, progress.stuck) == (0.0, None, None, ())
    tracker.apply([(KEYS[0], NEW, 2), (KEYS[2], NEW, 3)], 40.0)
    progress = progress_of(tracker, now=50.0)
    assert progress.rate == 2 / 50
    assert progress.seconds_left == 6 * 25
    assert progress.idle == 10.0
    assert not progress.stuck  # not for long enough
    progress = progress_of(tracker, now=101.0)
    assert [(each.object.name, each.stuck) for each in progress.stuck] == [
        ("1", "passed over: objects behind it were rewritten")
    ]
    assert progress.rate == 0.0  # the window has moved on
    tracker.apply([(KEYS[7], OLD, 4)], 102.0)
    assert [each.object.name for each in progress_of(tracker, now=103.0).stuck] == ["1", "3"]
    assert "written again" in progress_of(tracker, now=103.0).stuck[1].stuck
    tracker.apply([(key, NEW, 5) for key in KEYS], 104.0)
    progress = progress_of(tracker, now=105.0)
    assert (progress.seconds_left, progress.stuck) == (0.0, ())


def test_keys_become_names_that_are_safe_to_print() -> None:
    tracker = Tracker({})
    key = b"/registry/secrets/n\x1b[31m/x\xff"
    tracker.replace({key: (OLD, 1), b"/registry/secrets/cluster-scoped": (OLD, 2)}, 2, None)
    named = [(each.object.resource, each.object.namespace, each.object.name) for each in progress_of(tracker).remaining]
    assert named == [("secrets", "", "cluster-scoped"), ("secrets", "n\\x1b[31m", "x\\xff")]
