"""TLS around an SMPP link: whom to trust, and what a failed handshake means."""

import ssl
from functools import lru_cache

from service.channels.contract.gateway import Unreachable
from service.words.phrase import phrase

MOST_CONTEXTS = 64
"""Contexts that are kept; far more than a system has channels under TLS."""


@lru_cache(MOST_CONTEXTS)
def context(authorities: str, *, verify: bool) -> ssl.SSLContext:
    """A client's context, made once for these settings and shared by all their links.

    Making one reads the system's certificates, which takes tens of milliseconds: in a thread. What
    the system trusts from then on is known after a restart.

    authorities: certificates in PEM that are trusted instead of the system's; "" for those.
    verify: False takes any certificate.

    Raises:
        ValueError: `authorities` holds no certificate.
    """
    try:
        made = ssl.create_default_context(cadata=authorities or None)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(phrase("this is no certificate in PEM")) from error
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def failure(address: str, error: ssl.SSLError) -> Unreachable:
    """What to tell somebody about a handshake that failed; it needs a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            phrase(
                "the certificate of {address} is not trusted: {why}; give its"
                " authority in tls_ca, or correct tls_server_name",
                address=address,
                why=error.verify_message,
            ),
            retryable=False,
            code="untrusted_certificate",
            quoted=error.verify_message,
        )
    why = str(error.reason or error)
    return Unreachable(
        phrase(
            "no TLS at {address}: {why}; check the port, or turn tls off", address=address, why=why
        ),
        retryable=False,
        code="no_tls",
        quoted=why,
    )
