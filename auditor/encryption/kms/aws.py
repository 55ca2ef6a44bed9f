"""AWS KMS, through botocore.

Source: kubernetes-sigs/aws-encryption-provider pkg/plugin (the marker) and pkg/kmsplugin: Decrypt gets the blob and the
encryption context, and no key, since the blob names its own.
"""

import re
import threading
from collections.abc import Sequence
from typing import Any

from auditor.encryption.kms.address import Address
from auditor.encryption.kms.identify import ARN, AWS_MARKER, identify
from auditor.encryption.kms.interface import Answer, KmsError, KmsMismatch, KmsThrottled, KmsUntried, WrappedKey
from auditor.encryption.kms.services import need
from auditor.errors import UsageError
from auditor.model.kms import KmsService
from auditor.text import moment, shown

EXTRA = "aws"
TIMEOUT = 20
ATTEMPTS = 6
"""Tries of a call that is throttled or fails, with the waits of botocore's standard mode."""
_LOST_OR_DENIED = (
    "no permission (kms:Decrypt), or the KEK is deleted, or of another account or region: AWS does not say which"
)
_CODES: dict[str, tuple[type[KmsError], str]] = {
    "InvalidCiphertextException": (KmsMismatch, "it is damaged, or the encryption context is missing or another one"),
    "AccessDeniedException": (KmsUntried, _LOST_OR_DENIED),
    "DisabledException": (KmsUntried, "the KEK is disabled: an administrator can enable it, and nothing is lost"),
    "KMSInvalidStateException": (
        KmsUntried,
        "the KEK is pending deletion or import: until the date that its state names an administrator can cancel that, "
        "and from then on the data is lost",
    ),
    "IncorrectKeyException": (KmsMismatch, "another KEK wrapped it"),
    "KeyUnavailableException": (KmsUntried, "the KEK's store is not available: run again later"),
    "NotFoundException": (KmsUntried, "there is no such KEK in this region and account: it is deleted, or elsewhere"),
    "DependencyTimeoutException": (KmsThrottled, "AWS KMS answers too late: run again later"),
    "KMSInternalException": (KmsThrottled, "AWS KMS fails: run again later"),
    "LimitExceededException": (KmsThrottled, "throttled: run again later, or with --kms-budget"),
    "RequestLimitExceeded": (KmsThrottled, "throttled: run again later, or with --kms-budget"),
    "ThrottlingException": (KmsThrottled, "throttled: run again later, or with --kms-budget"),
    "NoCredentialsError": (KmsUntried, "no credentials were found"),
    "EndpointConnectionError": (KmsUntried, "it does not answer: check region, endpoint and network"),
    "ConnectTimeoutError": (KmsUntried, "it does not answer: check region, endpoint and network"),
    "ExpiredTokenException": (KmsUntried, "the credentials have expired"),
    "UnrecognizedClientException": (KmsUntried, "the credentials are not valid"),
    "InvalidSignatureException": (KmsUntried, "the credentials are not valid, or this machine's clock is wrong"),
}


_CODE = re.compile(r"[A-Z][A-Za-z]{2,60}|[0-9]{3}")
"""What names a failure; another text is the service's own."""
_STATES = frozenset({"DisabledException", "KMSInvalidStateException"})
"""Codes of which DescribeKey may say more."""
_KEY_STATES = {
    "Disabled": "the KEK is disabled: an administrator can enable it, and nothing is lost",
    "PendingDeletion": "the KEK is pending deletion: {until} an administrator can cancel that, from then on the data "
    "is lost",
    "PendingReplicaDeletion": "the KEK is pending deletion, once its replicas are gone: an administrator can cancel it",
    "PendingImport": "the KEK waits for its key material: whoever has it can import it again",
    "Unavailable": "the KEK's own key store is not connected: its administrator can connect it",
}


