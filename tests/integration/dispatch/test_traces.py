"""A span a slice: from its claim until its last result is recorded."""

import pytest

from service.clock import Clock
from service.crypto import Keyring
from service.storage.postgres import Pool
from service.tracing import tracing
from tests.harness.collector import collecting
from tests.harness.ledger import phone
from tests.harness.runs import handed_off, ready
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

PEOPLE = 250


async def test_each_slice_is_a_span_with_its_channel_run_and_count(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    simulate: Simulate,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.dispatch.expansion.expand.SLICE_ROWS", 100)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with tracing():
            async with simulate() as carrier, pool.acquire() as conn:
                channel, run = await ready(
                    pool, conn, keyring, clock, carrier.ports["cmpp"], PEOPLE
                )
                await serve()
                await until(lambda: handed_off(conn, run))

                async def all_done() -> bool:
                    done = "SELECT count(*) = 0 FROM slices WHERE done_at IS NULL"
                    return bool(await conn.fetchval(done))

                await until(all_done)
                slices = await conn.fetchval("SELECT count(*) FROM slices")
    assert slices > 1
    spans = [values for name, values in collector.spans if name == "slice"]
    assert len(spans) == len(collector.spans) == slices
    assert sum(int(values["tocsin.texts"]) for values in spans) == PEOPLE
    for values in spans:
        assert values.pop("tocsin.texts")
        assert values == {"tocsin.channel": channel.name, "tocsin.run_id": str(run)}
    whole = b"".join(collector.requests)
    assert [n for n in range(PEOPLE) if phone(n).encode() in whole] == []
