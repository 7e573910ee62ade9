"""What leaves for somebody with a certificate: CMS enveloped data (RFC 5652), AES-256, RSA.

`openssl cms -decrypt` opens it, and so do the tools that carriers have for tax and bank files.
"""

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7EnvelopeBuilder,
    PKCS7Options,
)
from cryptography.x509 import Certificate, load_pem_x509_certificate

from service.errors import Conflict
from service.words.phrase import phrase

MEDIA_TYPE = "application/pkcs7-mime"
LEAST_BITS = 2048


def check_certificate(pem: str) -> None:
    """Refuse what nothing can be encrypted to.

    Raises:
        ValueError: it is no certificate, or its key is none of RSA or too short.
    """
    _read(pem)


def check_valid(pem: str, now: datetime) -> None:
    """Refuse a certificate that is not valid now.

    Raises:
        Conflict: it is so.
        ValueError: as `check_certificate`.
    """
    certificate = _read(pem)
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not first <= now <= last:
        raise Conflict(
            phrase(
                "the certificate is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d} only;"
                " ask the carrier for a new one and set it in the channel",
                first=first,
                last=last,
            ),
            code="certificate_expired",
        )


def seal(data: bytes, pem: str, now: datetime) -> bytes:
    """Octets that only the owner of a certificate can read, as CMS in DER.

    Raises:
        Conflict, ValueError: as `check_valid`.
    """
    check_valid(pem, now)
    builder = PKCS7EnvelopeBuilder().set_data(data).add_recipient(_read(pem))
    builder = builder.set_content_encryption_algorithm(AES256)
    return builder.encrypt(Encoding.DER, [PKCS7Options.Binary])


def _read(pem: str) -> Certificate:
    try:
        certificate = load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise ValueError(
            phrase(
                "it is no certificate in PEM; give the whole file, from -----BEGIN"
                " CERTIFICATE----- on"
            )
        ) from error
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError(  # noqa: TRY004  # of what somebody typed
            phrase("its key is none of RSA; ask for a certificate with an RSA key")
        )
    if key.key_size < LEAST_BITS:
        raise ValueError(
            phrase(
                "its key has {key_size} bits; ask for {least_bits:,} or more",
                key_size=key.key_size,
                least_bits=LEAST_BITS,
            )
        )
    return certificate
