"""What `tocsin up` does with its channels at each start after the first."""

from pathlib import Path

from service.channels.config.store import list_channels
from service.local.simulated_channels import CARRIERS_OF, open_simulated_channels, set_channels
from service.runtime import Runtime
from service.storage.postgres import transaction


async def test_a_second_start_finds_its_channels_and_brings_them_up_to_date(
    runtime: Runtime, tmp_path: Path
) -> None:
    found = []
    for names, tps in ((tuple(CARRIERS_OF), 500), (("cmpp", "sgip"), 300)):
        channels = open_simulated_channels(tmp_path, names)
        async with transaction(runtime.pool) as conn:
            await set_channels(
                conn, runtime.keyring, channels, runtime.clock, tps=tps, window=32, connections=1
            )
            found.append(
                {channel.name: channel for channel in await list_channels(conn, runtime.keyring)}
            )
    first, second = found
    assert {name: channel.id for name, channel in first.items()} == {
        name: channel.id for name, channel in second.items()
    }
    assert {name: channel.tps for name, channel in second.items()} == dict.fromkeys(
        CARRIERS_OF, 300
    )
    assert {name for name, channel in second.items() if channel.enabled} == {"cmpp", "sgip"}
