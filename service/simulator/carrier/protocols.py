"""The protocols that a simulated carrier speaks, a row each: what differs beside the wire.

How a protocol says it is the module of its name in `service/simulator/wire/`; where it listens is
`NAME_port` of the settings.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from service.protocols.cmpp.digest import message_id


class ProtocolTraits(NamedTuple):
    """What a carrier has to know of a protocol.

    id_prefix, id_suffix: how it writes ids: what a second with the gateway's code becomes, and a
        sequence number.
    number_characters: how long the number that a handset writes to may be.
    whole_texts: whether a handset's text is handed over in one, whatever its length.
    """

    id_prefix: Callable[[datetime, int], bytes]
    id_suffix: Callable[[int], bytes]
    number_characters: int = 21
    whole_texts: bool = False


def _cmpp_prefix(at: datetime, gateway: int) -> bytes:
    return message_id(at, gateway, 0).to_bytes(8, "big")[:6]


def _smgp_prefix(at: datetime, gateway: int) -> bytes:
    """SMGP 3.0.3 §6: the gateway's code in 6 digits and MMDDhhmm in 8, two digits an octet."""
    return bytes.fromhex(f"{gateway % 1_000_000:06d}{at:%m%d%H%M}")


def _sgip_prefix(at: datetime, gateway: int) -> bytes:
    return gateway.to_bytes(4, "big") + int(f"{at:%m%d%H%M%S}").to_bytes(4, "big")


def _hexadecimal(at: datetime, _: int) -> bytes:
    return b"%X" % int(at.timestamp())


PROTOCOLS: Mapping[str, ProtocolTraits] = {
    "cmpp": ProtocolTraits(_cmpp_prefix, lambda number: (number & 0xFFFF).to_bytes(2, "big")),
    "sgip": ProtocolTraits(_sgip_prefix, lambda number: (number & 0xFFFF_FFFF).to_bytes(4, "big")),
    "smgp": ProtocolTraits(_smgp_prefix, lambda number: bytes.fromhex(f"{number % 1_000_000:06d}")),
    "smpp": ProtocolTraits(
        _hexadecimal, lambda number: b"%06X" % (number & 0xFF_FFFF), number_characters=20
    ),
    "twilio": ProtocolTraits(
        lambda at, _: b"SM%016x" % int(at.timestamp()),
        lambda number: b"%016x" % number,
        whole_texts=True,
    ),
    "http": ProtocolTraits(
        lambda at, _: b"m-%x-" % int(at.timestamp()),
        lambda number: b"%08x" % number,
        whole_texts=True,
    ),
}
"""What a simulated carrier can speak, by the name of the protocol's module."""
