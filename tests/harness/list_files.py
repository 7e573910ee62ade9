"""A carrier that takes lists: its certificate, its channel, and what it makes of an archive."""

import asyncio
import contextlib
import csv
import hashlib
import io
import json
import secrets
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import pkcs7_decrypt_der
from cryptography.x509.oid import NameOID

from service.accounts.departments.department import DepartmentSettings
from service.accounts.departments.department_store import insert_department
from service.accounts.people.model import Role, User
from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import ChannelSettings
from service.delivery.list_files.list_file import look_at_lists
from service.delivery.receipts.inbox import Inbox
from service.delivery.receipts.receipts import fold_receipts, rematch_answered
from service.dispatch.handoff.channel_server import ChannelServer
from service.runtime import Runtime
from service.storage.postgres import transaction
from tests.factories import make_token, make_user
from tests.harness.keys import ADMIN
from tests.harness.waiting import until
from tests.integration.api.conftest import Api


@dataclass(frozen=True)
class CarrierKey:
    """pem: the certificate. key, certificate: what opens what was encrypted to it."""

    pem: str
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate


@cache
def carrier_key(bits: int = 2048) -> CarrierKey:
    """One for all tests of a process; its certificate is valid for a century."""
    return make_key(bits, datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC))


def make_key(bits: int, first: datetime, last: datetime) -> CarrierKey:
    key = rsa.generate_private_key(65_537, bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "carrier.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .sign(key, hashes.SHA256())
    )
    return CarrierKey(certificate.public_bytes(Encoding.PEM).decode(), key, certificate)


async def list_channel(api: Api, carrier: str, **more: Any) -> int:
    """A simulated channel over which a carrier takes lists."""
    body = {
        "name": f"{carrier} 名单",
        "kind": "list_file",
        "simulated": True,
        "carriers": [carrier],
        "config": {"certificate": carrier_key().pem},
        **more,
    }
    made = await api.post("/channels", ADMIN, body)
    assert made.status == 201, made.body
    number: int = made.json["id"]
    return number


def opened(data: bytes, key: CarrierKey | None = None) -> dict[str, bytes]:
    """The files of an archive, decrypted and checked against its manifest and signature."""
    key = key or carrier_key()
    whole = pkcs7_decrypt_der(data, key.certificate, key.key, [])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files["manifest.json"])
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256(files[name]).hexdigest() == digest
    assert files.keys() == {*manifest["sha256"], "manifest.json", "manifest.sig"}
    return files


def is_signed(files: Mapping[str, bytes], public_key: str) -> bool:
    """Whether a manifest is signed by this key; raises if not."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    key.verify(files["manifest.sig"], files["manifest.json"])
    return True


def lines_of(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files["list.csv"].decode("utf-8-sig"))))


def answered(
    lines: Sequence[Mapping[str, str]], said: Mapping[str, tuple[str, str]], encoding: str = "utf-8"
) -> bytes:
    """The list as a carrier gives it back. said: status and reason, by number."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(lines[0]))
    writer.writeheader()
    for line in lines:
        status, reason = said.get(line["手机号码"], ("", ""))
        writer.writerow({**line, "状态": status, "原因": reason})
    return text.getvalue().encode(encoding)


@contextlib.asynccontextmanager
async def channels_served(runtime: Runtime) -> AsyncIterator[ChannelServer]:
    """A channel process inside the test, whose receipts are folded at once."""

    async def fold(channel_id: int) -> None:
        await fold_receipts(runtime.pool, channel_id, runtime.clock.now())

    inbox = Inbox(runtime.pool, runtime.keyring, runtime.clock, fold)
    server = ChannelServer(runtime, inbox.deliver_for, rematch_answered)
    stop = asyncio.Event()
    receiving = asyncio.create_task(inbox.run())
    serving = asyncio.create_task(server.run(stop))
    try:
        yield server
    finally:
        stop.set()
        await serving
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


async def drawn(api: Api, who: tuple[str, str], channel: int) -> dict[str, Any]:
    """A list that somebody draws, when it is ready or empty; a channel process is there.

    The looks begin when all that waits is handed off, since a look does not wait for a busy
    machine.
    """
    made = await api.post("/list-files", who, {"channel_id": channel})
    assert made.status == 201, made.body

    await all_handed_off(api, channel)
    return await closed(api, who, made.json["id"])


async def all_handed_off(api: Api, channel: int) -> None:
    """Until a connection is up and no slice of a channel is open."""

    async def handed_off() -> bool:
        waits: int = await api.runtime.pool.fetchval(
            "SELECT count(*) FROM slices WHERE channel_id = $1 AND done_at IS NULL", channel
        )
        up: bool = await api.runtime.pool.fetchval(
            "SELECT bool_or(state = 'up') FROM connections WHERE channel_id = $1", channel
        )
        return up and not waits

    await until(handed_off, what="all that waits handed off")


