"""The address of a user's mails, proved by a code that is sent there, as a phone is.

Without a proof, somebody could have mails sent to anybody of the deployment's domains. The code
takes the way of every mail; it is valid for half an hour, since mail may be slow, and a few tries.
"""

import secrets
from datetime import datetime, timedelta

from service.accounts.people.model import User
from service.crypto import Keyring
from service.delivery.notices import mail_proof_store as store
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection
from service.words.phrase import Phrase, phrase

CODE = "mail_code"
"""The kind of field that a code is encrypted as until its mail has left."""
CODE_VALID = timedelta(minutes=30)
MOST_TRIES = 5
MOST_CODES = 3
"""How many codes one user has in 24 hours, and one address gets."""


async def send_code(
    conn: Connection, keyring: Keyring, actor: User, address: str, now: datetime
) -> None:
    """Have a code sent to an address of the actor's, unless one that is valid is on its way.

    Raises:
        Conflict: there were too many.
    """
    address_hash = _address_hash(keyring, address)
    if await store.has_code(conn, actor.id, address_hash, now - CODE_VALID):
        return
    if max(await store.count_codes(conn, actor.id, address_hash, now)) >= MOST_CODES:
        raise Conflict(
            phrase(
                "there were {most_codes} codes in 24 hours; try tomorrow", most_codes=MOST_CODES
            ),
            code="too_many",
        )
    code = f"{secrets.randbelow(10**6):06d}"
    hashes = (address_hash, _code_hash(keyring, actor, address_hash, code))
    await store.insert_code(conn, actor.id, hashes, keyring.encrypt(CODE, code), now)


async def prove_address(
    conn: Connection, keyring: Keyring, actor: User, address: str | None, code: str, now: datetime
) -> None:
    """Take the code that was sent to the actor's address, which is proved then.

    A try is counted, so the transaction must be kept also where this raises.

    Raises:
        Conflict: no code is valid, or it was tried too often.
        Invalid: it is another code.
    """
    sent = await store.try_code(conn, actor.id, now - CODE_VALID)
    wanted = _address_hash(keyring, address) if address is not None else b""
    if sent is None or sent.address_hash != wanted or sent.tries > MOST_TRIES:
        raise Conflict(
            phrase(
                "no code is valid: each is for {minutes} minutes and {most_tries} tries; save your"
                " notices again for a new one",
                minutes=CODE_VALID.seconds // 60,
                most_tries=MOST_TRIES,
            ),
            code="no_code",
        )
    expected = _code_hash(keyring, actor, sent.address_hash, code)
    if not secrets.compare_digest(expected, sent.code_hash):
        raise Invalid.at(
            "code",
            phrase(
                "it is not the code that was sent; {most_tries} tries are left",
                most_tries=MOST_TRIES - sent.tries,
            ),
        )
    await store.set_proved(conn, actor.id, now)


def code_sentence(code: str) -> Phrase:
    """What the mail of a code says."""
    return phrase(
        "The code that proves this address is {code}. It is valid for {minutes} minutes; tell it to"
        " nobody. Whoever did not ask for it need do nothing.",
        code=code,
        minutes=CODE_VALID.seconds // 60,
    )


CODE_SUBJECT = phrase("Tocsin: the code for your address")


def _address_hash(keyring: Keyring, address: str) -> bytes:
    return keyring.index("mail", address.lower())


def _code_hash(keyring: Keyring, actor: User, address_hash: bytes, code: str) -> bytes:
    return keyring.index("mail_code", f"{actor.id} {address_hash.hex()} {code}")
