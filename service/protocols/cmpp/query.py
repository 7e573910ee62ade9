"""The packets that ask about and delete messages: QB-GF-028-2003 §8. Carriers rarely offer them."""

import struct
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from service.protocols.cmpp.packet import PDU, RESPONSE, exactly, read_text, write_text


@dataclass(frozen=True, slots=True)
class Query(PDU):
    """CMPP_QUERY: a day's counts."""

    command: ClassVar[int] = 0x6
    layout: ClassVar[struct.Struct] = struct.Struct(">8sB10s8x")
    reserve: ClassVar[int] = 8
    time: str  # 8
    query_type: int = 0  # 1
    query_code: str = ""  # 10

    def body(self) -> bytes:
        """The octets after the header."""
        return self.layout.pack(
            write_text(self.time, 8), self.query_type, write_text(self.query_code, 10)
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        day, query_type, query_code = cls.unpack(body)
        return cls(read_text(day), query_type, read_text(query_code))


@dataclass(frozen=True, slots=True)
class QueryResp(PDU):
    """CMPP_QUERY_RESP: of messages out (MT) and in (MO), how many went, wait and failed."""

    command: ClassVar[int] = RESPONSE | Query.command
    layout: ClassVar[struct.Struct] = struct.Struct(">8sB10s8I")
    time: str  # 8
    query_type: int  # 1
    query_code: str  # 10
    mt_tlmsg: int  # 4, as all that follow
    mt_tlusr: int
    mt_scs: int
    mt_wt: int
    mt_fl: int
    mo_scs: int
    mo_wt: int
    mo_fl: int

    def body(self) -> bytes:
        """The octets after the header."""
        counts = (getattr(self, field.name) for field in fields(self)[3:])
        code = write_text(self.query_code, 10)
        return self.layout.pack(write_text(self.time, 8), self.query_type, code, *counts)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        day, query_type, query_code, *counts = cls.layout.unpack_from(body)
        return cls(read_text(day), query_type, read_text(query_code), *counts)


@dataclass(frozen=True, slots=True)
class Cancel(PDU):
    """CMPP_CANCEL: delete a message that waits for its time."""

    command: ClassVar[int] = 0x7
    layout: ClassVar[struct.Struct] = struct.Struct(">Q")
    msg_id: int  # 8


@dataclass(frozen=True, slots=True)
class CancelResp(PDU):
    """CMPP_CANCEL_RESP; a peer may answer in the 2.0 form of one octet."""

    command: ClassVar[int] = RESPONSE | Cancel.command
    layout: ClassVar[struct.Struct] = struct.Struct(">I")
    success_id: int  # 4: 0 done, 1 failed

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        return cls(int.from_bytes(exactly(body, 0, 1 if len(body) < 4 else 4), "big"))
