"""KMS plugins that run in the cluster, by their own Pods in the evidence: parameters, and credentials in clear.

A plugin is a static Pod, whose mirror is stored like any other, or a container beside OpenShift's API servers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Bools
from auditor.arrays.parallel import chunks
from auditor.encryption.kms import pods
from auditor.encryption.kms.pods import Credential, PluginContainer
from auditor.evidence.layout import Layout
from auditor.evidence.reading import Reading
from auditor.hunt import field_path
from auditor.hunt.hit import CopyOf, Hit, HuntResult, Opens
from auditor.kubernetes.pod_containers import containers
from auditor.kubernetes.store import Classified, Store
from auditor.model.kms import PluginSuggestion
from auditor.model.vocabulary import Encoding, FindingKind, Opened, Place, Provider, State
from auditor.text import encode, printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

RESOURCE = "pods"
NAMESPACES = (
    b"kube-system", b"openshift-kube-apiserver", b"openshift-apiserver", b"openshift-oauth-apiserver",
)  # fmt: skip
"""Namespaces in which plugins run."""
PORTION = 1 << 8
"""Values that are read together."""
OWNER = "credential of a KMS plugin"


@dataclass(frozen=True, slots=True)
class _Pod:
    """One stored version of a Pod."""

    part: Classified
    row: int
    value: bytes
    opened: bool
    current: bool


def add(result: HuntResult, store: Store, reading: Reading, keyring: "Keyring | None", layout: Layout) -> HuntResult:
    """What was met elsewhere, with the plugins of the Pods in every place, and a hit for each credential of theirs.

    Args:
        result: of a hunt, or none.
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        keyring: opens encrypted Pods; None for no keys.
        layout: of the evidence.
    """
    hits: list[Hit] = []
    plugins: dict[PluginSuggestion, None] = {}
    head = {code: len(restore(each.path)) + 1 for code, each in enumerate(store.resources) if each.name == RESOURCE}
    for pod in _pods(store, reading, keyring, head):
        code = int(pod.part.resource[pod.row])
        for container, plugin in _recognised(pod):
            key = pod.part.batch.key(pod.row)
            name = printable(key[head[code] :])
            suggestion = PluginSuggestion(
                service=plugin.service,
                pod=name,
                container=printable(encode(container)),
                urls=plugin.urls,
                current=pod.current,
                credentials=tuple(each.where for each in plugin.credentials),
            )
            plugins[suggestion] = None
            hits += (_hit(pod, plugin, each, head[code], layout) for each in plugin.credentials)
    if not plugins:
        return result
    return replace(result, hits=(*result.hits, *hits), plugins=_newest(plugins))


def _newest(plugins: dict[PluginSuggestion, None]) -> tuple[PluginSuggestion, ...]:
    """Those of current Pods, and earlier ones that say something else."""
    current = [each for each in plugins if each.current]
    said = {(each.service, each.urls) for each in current}
    return (*current, *(each for each in plugins if not each.current and (each.service, each.urls) not in said))


def _recognised(pod: _Pod) -> Iterator[tuple[str, PluginContainer]]:
    encoding = Encoding.PROTOBUF if pod.value.startswith(b"k8s\0") else Encoding.JSON
    encoding = encoding if pod.value[:1] in {b"k", b"{"} else Encoding.CBOR
    for container in containers(pod.value, encoding) or ():
        plugin = pods.recognise(container)
        if plugin is not None:
            yield container.name, plugin


def _pods(store: Store, reading: Reading, keyring: "Keyring | None", head: dict[int, int]) -> Iterator[_Pod]:
    """The readable Pods of the namespaces in every place."""
    codes = np.array(sorted(head), np.int32)
    for part in store.parts if codes.size else ():
        batch = part.batch
        rows = np.flatnonzero(np.isin(part.resource, codes) & part.stores & (batch.key_at >= 0))
        if not rows.size:
            continue
        part = part.take(rows)
        part = part.take(_inside(part, head) & ~part.batch.has(State.HEAD_LOST | State.TAIL_LOST))
        current = part.batch.at(Place.LATEST) & reading.serves(part.batch.source)
        for own in chunks(len(part), PORTION):
            rows = np.arange(own.start, own.stop)
            for row, value, opened in _values(part, rows.tolist(), keyring):
                yield _Pod(part, row, value, opened, bool(current[row]))


def _inside(part: Classified, head: dict[int, int]) -> Bools:
    """Whether each Pod is of one of the namespaces."""
    start = np.array([head.get(code, 0) for code in range(int(part.resource.max(initial=0)) + 1)])[part.resource]
    inside = np.zeros(len(part), np.bool_)
    for name in NAMESPACES:
        size = np.maximum(part.batch.key_size - start, 0)
        inside |= part.batch.data.starts_with(part.batch.key_at + start, size, name + b"/")
    return inside


def _values(part: Classified, rows: list[int], keyring: "Keyring | None") -> Iterator[tuple[int, bytes, bool]]:
    """Row, bytes and whether they were encrypted, of those that can be read."""
    provider = part.prefixes.provider
    sealed = [row for row in rows if provider[row] > Provider.IDENTITY]
    for row in rows:
        if provider[row] == Provider.IDENTITY:
            yield row, part.batch.value(row), False
    if keyring is None or not sealed:
        return
    stored = [part.batch.value(row) for row in sealed]
    attempts = keyring.open(RESOURCE, part.batch.associated(np.array(sealed)), stored)
    for row, attempt in zip(sealed, attempts, strict=True):
        if attempt.opened is Opened.YES:
            yield row, attempt.plaintext, True


def _hit(pod: _Pod, plugin: PluginContainer, credential: Credential, head: int, layout: Layout) -> Hit:
    batch, row, text = pod.part.batch, pod.row, encode(credential.text)
    begin = max(pod.value.find(text), 0)
    offset, size = (int(batch.offset[row]), int(batch.size[row])) if pod.opened else batch.part(row, begin, len(text))
    path = field_path.locate(pod.value, begin, len(text))
    where = f"{' inside the decrypted value' if pod.opened else ''}{f' in={path}' if path else ''}"
    return Hit(
        finding=FindingKind.KEY_PRESENT,
        source=batch.source,
        offset=offset,
        size=size,
        place=Place(int(batch.place[row])),
        copy=CopyOf(OWNER, credential.where, 0, 0),
        form="raw",
        resource=RESOURCE,
        key=printable(batch.key(row)),
        path_size=head,
        provider=Provider(int(pod.part.prefixes.provider[row])),
        mod_revision=int(batch.mod_revision[row]),
        page=layout.page(batch.source, int(batch.value_at[row])) if batch.mapped else int(batch.page[row]),
        opened=pod.opened,
        path=path,
        opens=Opens(0),
        remark=f"{OWNER} for {plugin.service.value}, {credential.where}{where}: whoever reads it can ask for data keys",
    )
