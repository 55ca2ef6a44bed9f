"""A real server of Azure's blobs (Microsoft's Azurite, of npm's registry) on a port of its own, and its account."""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

REQUIRED = "AUDITOR_REQUIRE_AZURITE"
"""Where this is set a missing server is a failure."""
ACCOUNT, CONTAINER = "auditor", "backups"
KEY = base64.b64encode(b"the key of the account").decode()
WRONG = base64.b64encode(b"the key of another one").decode()
# the clients' version of the protocol is often newer than the newest that the server has heard of
ARGUMENTS = ("--inMemoryPersistence", "--blobPort", "0", "--silent", "--disableTelemetry", "--skipApiVersionCheck")


def connection(address: str, key: str = KEY) -> dict[str, str]:
    """The environment in which the account can be read."""
    parts = {"DefaultEndpointsProtocol": "http", "AccountName": ACCOUNT, "AccountKey": key, "BlobEndpoint": address}
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    return {"AZURE_STORAGE_CONNECTION_STRING": text}


def signed_url(address: str, name: str) -> str:
    """The URL of an object with the signature that lets it be read without a key."""
    until, may = datetime.now(UTC) + timedelta(hours=1), BlobSasPermissions(read=True)
    signature = generate_blob_sas(ACCOUNT, CONTAINER, name, account_key=KEY, permission=may, expiry=until)
    return f"{address}/{CONTAINER}/{name}?{signature}"


@contextmanager
def server(objects: Mapping[str, bytes]) -> Iterator[str]:
    """The address of the account, with one container of these objects."""
    program = shutil.which("azurite-blob")
    if program is None:
        missing = "az:// is not tried: there is no azurite-blob on the PATH (npm install azurite)"
        if os.environ.get(REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    with subprocess.Popen([program, *ARGUMENTS], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            line = next(line for line in process.stdout if "listens on" in line)
            address = f"{line.split()[-1]}/{ACCOUNT}"
            with BlobServiceClient(address, KEY).create_container(CONTAINER) as container:
                for name, raw in objects.items():
                    container.upload_blob(name, raw)
            yield address
        finally:
            process.kill()
