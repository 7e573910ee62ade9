"""What the carrier's REPORT and DELIVER say: SGIP 1.2 §4.2.5 and §4.2.4."""

from service.channels.contract.gateway import Inbound, Receipt, UnreadReason
from service.coding import udh
from service.coding.data_coding import decode_chinese
from service.protocols.number import to_e164
from service.protocols.sgip import pdu
from service.protocols.sgip.sequence import reference
from service.protocols.sgip.status import report_meaning


def read(packet: pdu.Deliver | pdu.Report) -> Receipt | Inbound | UnreadReason:
    """What a command of the carrier says, or why that cannot be read."""
    if isinstance(packet, pdu.Deliver):
        return _inbound(packet)
    return UnreadReason.REPORT_ON_TEXT if packet.report_type else _receipt(packet)


def _receipt(report: pdu.Report) -> Receipt:
    meaning = report_meaning(report.state, report.error_code)
    return Receipt(
        ref=reference(report.submit_sequence),
        recipient=to_e164(report.user_number),
        state=meaning.state,
        code=f"{report.state}:{report.error_code}",
        reason=meaning.reason.value,
        done_at=None,
    )


def _inbound(deliver: pdu.Deliver) -> Inbound:
    content = deliver.message_content
    joining, body = udh.parse(content) if deliver.tp_udhi else (None, content)
    whole = udh.Concatenation(reference=0, total=1, number=1)
    place = joining or whole
    return Inbound(
        sender=to_e164(deliver.user_number) or deliver.user_number,
        recipient=deliver.sp_number,
        text=decode_chinese(body, deliver.message_coding),
        reference=place.reference,
        number=place.number,
        total=place.total,
    )
