"""Certificates as servers show them, trusted or not."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from cryptography import x509

from upgrade_flows import errors
from upgrade_flows.cloud.api import Certificate

TIMEOUT_S = 10.0


def certificate(url: str) -> Certificate:
    """Return what the server of an ``https`` address shows; nothing is asked of it.

    :raises Unavailable: it does not answer, or speaks no TLS.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # an expired one is to be seen, too, and nothing is sent
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
    except OSError as exc:
        raise errors.Unavailable(f"{host}:{port}: {exc}") from exc
    if not shown:
        raise errors.Unavailable(f"{host}:{port} shows no certificate")
    read = x509.load_der_x509_certificate(shown)
    return Certificate(
        subject=read.subject.rfc4514_string(),
        issuer=read.issuer.rfc4514_string(),
        expires=read.not_valid_after_utc.timestamp(),
    )
