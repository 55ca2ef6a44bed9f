"""The services that --kms may name: a module and a row each."""

from importlib import import_module
from typing import Any

from auditor.encryption.kms.address import Address
from auditor.encryption.kms.interface import Service
from auditor.errors import MissingExtra, UsageError
from auditor.text import shown

SERVICES = {
    "aws": "aws",
    "azure": "azure",
    "gcp": "gcp",
    "vault": "vault",
    "pkcs11": "pkcs11",
    "file": "file",
}
"""By scheme the module of this folder whose connect() takes an Address."""


def connect(address: Address) -> Service:
    """The service of an address; nothing is dialled yet. Raises UsageError."""
    module = SERVICES.get(address.scheme)
    if module is None:
        raise UsageError(f"--kms {shown(address.name)}: {shown(address.scheme)} is none of {', '.join(SERVICES)}")
    # the libraries of the clouds are large, and load where one is named
    service: Service = import_module(f"auditor.encryption.kms.{module}").connect(address)
    return service


def need(address: Address, extra: str, *modules: str) -> list[Any]:
    """Libraries of an extra. Raises MissingExtra where one is absent."""
    try:
        return [import_module(module) for module in modules]
    except ImportError as error:
        raise MissingExtra(address.option, error.name or modules[0], extra) from None
