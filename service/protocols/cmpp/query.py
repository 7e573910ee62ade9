"""The packets that ask about and delete messages: QB-GF-028-2003 §8. Carriers rarely offer them."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from service.protocols.cmpp.packet import PDU, read_text, write_text
from service.protocols.cmpp.version import CANCEL, QUERY, RESPONSE, Version, by_length


@dataclass(slots=True)
class Query(PDU):
    """CMPP_QUERY: a day's counts."""

    command: ClassVar[int] = QUERY
    reserve: ClassVar[int] = 8
    time: str  # 8
    query_type: int = 0  # 1
    query_code: str = ""  # 10

    def body(self, version: Version) -> bytes:
        """The octets after the header."""
        return version.layouts[self.command].pack(
            write_text(self.time, 8), self.query_type, write_text(self.query_code, 10)
        )

    @classmethod
    def parse(cls, body: bytes, version: Version) -> Self:
        """Read the octets after the header."""
        day, query_type, query_code = cls.unpack(body, version)
        return cls(read_text(day), query_type, read_text(query_code))


@dataclass(slots=True)
class QueryResp(PDU):
    """CMPP_QUERY_RESP: of messages out (MT) and in (MO), how many went, wait and failed."""

    command: ClassVar[int] = RESPONSE | QUERY
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

    def body(self, version: Version) -> bytes:
        """The octets after the header."""
        counts = (getattr(self, field.name) for field in fields(self)[3:])
        code = write_text(self.query_code, 10)
        layout = version.layouts[self.command]
        return layout.pack(write_text(self.time, 8), self.query_type, code, *counts)

    @classmethod
    def parse(cls, body: bytes, version: Version) -> Self:
        """Read the octets after the header."""
        day, query_type, query_code, *counts = cls.unpack(body, version)
        return cls(read_text(day), query_type, read_text(query_code), *counts)


@dataclass(slots=True)
class Cancel(PDU):
    """CMPP_CANCEL: delete a message that waits for its time."""

    command: ClassVar[int] = CANCEL
    msg_id: int  # 8


@dataclass(slots=True)
class CancelResp(PDU):
    """CMPP_CANCEL_RESP; read by length, since some peers keep to the other version."""

    command: ClassVar[int] = RESPONSE | CANCEL
    success_id: int  # 1 or 4: 0 done, 1 failed

    @classmethod
    def unpack(cls, body: bytes, version: Version) -> tuple[Any, ...]:  # noqa: ARG003  # by length
        """The field."""
        return by_length(cls.command, body).unpack_from(body)
