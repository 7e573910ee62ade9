"""Passwords, one-time codes and recovery codes: how they are made and told (no I/O).

Passwords are hashed by Argon2id with the parameters of RFC 9106's and OWASP's advice for servers
(19 MiB, two passes, parallelism 1). One-time codes are those of RFC 6238 as every authenticator
makes them: SHA-1, six digits, 30 seconds.
"""

import base64
import secrets
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from service.errors import Invalid
from service.words.phrase import phrase

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 128

_MEMORY_KIB, _PASSES, _PARALLELISM = 19_456, 2, 1
_STEP_SECONDS = 30
_DRIFT = (-1, 0, 1)
"""A code of the step before or after is taken: clocks differ, and people type slowly."""

RECOVERY_CODES = 10


def check_password(password: str, login: str) -> None:
    """Refuse a password that is easily found.

    Raises:
        Invalid: says what is wrong with it, never the password.
    """
    problem = ""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        problem = phrase(
            "take {least_characters} to {most_characters} characters",
            least_characters=LEAST_CHARACTERS,
            most_characters=MOST_CHARACTERS,
        )
    elif login.casefold() in password.casefold():
        problem = phrase("do not put the login into the password")
    elif len(set(password)) < LEAST_CHARACTERS // 2:
        problem = phrase("take more different characters")
    if problem:
        raise Invalid(
            phrase("the password is too weak: {problem}", problem=problem), fields={"new": problem}
        )


def new_password() -> str:
    """A password for once: 80 random bits."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def hash_password(password: str) -> str:
    """What is stored of a password; takes a tenth of a second of the processor."""
    return _argon2(secrets.token_bytes(16)).derive_phc_encoded(password.encode())


def _argon2(salt: bytes) -> Argon2id:
    return Argon2id(
        salt=salt, length=32, iterations=_PASSES, lanes=_PARALLELISM, memory_cost=_MEMORY_KIB
    )


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return hash_password(secrets.token_urlsafe())


def is_password(password: str, stored: str | None) -> bool:
    """Whether this is the password; it takes as long where there is none, so that nobody learns
    by the clock which logins there are.
    """
    try:
        Argon2id.verify_phc_encoded(password.encode(), stored or _nobodys())
    except InvalidKey:
        return False
    return stored is not None


def new_secret() -> bytes:
    """A secret that an authenticator shares with us."""
    return secrets.token_bytes(20)


def secret_text(secret: bytes) -> str:
    """The secret as people type it into an authenticator."""
    return base64.b32encode(secret).decode()


def secret_uri(secret: bytes, login: str) -> str:
    """The secret as a QR code carries it (otpauth://…)."""
    return _totp(secret).get_provisioning_uri(login, "Tocsin")


def code_at(secret: bytes, step: int) -> str:
    """The code of one step."""
    return _totp(secret).generate(step * _STEP_SECONDS).decode()


def step_of(now: datetime) -> int:
    """The number of the 30 seconds that an instant is in."""
    return int(now.timestamp()) // _STEP_SECONDS


def step_of_code(secret: bytes, code: str, now: datetime, after: int) -> int | None:
    """The step whose code this is, if it is a recent one that was not taken yet."""
    for drift in _DRIFT:
        step = step_of(now) + drift
        if step > after and secrets.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, 6, SHA1(), _STEP_SECONDS)  # noqa: S303  # RFC 6238


def new_recovery_codes() -> list[str]:
    """Codes that each open the door once, when the authenticator is lost: 50 random bits each."""
    return [secrets.token_hex(7)[:13] for _ in range(RECOVERY_CODES)]
