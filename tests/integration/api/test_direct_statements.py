"""What a direct send asks of PostgreSQL: it grows only by somebody who changes it here."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.api.routes import PREFIX
from service.storage.postgres import Pool
from service.web import ENTRY
from tests.factories import phone
from tests.harness.channels import channel
from tests.harness.direct_texts import OPERATOR, template
from tests.integration.api.conftest import Api

STATEMENTS = [
    "SELECT k.*",  # whose the key is
    "BEGIN",
    "SELECT pg_try_advisory_xact_lock",  # the Idempotency-Key, and an answer under it
    "SELECT t.id",  # the template
    "SELECT direct_send_limit",  # what bounds the send, the ways out, the policy of lint
    "WITH named AS",  # the run and its whole ledger
    "WITH entry AS",  # the entry in the audit trail, and the answer
    "COMMIT",
]


@contextmanager
def logged(*pools: Pool) -> Iterator[list[str]]:
    """The beginnings of all statements on the connections that the pools have open."""
    found: list[str] = []
    opened = [holder._con for pool in pools for holder in pool._holders if holder._con]
    for connection in opened:
        connection.add_query_logger(lambda record: found.append(" ".join(record.query.split())))
    try:
        yield found
    finally:
        for connection in opened:
            connection._query_loggers.clear()


@pytest.mark.parametrize("people", [1, 10])
async def test_a_send_takes_so_many_statements(api: Api, people: int) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    chosen = await template(api)

    async def send(first: int) -> None:
        headers = {
            "Authorization": f"Bearer {api.tokens[OPERATOR]}",
            "Idempotency-Key": f"from {first}",
        }
        body = {"template_id": chosen, "to": [phone(first + n) for n in range(people)]}
        sending = api.client.post(f"{PREFIX}/messages", headers=headers, json=body)
        async with sending as response:  # not `api.post`, which looks into the audit trail
            assert response.status == 202, await response.text()

    await send(100)  # opens the connections, and writes down that the key is used
    with logged(api.runtime.pool, api.client.app[ENTRY]) as found:
        await send(200)
    assert len(found) == len(STATEMENTS), found
    for statement, beginning in zip(found, STATEMENTS, strict=True):
        assert statement.startswith(beginning), found
