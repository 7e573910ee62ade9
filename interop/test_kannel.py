"""Kannel as a client of our simulated SMSC: it logs in, sends, and gets receipts and replies.

The simulator writes its receipts in turn in the ways that are seen. One of them lacks the bit in
esm_class; Kannel goes by the bit alone and takes that one for a text.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import ClientSession, web

from interop.install import environment
from service.simulator.carrier.journal import submits
from service.simulator.carrier.replies import Replies, Reply, originate
from service.simulator.run import running
from tests.harness.smpp_simulated import ACCOUNT, PASSWORD, SENDER, config

PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.2
HANDSET = "8619790000001"
GSM, UCS2 = "0", "2"  # as Kannel counts codings
TEXTS = {
    "gsm": ("Flood warning: leave the valley [now]", GSM),
    "ucs2": ("警钟长鸣🔔", UCS2),
    "long": ("警" * 80, UCS2),
}
SUBMITTED, DELIVERED = "8", "1"

CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = {password}
smsbox-port = {smsbox}
box-allow-ip = 127.0.0.1

group = smsc
smsc = smpp
smsc-id = tocsin
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = {account}
smsc-password = {password}
system-type = ""
enquire-link-interval = 1
source-addr-ton = 0
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}

group = sendsms-user
username = {account}
password = {password}
concatenation = true
max-messages = 5

group = sms-service
keyword = default
max-messages = 0
get-url = "http://127.0.0.1:{web}/reply?from=%p&to=%P&coding=%c&text=%b"
"""


class Callbacks:
    """What Kannel calls: /receipt with the state of a text, /reply with a text from a handset."""

    def __init__(self) -> None:
        self.receipts: list[Mapping[str, str]] = []
        self.replies: list[Mapping[str, str]] = []
        self._called = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        """Either."""
        calls = self.receipts if request.path == "/receipt" else self.replies
        raw = dict(parse_qsl(request.rel_url.raw_query_string, encoding="latin-1"))
        coding = "utf-16-be" if raw.get("coding") == UCS2 else "utf-8"
        async with self._called:
            calls.append(raw | {"text": raw.get("text", "").encode("latin-1").decode(coding)})
            self._called.notify_all()
        return web.Response()

    async def until(self, calls: int) -> None:
        """Until there were so many calls of both kinds together."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._called:
            await self._called.wait_for(lambda: len(self.receipts) + len(self.replies) >= calls)


@asynccontextmanager
async def called() -> AsyncIterator[tuple[Callbacks, int]]:
    """The callbacks and the port they are at."""
    callbacks = Callbacks()
    application = web.Application()
    application.router.add_get("/{what:receipt|reply}", callbacks.take)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield callbacks, runner.addresses[0][1]
    finally:
        await runner.cleanup()


def free_port() -> int:
    """A port that nobody listens on; Kannel cannot choose its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def box(program: Path, folder: Path) -> AsyncIterator[None]:
    """One of Kannel's processes, with its output in a file."""
    with (folder / f"{program.name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(program, "kannel.conf"), cwd=folder, env=environment(), stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def until(session: ClientSession, url: str, words: str) -> None:
    """Until a page says something."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                async with session.get(url) as answer:
                    if words in await answer.text():
                        return
            except OSError:  # it does not listen yet
                pass
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def kannel_at(folder: Path, programs: Path, smsc: int, callbacks: int) -> AsyncIterator[str]:
    """Kannel, logged in at an SMSC; gives the address at which texts are sent."""
    ports = {name: free_port() for name in ("admin", "smsbox", "sendsms")}
    text = CONFIGURATION.format(
        **ports, smsc=smsc, web=callbacks, account=ACCOUNT, password=PASSWORD
    )
    (folder / "kannel.conf").write_text(text, encoding="utf-8")
    status = f"http://127.0.0.1:{ports['admin']}/status.txt?password={PASSWORD}"
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        await stack.enter_async_context(box(programs / "bearerbox", folder))
        await until(session, status, "(online")
        await stack.enter_async_context(box(programs / "smsbox", folder))
        await until(session, status, "smsbox:(none), IP 127.0.0.1")
        yield f"http://127.0.0.1:{ports['sendsms']}/cgi-bin/sendsms"


async def test_kannel_logs_in_sends_and_gets_receipts_and_replies(
    kannel: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    async with (
        running(config(journal=journal, journal_texts=True)) as carrier,
        called() as (callbacks, port),
        kannel_at(tmp_path, kannel, carrier.ports["smpp"], port) as url,
        ClientSession() as session,
    ):
        for name, (text, coding) in TEXTS.items():
            await submit(session, url, text, coding, f"http://127.0.0.1:{port}/receipt?id={name}")
        await callbacks.until(2 * len(TEXTS))
        originate(carrier.smsc, Replies(messages=(Reply(phone=HANDSET, to=SENDER, text="退订"),)))
        await callbacks.until(2 * len(TEXTS) + 1)
        entries = list(submits(journal))

    *misread, reply = callbacks.replies
    assert (reply["from"], reply["to"], reply["text"]) == (HANDSET, SENDER, "退订")
    assert all("stat:DELIVRD" in text["text"] for text in misread)
    states = [(receipt["id"], receipt["type"]) for receipt in callbacks.receipts]
    assert sorted(name for name, kind in states if kind == SUBMITTED) == sorted(TEXTS)
    delivered = {name for name, kind in states if kind == DELIVERED}
    assert len(delivered) == len(TEXTS) - len(misread) >= 2
    assert [entry["number"] for entry in entries] == [1, 1, 1, 2]
    assert {entry["phone"] for entry in entries} == {f"+{HANDSET}"}
    gsm, ucs2, *long = [entry["text"] for entry in entries]
    assert [gsm, ucs2, "".join(long)] == [text for text, _ in TEXTS.values()]


async def submit(session: ClientSession, url: str, text: str, coding: str, receipts: str) -> None:
    """Have Kannel send a text and report its states to an address."""
    query = {
        "username": ACCOUNT,
        "password": PASSWORD,
        "from": SENDER,
        "to": HANDSET,
        "charset": "UTF-8",
        "coding": coding,
        "text": text,
        "dlr-mask": str(int(SUBMITTED) | int(DELIVERED)),
        "dlr-url": f"{receipts}&type=%d",
    }
    async with session.get(url, params=query) as answer:
        assert (answer.status, await answer.text()) == (202, "0: Accepted for delivery")
