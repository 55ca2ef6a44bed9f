"""Silence of the libraries that speak to a KMS: at their debug level some log tokens and whole answers."""

import http.client
import logging
from collections.abc import Iterator
from contextlib import contextmanager

FAMILIES = ("azure", "boto3", "botocore", "google", "hvac", "msal", "pkcs11", "requests", "urllib3")
"""The roots of their loggers."""
_NOTHING = logging.CRITICAL + 1


@contextmanager
def quiet() -> Iterator[None]:
    """While it lasts no logger of these libraries writes anything, whatever level it or its children have.

    Nor does http.client, which all of them use: its debug level prints requests with their tokens. It holds for the
    process: a library logs in threads of its own.
    """
    named = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in FAMILIES]
    loggers = [logging.getLogger(name) for name in {*named, *FAMILIES}]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    printing = http.client.HTTPConnection.debuglevel
    try:
        for logger in loggers:
            logger.disabled = True
            logger.setLevel(_NOTHING)  # loggers that are made meanwhile have the level of their root
        http.client.HTTPConnection.debuglevel = 0
        yield
    finally:
        http.client.HTTPConnection.debuglevel = printing
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled
