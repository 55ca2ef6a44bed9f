"""Why an endpoint cannot be connected to, by sockets of our own: gRPC does not say."""

import socket
import ssl
from pathlib import Path

from auditor.errors import UsageError
from auditor.evidence.live.access import Access, Endpoint, shown

ALPN = ["h2"]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""RFC 9113, 3.4: the connection preface, with empty settings."""
SETTINGS = 4
"""The type of an HTTP/2 server's first frame (RFC 9113, 6.5), in its fourth byte."""
NO_HTTP2 = "what answers there is no etcd: it does not speak HTTP/2 (a web server, or etcd's metrics URL?)"
HANGS = "it takes connections and answers nothing: its process is frozen or hangs"
LONGEST = 5.0
"""Seconds for each step of a diagnosis at most."""
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_EOF_WHILE_READING"}


def authorities(access: Access) -> str:
    """The PEM file of the authorities of https endpoints. Raises UsageError where there is none."""
    if access.cacert:
        return access.cacert
    file = ssl.get_default_verify_paths().cafile
    if file is None:
        raise UsageError("this system has no file of authorities: name the cluster's with --cacert")
    return file


def context(access: Access) -> ssl.SSLContext:
    """The TLS settings of the PEM files. Raises UsageError where one of them is unreadable or no PEM file."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.set_alpn_protocols(ALPN)
    file = authorities(access)
    try:
        tls.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--cacert {shown(file)}: {_reason(error, 'it holds no PEM certificate')}") from None
    if not access.cert:
        return tls
    for option, path in (("--cert", access.cert), ("--key", access.key)):
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise UsageError(f"{option} {shown(path)}: {error.strerror}") from None
    try:
        tls.load_cert_chain(access.cert, access.key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError):
        what = f"--cert {shown(access.cert)} and --key {shown(access.key)}"
        raise UsageError(f"{what} are no PEM certificate and its key, or the key is locked by a password") from None
    return tls


def diagnose(endpoint: Endpoint, access: Access) -> str:
    """The obstacle to a connection; empty where there is none."""
    wait = min(access.timeout / 4, LONGEST)
    try:
        plain = _connected(endpoint, wait)
    except FileNotFoundError:
        return "there is no such socket"
    except socket.gaierror:
        return "its host name cannot be resolved"
    except ConnectionRefusedError:
        return "nothing listens there (connection refused)"
    except TimeoutError:
        return f"no connection within {wait:g} s"
    except OSError as error:
        return f"no connection: {error.strerror or type(error).__name__}"
    with plain:
        return _secured(plain, endpoint, access) if endpoint.secure else _greeted(plain)


def _connected(endpoint: Endpoint, wait: float) -> socket.socket:
    if not endpoint.socket:
        return socket.create_connection((endpoint.host, endpoint.port), timeout=wait)
    plain = socket.socket(getattr(socket, "AF_UNIX", -1))  # OSError on a system without it
    try:
        plain.settimeout(wait)
        plain.connect(endpoint.socket)
    except BaseException:
        plain.close()
        raise
    return plain


def _greeted(plain: socket.socket) -> str:
    """The obstacle after HTTP/2's preface, which a TLS server answers by hanging up."""
    try:
        plain.sendall(PREFACE)
        answer = plain.recv(SETTINGS)
        if not answer:
            return "it hangs up without an answer: is it https://?"
        return "" if len(answer) < SETTINGS or answer[-1] == SETTINGS else NO_HTTP2
    except TimeoutError:
        return HANGS
    except OSError:
        return "it hangs up without an answer: is it https://?"


def _secured(plain: socket.socket, endpoint: Endpoint, access: Access) -> str:
    """The obstacle in the TLS handshake."""
    greeted = False
    try:
        with context(access).wrap_socket(
            plain, server_hostname=access.server_name or endpoint.host or "localhost"
        ) as tls:
            greeted = True
            if tls.selected_alpn_protocol() != ALPN[0]:
                return NO_HTTP2
            if tls.version() == "TLSv1.3":
                # TLS 1.3: the refusal of a client certificate arrives with the first read
                tls.settimeout(0.5)
                tls.recv(1)
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted: {error.verify_message}"
    except ssl.SSLError as error:
        return _tls_error(error)
    except TimeoutError:
        return "" if greeted else HANGS
    except ConnectionResetError:  # a plain server may reset the unread handshake
        return "it hangs up instead of speaking TLS: is it http://?"
    except OSError as error:
        return f"no TLS connection: {error.strerror or type(error).__name__}"
    return ""


def _tls_error(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in _NO_TLS:
        return "it does not speak TLS: is it http://?"
    if "ALERT" in reason:
        alert = reason.rpartition("ALERT_")[2].lower().replace("_", " ")
        return f"it refuses our certificate ({alert}): check --cert and --key"
    if not reason:  # CPython 3.11.2 has no names for some of OpenSSL 3's
        return "it may not speak TLS: is it http://?"
    return f"no TLS connection ({reason.lower().replace('_', ' ')})"


def _reason(error: Exception, otherwise: str) -> str:
    return otherwise if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "") or otherwise


def _no_password() -> str:
    return ""  # else OpenSSL would ask on the terminal
