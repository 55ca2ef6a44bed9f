"""Backups of MicroK8s' dbctl: the etcd key of each object in one member, its stored value in another.

canonical/k8s-dqlite pkg/migrator/migrator.go: `N.key` and `N.data`, N from 0 on; it restores up to the first N that is
not there.
"""

from auditor.evidence.containers import object_backups
from auditor.evidence.containers.residue import holds_value
from auditor.evidence.objects.tar_members import Member
from auditor.evidence.objects.values import Value, Values

LONGEST_KEY = 1 << 12


class Pairs:
    """The members of one backup. values: where their objects are added."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._keys: dict[int, Member] = {}
        self._data: dict[int, Member] = {}

    def add(self, member: Member) -> None:
        """Add a member; a gap where it is none of dbctl's, or the second of its name."""
        name = object_backups.DBCTL.fullmatch(member.name.decode("utf-8", "surrogateescape"))
        if name is None:
            content = self._values.file.map[member.at : member.end]
            if holds_value(content) or b"\0" in content:
                reason = f"a member at offset {member.at:,} is no object of this backup: searched"
                self._values.gap(member.at, member.end, reason)
            else:
                self._values.structure(member.at, member.end)
            return
        own = self._keys if name["part"] == "key" else self._data
        if int(name["number"]) in own:
            reason = f"the member at offset {member.at:,} has a name that another has: searched"
            self._values.gap(member.at, member.end, reason)
            return
        own[int(name["number"])] = member

    def close(self) -> None:
        """Add the objects; gaps for keys without value, for values without key, and for numbers that are missing."""
        values = self._values
        for number, member in sorted(self._data.items()):
            key = self._keys.get(number)
            if key is None or not 0 < key.size <= LONGEST_KEY:
                reason = f"the value at offset {member.at:,} has no key beside it: searched"
                values.gap(member.at, member.end, reason)
                continue
            values.structure(key.at, key.end)
            values.add(
                Value(
                    values.file.map[key.at : key.end], values.file.map[member.at : member.end], member.at, member.size
                )
            )
        for number, key in sorted(self._keys.items()):
            if number not in self._data:
                values.gap(key.at, key.end, f"the key at offset {key.at:,} has no value beside it")
        every = self._keys.keys() | self._data.keys()
        if every and len(every) <= max(every):
            missing = max(every) + 1 - len(every)
            values.gap(0, 0, f"{missing:,} of its {max(every) + 1:,} objects are not there: cut, or not packed whole")