async def closed(api: Api, who: tuple[str, str], list_id: str) -> dict[str, Any]:
    """A list when it is ready or empty."""

    async def ready() -> Any:
        await look_at_lists(api.runtime.pool, api.clock.now())
        found = (await api.get(f"/list-files/{list_id}", who)).json
        return found if found["state"] in {"ready", "empty"} else None

    found: dict[str, Any] = await until(ready, what="a list that is ready", every=0.05)
    return found


async def prepare_lists(api: Api) -> tuple[dict[str, list[dict[str, str]]], str]:
    """A carrier's lists, one that waits to be fetched and one that was, and a channel of which none
    is being drawn; and the token of its operator, who alone may act on them.
    """
    operator = await _carrier_operator(api)
    async with transaction(api.runtime.pool) as conn:
        token = await make_token(conn, api.runtime.keyring, operator, api.clock.at)
    channels = [await list_channel(api, "china_mobile", name=f"名单{n}") for n in range(2)]
    waits, fetched = [await _ready_list(api, channels[0], operator) for _ in range(2)]
    await api.runtime.pool.execute(
        "UPDATE list_files SET fetches = 1, fetched_at = $2, fetched_by = $3 WHERE id = $1",
        fetched.list_id,
        api.clock.at,
        operator.id,
    )
    known = {
        "channel_id of draw_list": [{"channel_id": str(channels[1])}],
        "list_id": [{"list_id": str(waits.list_id)}],
        "list_id of fetch_archive": [{"list_id": str(waits.list_id)}],
        "list_id of read_results_file": [{"list_id": str(fetched.list_id)}],
        "list_id of give_counts": [{"list_id": str(fetched.list_id)}],
        "run_id of give_counts": [{"run_id": str(fetched.run_id)}],
    }
    return known, token


async def make_list(api: Api) -> UUID:
    """A list of some carrier that waits to be fetched."""
    operator = await _carrier_operator(api)
    settings = ChannelSettings(
        name=f"名单 {secrets.token_hex(3)}",
        kind="list_file",
        simulated=True,
        carriers=("china_mobile",),
        config=parse_settings("list_file", {"certificate": carrier_key().pem}),
    )
    async with transaction(api.runtime.pool) as conn:
        made = await insert_channel(conn, api.runtime.keyring, settings, api.clock.at)
    return (await _ready_list(api, made.id, operator)).list_id


async def _carrier_operator(api: Api) -> User:
    name = f"移动 {secrets.token_hex(3)}"
    async with transaction(api.runtime.pool) as conn:
        settings = DepartmentSettings(name=name, kind="carrier", carrier="china_mobile")
        department = await insert_department(conn, settings, api.clock.at)
        return await make_user(conn, Role.OPERATOR, now=api.clock.at, department_id=department.id)


class ReadyList(NamedTuple):
    """A list of one text, and the run of the text."""

    list_id: UUID
    run_id: UUID


async def _ready_list(api: Api, channel: int, operator: User) -> ReadyList:
    pool, now = api.runtime.pool, api.clock.at
    run: UUID = await pool.fetchval(
        "INSERT INTO runs (department_id, fire_at, state, priority, class, text, send_hours,"
        " timezone, created_at, kind, sent_by, target) VALUES ($1, $2, 'sent', 'normal',"
        " 'public_interest', '【某局】请注意。', '[]', 'Asia/Shanghai', $2, 'direct', $3, 1)"
        " RETURNING id",
        operator.department_id,
        now,
        operator.id,
    )
    number = "+8619790000001"
    await pool.execute(
        "INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles,"
        " state, attempt, part_count, marked_at, submitted_at)"
        " VALUES ($1, 1, $2, $3, $4, 'china_mobile', '{}', 'submitted', 1, 1, $5, $5)",
        run,
        api.runtime.keyring.phone_index(number),
        api.runtime.keyring.encrypt("phone", number),
        channel,
        now,
    )
    await pool.execute(
        "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)"
        " SELECT channel_id, $2, phone_hash, run_id, no, 1, attempt, $3 FROM messages"
        " WHERE run_id = $1",
        run,
        secrets.token_hex(6).encode(),
        now,
    )
    made: UUID = await pool.fetchval(
        "INSERT INTO list_files (channel_id, carrier, state, drawn_by, drawn_at, ready_at, lines)"
        " VALUES ($1, 'china_mobile', 'ready', $2, $3, $3, 1) RETURNING id",
        channel,
        operator.id,
        now,
    )
    await pool.execute("INSERT INTO list_file_lines VALUES ($1, 1, $2, 1, 1)", made, run)
    return ReadyList(made, run)
