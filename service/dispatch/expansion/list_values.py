"""What lists say of the people of a ledger, copied into it as ciphers when it is written.

A run whose text takes nothing of lists has none of this: its ledger is one statement. The others
cost a second write of each row, since only the program has the key.
"""

import json
import uuid
from collections.abc import Iterable, Sequence

from service.campaigns.audience.audience_source import AudienceSource
from service.campaigns.audience.exclusion_store import ExclusionTerms
from service.crypto import Keyring
from service.dispatch.compose import VARIABLES
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.drill import nobodys
from service.dispatch.expansion.expansion_notes import ExpansionNotes
from service.messages.template import SAMPLE_VALUES
from service.messages.value_sources import LIST_VARIABLES
from service.storage.postgres import Connection


async def write_with_values(
    conn: Connection,
    keyring: Keyring | None,
    run_id: uuid.UUID,
    terms: ExclusionTerms,
    source: AudienceSource,
    notes: ExpansionNotes,
    before: int,
    *,
    drill: bool,
) -> int:
    """Write a ledger with the values of its people, in its transaction; returns how many people
    were written.

    before: how many rows it has already. drill: the values are nobody's, as long as those of the
    person.

    Raises:
        ValueError: there is no keyring.
    """
    if keyring is None:
        raise ValueError("a ledger with values of lists needs the keyring")
    facts, target = tuple(source.said), 0
    batch: list[tuple[int, bytes]] = []
    found = await expand_store.write_ledger_with_values(conn, run_id, terms, source, before)
    async for no, people, *said in found:
        values = map(nobodys, said) if drill else said
        batch.append((no, _cipher(keyring, facts, values)))
        target += 1
        if len(batch) == expand_store.VALUES_AT_ONCE:
            await expand_store.set_values(conn, run_id, batch)
            await notes.tell(target, people)
            batch = []
    if batch:
        await expand_store.set_values(conn, run_id, batch)
    return target


async def fill_with_samples(
    conn: Connection,
    keyring: Keyring | None,
    run_id: uuid.UUID,
    facts: Sequence[str],
    numbers: range,
    notes: ExpansionNotes,
) -> None:
    """Give the people of a later text of a drill ordinary values: they are on no list. numbers: of
    their rows.

    Raises:
        ValueError: there is no keyring.
    """
    if keyring is None:
        raise ValueError("a ledger with values of lists needs the keyring")
    named: dict[str, str] = {
        fact: name for name, fact in LIST_VARIABLES.items() if name in SAMPLE_VALUES
    }
    values = [nobodys(SAMPLE_VALUES[named[fact]]) for fact in facts]
    for first in range(0, len(numbers), expand_store.VALUES_AT_ONCE):
        nos = numbers[first : first + expand_store.VALUES_AT_ONCE]
        await expand_store.set_values(
            conn, run_id, [(no, _cipher(keyring, facts, values)) for no in nos]
        )
        await notes.tell(first + len(nos), len(numbers))


def _cipher(keyring: Keyring, facts: Sequence[str], values: Iterable[str]) -> bytes:
    said = dict(zip(facts, values, strict=True))
    return keyring.encrypt(VARIABLES, json.dumps(said, ensure_ascii=False))