class Aws:
    """AWS KMS of one region."""

    label = KmsService.AWS.value
    remote = True
    batch = 1
    several = False

    def __init__(self, address: Address) -> None:
        address.only("context", "profile", "endpoint")
        session_module, config_module, self._errors = need(
            address, EXTRA, "botocore.session", "botocore.config", "botocore.exceptions"
        )
        endpoint = address.one("endpoint")
        self._context = dict(_pair(address, text) for text in address.each("context"))
        config = config_module.Config(
            connect_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
            max_pool_connections=16,
            # an endpoint of the environment or of a profile is none that the command names
            ignore_configured_endpoint_urls=True,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        try:
            self._session = session_module.Session(profile=address.one("profile") or None)
            region = address.place.strip("/") or self._session.get_config_variable("region")
            if not region:
                raise UsageError(f"{address.option} needs a region: write aws:REGION")
            self._client = self._session.create_client(
                "kms", region_name=region, endpoint_url=address.url(endpoint) if endpoint else None, config=config
            )
        except (self._errors.BotoCoreError, ValueError) as error:
            raise UsageError(f"{address.option} cannot be set up ({type(error).__name__})") from None
        self._region = region
        self._states: dict[str, str] = {}
        self._lock = threading.Lock()

    def key(self, wrapped: WrappedKey) -> str:
        kek = identify(wrapped)
        if kek is None or kek.service is not KmsService.AWS:
            raise KmsMismatch(f"it is no ciphertext of {self.label}")
        return kek.key or f"the key that the ciphertext names, in {self._region}"

    def principal(self) -> str:
        # KMS has no call that says who one is; CloudTrail has the access key's id
        credentials = self._session.get_credentials()
        return shown(f"access key {credentials.access_key}") if credentials is not None else ""

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        return [self._decrypt(wrapped) for wrapped in keys]

    def close(self) -> None:
        self._client.close()

    def _decrypt(self, wrapped: WrappedKey) -> Answer | KmsError:
        document, code = self._call(wrapped.wrapped.removeprefix(AWS_MARKER))
        if document is not None:
            metadata = document.get("ResponseMetadata", {})
            key = str(document.get("KeyId", ""))
            key, request = shown(key) if ARN.fullmatch(key) else "", shown(str(metadata.get("RequestId", "")))
            return Answer(bytes(document["Plaintext"]), key, None, request)
        name = code if _CODE.fullmatch(code) else "with no code of AWS'"
        kind, reason = _CODES.get(code, (KmsUntried, f"Decrypt fails ({name})"))
        kek = identify(wrapped)
        if code in _STATES and kek is not None and kek.key:
            reason = self._state(kek.key) or reason
        if kek is not None and kek.region not in {"", self._region}:
            reason = f"{reason}; the evidence names the region {kek.region}"
        return kind(f"{self.label} in {self._region}: {reason}")

    def _state(self, key: str) -> str:
        """What DescribeKey says of a KEK that does not decrypt, asked once for each; empty where it is not allowed."""
        with self._lock:
            if key not in self._states:
                try:
                    metadata = self._client.describe_key(KeyId=key)["KeyMetadata"]
                    date = metadata.get("DeletionDate")
                    until = f"until {moment(date.timestamp())}" if date is not None else "until its deletion date"
                    self._states[key] = _KEY_STATES.get(str(metadata.get("KeyState", "")), "").format(until=until)
                except (self._errors.ClientError, self._errors.BotoCoreError, AttributeError, KeyError, ValueError):
                    self._states[key] = ""
            return self._states[key]

    def _call(self, blob: bytes) -> tuple[dict[str, Any] | None, str]:
        """The answer and the code of a call; None where it failed. No text of the service or its library leaves."""
        try:
            return self._client.decrypt(CiphertextBlob=blob, EncryptionContext=self._context), ""
        except self._errors.ClientError as error:
            return None, str(error.response.get("Error", {}).get("Code", ""))
        except self._errors.BotoCoreError as error:
            return None, type(error).__name__


def connect(address: Address) -> Aws:
    return Aws(address)


def _pair(address: Address, text: str) -> tuple[str, str]:
    """An entry of the encryption context: its name ends at the first colon."""
    name, colon, value = text.partition(":")
    if not (name and colon):
        raise UsageError(f"{address.option} needs context=NAME:VALUE")
    return name, value
