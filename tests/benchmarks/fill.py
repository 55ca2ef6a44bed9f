"""Fill a real etcd as a Kubernetes cluster would and save its snapshot, for the benchmarks.

    python -m tests.benchmarks.fill TARGET [--keys 400000] [--megabytes 1500] [--short 12] [--plaintext] [--churn]

One eighth of the keys are Secrets of about 1 KB: encrypted with aescbc (key `key1`, 32 zero-to-31 bytes), or
plain with --plaintext. The rest are pods, events, ConfigMaps and leases. --short gives each Secret a value of so
many random bytes instead. --churn rewrites values and compacts until about 30 % of the pages are free.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from auditor.protobuf import kubernetes_pb2 as k8s
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers.etcd import Etcd

KEY = bytes(range(32))
PUTS_A_TRANSACTION = 100


def stored(kind: bytes, namespace: str, name: str, size: int, rng: random.Random, short: int = 0) -> bytes:
    """The bytes that kube-apiserver would store: k8s\\0 and the envelope around one object."""
    meta = k8s.ObjectMeta(name=name.encode(), namespace=namespace.encode(), uid=rng.randbytes(16).hex().encode())
    meta.creation_timestamp.seconds = 1_790_000_000 + rng.randrange(1_000_000)
    secret = k8s.Secret(metadata=meta, type=b"Opaque")
    secret.data.add(key=b"password", value=rng.randbytes(short) or rng.randbytes(size // 2).hex().encode())
    unknown = k8s.Unknown(raw=secret.SerializeToString())
    unknown.type_meta.api_version, unknown.type_meta.kind = b"v1", kind
    return b"k8s\0" + unknown.SerializeToString() + b"\x1a\0\x22\0"


def aescbc(value: bytes, rng: random.Random) -> bytes:
    iv = rng.randbytes(16)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(iv)).encryptor()
    body = encryptor.update(padder.update(value) + padder.finalize()) + encryptor.finalize()
    return b"k8s:enc:aescbc:v1:key1:" + iv + body


def pairs(
    keys: int, megabytes: int, plaintext: bool, rng: random.Random, short: int = 0
) -> Iterator[tuple[bytes, bytes]]:
    secrets = keys // 8
    other = max(64, (megabytes * 1_000_000 - secrets * 1300) // (keys - secrets) - 500)
    pool = [(b"Pod", "pods"), (b"Event", "events"), (b"ConfigMap", "configmaps"), (b"Lease", "leases")]
    for number in range(keys):
        namespace = f"team-{number % 97:02}"
        if number % 8 == 0:
            value = stored(b"Secret", namespace, f"secret-{number:07}", 1000, rng, short)
            yield (
                f"/registry/secrets/{namespace}/secret-{number:07}".encode(),
                value if plaintext else aescbc(value, rng),
            )
        else:
            kind, resource = pool[number % 4]
            name = f"{resource}-{number:07}.17a{number:013x}"
            yield f"/registry/{resource}/{namespace}/{name}".encode(), stored(kind, namespace, name, other, rng)


def write(etcd: Etcd, work: Iterator[tuple[bytes, bytes]]) -> int:
    """Send transactions of 100 puts, several in flight; return the last revision."""
    call = etcd.channel.unary_unary(
        "/etcdserverpb.KV/Txn",
        request_serializer=rpc.TxnRequest.SerializeToString,
        response_deserializer=rpc.TxnResponse.FromString,
    )
    flight, revision = [], 0
    while True:
        chunk = [pair for _, pair in zip(range(PUTS_A_TRANSACTION), work, strict=False)]
        if chunk:
            puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value)) for key, value in chunk]
            flight.append(call.future(rpc.TxnRequest(success=puts)))
        if len(flight) > 16 or (flight and not chunk):
            revision = flight.pop(0).result().header.revision
        if not chunk and not flight:
            return revision


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("--keys", type=int, default=400_000)
    parser.add_argument("--megabytes", type=int, default=1500)
    parser.add_argument("--short", type=int, default=0)
    parser.add_argument("--plaintext", action="store_true")
    parser.add_argument("--churn", action="store_true")
    options = parser.parse_args()
    rng = random.Random(7)
    begin = time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=options.target.parent) as folder,
        Etcd(Path(folder) / "data", "--quota-backend-bytes=17179869184") as etcd,
    ):
        revision = write(etcd, pairs(options.keys, options.megabytes, options.plaintext, rng, options.short))
        if options.churn:
            again = pairs(options.keys, options.megabytes, options.plaintext, random.Random(7), options.short)
            revision = write(etcd, (pair for number, pair in enumerate(again) if number % 2 == 0))
            etcd.compact(revision)
            time.sleep(20)
        etcd.save(options.target)
    size, seconds = options.target.stat().st_size, time.monotonic() - begin
    print(f"{options.target}: {size:,} bytes, {options.keys:,} keys, revision {revision}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
