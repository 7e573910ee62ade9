"""When the certificates expire that an operator wants to be reminded of."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from prometheus_client.core import Metric

from service.api.system.families import gauge
from service.logs import seldom

log = logging.getLogger(__name__)


def certificate_families(files: Sequence[Path], now: datetime) -> Iterator[Metric]:
    """Seconds until the first certificate of each file expires; 0: it has, or cannot be read."""
    left = [([file.name], _seconds_left(file, now)) for file in files]
    what = "Until a certificate expires; 0: it has, or cannot be read."
    yield gauge("tocsin_certificate_expiry_seconds", what, ["file"], left)


def _seconds_left(file: Path, now: datetime) -> float:
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        seldom(log, logging.WARNING, "a certificate cannot be read", file=str(file), why=str(error))
        return 0.0
    ends = min(one.not_valid_after_utc for one in certificates)
    return max(0.0, (ends - now).total_seconds())
