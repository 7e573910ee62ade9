"""The packets that ask for a day's counts; carriers rarely offer them."""

import struct
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from service.protocols.smgp.packet import PDU, RESPONSE, read_text, write_text


@dataclass(slots=True)
class Query(PDU):
    """Query: a day's counts."""

    command: ClassVar[int] = 0x7
    layout: ClassVar[struct.Struct] = struct.Struct(">8sB10s")
    query_time: str  # 8, YYYYMMDD
    query_type: int = 0  # 1: 0 totals, 1 by service
    query_code: str = ""  # 10

    def body(self) -> bytes:
        """The octets after the header."""
        return self.layout.pack(
            write_text(self.query_time, 8), self.query_type, write_text(self.query_code, 10)
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        day, query_type, query_code = cls.layout.unpack_from(body)
        return cls(read_text(day), query_type, read_text(query_code))


@dataclass(slots=True)
class QueryResp(PDU):
    """Query_Resp: of messages out (MT) and in (MO), how many went, wait and failed."""

    command: ClassVar[int] = RESPONSE | Query.command
    layout: ClassVar[struct.Struct] = struct.Struct(">8sB10s8I")
    query_time: str  # 8
    query_type: int  # 1
    query_code: str  # 10
    mt_tlmsg: int  # 4, as all that follow; a Reserve of 8 is the end
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
        day = write_text(self.query_time, 8)
        return self.layout.pack(day, self.query_type, code, *counts) + bytes(8)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        day, query_type, query_code, *counts = cls.layout.unpack_from(body)
        return cls(read_text(day), query_type, read_text(query_code), *counts)
