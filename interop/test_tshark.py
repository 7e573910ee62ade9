"""tshark's dissectors on what we really wrote: no malformed packet, and the same fields as ours."""

import asyncio
import subprocess
from pathlib import Path

from interop.capture import Capture, captured
from interop.install import environment
from service.channels.contract.gateway import Submission
from service.channels.contract.outcome import Outcome
from service.protocols.cmpp import pdu as cmpp
from service.protocols.cmpp.packet import PDU as CMPPPDU
from service.protocols.frame import Frames
from service.protocols.smpp import pdu as smpp
from service.protocols.smpp.packet import PDU as SMPPPDU
from service.simulator.carrier.replies import Replies, Reply, originate
from service.simulator.run import running
from tests.harness import simulated, smpp_simulated
from tests.harness.session import PATIENCE_SECONDS

CMPP_PORT, SMPP_PORT = 7890, 2775
TEXTS = ("Flood warning: leave the valley.", "警钟", "警钟长鸣🔔" * 40)
MO = ("退订", "收到，谢谢" * 30)


def dissected(
    tshark: Path, file: Path, fields: tuple[str, ...], wanted: str = ""
) -> list[list[str]]:
    """One row a captured segment; a field that occurs several times has its values joined."""
    command = [str(tshark), "-n", "-r", str(file), "-T", "fields", "-E", "aggregator=;"]
    command += [word for name in fields for word in ("-e", name)]
    command += ["-Y", wanted] if wanted else []
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment(), timeout=60
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def values(rows: list[list[str]], at: int) -> list[str]:
    return [value for row in rows for value in row[at].split(";") if value]


def assert_nothing_is_malformed(tshark: Path, file: Path) -> None:
    faults = dissected(
        tshark,
        file,
        ("frame.number", "_ws.expert.message"),
        '_ws.malformed || _ws.expert.severity == "Error"',
    )
    assert faults == []


def frames(capture: Capture, minimum: int) -> list[bytes]:
    """Every frame in the order in which the segments ended."""
    streams = {end: Frames(minimum=minimum, maximum=65_536) for end in (True, False)}
    found = []
    for from_client, data in capture.segments:
        streams[from_client].feed(data)
        found += list(streams[from_client])
    return found


async def test_cmpp_30_is_dissected_without_a_fault_and_to_the_same_values(
    tshark: Path, tmp_path: Path
) -> None:
    config = simulated.simulator(profile="carrier", seed=1)
    inbox = smpp_simulated.Inbox()
    async with running(config) as carrier, captured(carrier.ports["cmpp"]) as capture:
        link = simulated.gateway(
            capture.port, inbox, allow_ascii=True, heartbeat_seconds=0.2, service_id="ALERT"
        )
        await link.open()
        results = await asyncio.gather(
            *[
                future
                for text in TEXTS
                for part in link.split(text)
                for future in link.submit(
                    [Submission(tuple(simulated.phones(many)), part, 7) for many in (1, 3)]
                )
            ]
        )
        parts = sum(len(link.split(text)) for text in TEXTS)
        accepted = sum(len(result.refs) for result in results)
        assert {result.outcome for result in results} == {Outcome.ACCEPTED}
        assert accepted == parts * 4
        originate(carrier.smsc, replies("19790000001"))
        await inbox.wait_for(accepted + 1 + 3)
        await heartbeat(capture, cmpp.ActiveTest.command, 12)
        await link.close(drain_seconds=1)

    file = tmp_path / "cmpp.pcap"
    capture.write(file, CMPP_PORT)
    assert_nothing_is_malformed(tshark, file)
    fields = ("cmpp.Command_Id", "cmpp.Sequence_Id", "cmpp.Dest_terminal_Id", "cmpp.Msg_Length")
    rows = dissected(
        tshark, file, (*fields, "cmpp.submit_resp.Result", "cmpp.deliver.Report.Status")
    )
    ours: list[tuple[int, CMPPPDU]] = [cmpp.decode(frame) for frame in frames(capture, 12)]
    submits = [pdu for _, pdu in ours if isinstance(pdu, cmpp.Submit)]
    carried = [pdu for _, pdu in ours if isinstance(pdu, cmpp.Submit | cmpp.Deliver)]
    assert [int(value, 0) for value in values(rows, 0)] == [pdu.command for _, pdu in ours]
    assert [int(value, 0) for value in values(rows, 1)] == [sequence for sequence, _ in ours]
    assert set(values(rows, 2)) >= {n for pdu in submits for n in pdu.dest_terminal_id}
    assert [int(value) for value in values(rows, 3)] == [len(pdu.msg_content) for pdu in carried]
    assert [int(value) for value in values(rows, 4)] == [0] * len(submits)
    assert values(rows, 5).count("DELIVRD") > 0
    kinds = {type(pdu) for _, pdu in ours}
    assert kinds == {
        *(cmpp.Connect, cmpp.ConnectResp, cmpp.Submit, cmpp.SubmitResp, cmpp.Deliver),
        *(cmpp.DeliverResp, cmpp.ActiveTest, cmpp.ActiveTestResp, cmpp.Terminate),
        cmpp.TerminateResp,
    }


async def test_smpp_is_dissected_without_a_fault_and_to_the_same_values(
    tshark: Path, tmp_path: Path
) -> None:
    config = smpp_simulated.config()
    inbox = smpp_simulated.Inbox()
    settings = {"allow_default_alphabet": True, "heartbeat_seconds": 0.2}
    async with (
        running(config) as carrier,
        captured(carrier.ports["smpp"]) as capture,
        smpp_simulated.connected(capture.port, inbox, **settings) as link,
    ):
        accepted = 0
        for text in TEXTS:
            results = await smpp_simulated.send(link, smpp_simulated.phones(3), text)
            assert {result.outcome for result in results} == {Outcome.ACCEPTED}
            accepted += len(results)
        originate(carrier.smsc, replies("8619790000001"))
        await inbox.wait_for(accepted + 1 + 3)
        await heartbeat(capture, 0x15, 16)

    file = tmp_path / "smpp.pcap"
    capture.write(file, SMPP_PORT)
    assert_nothing_is_malformed(tshark, file)
    fields = ("smpp.command_id", "smpp.sequence_number", "smpp.destination_addr", "smpp.message_id")
    rows = dissected(tshark, file, fields)
    ours: list[tuple[int, SMPPPDU]] = [smpp.decode(frame) for frame in frames(capture, 16)]
    assert [int(value, 0) for value in values(rows, 0)] == [pdu.command for _, pdu in ours]
    assert [int(value, 0) for value in values(rows, 1)] == [sequence for sequence, _ in ours]
    assert len(ours) > 4 * accepted


def replies(phone: str) -> Replies:
    """A short and a long text from a handset."""
    messages = [Reply(phone=phone, to="106900001234", text=text) for text in MO]
    return Replies(messages=tuple(messages))


async def heartbeat(capture: Capture, command: int, header: int) -> None:
    """Until a heartbeat has crossed the wire and has been answered."""
    asked, answered = command.to_bytes(4, "big"), (0x8000_0000 | command).to_bytes(4, "big")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not {asked, answered} <= {frame[4:8] for frame in frames(capture, header)}:
            await asyncio.sleep(0.05)
