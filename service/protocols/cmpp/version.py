"""What CMPP 2.0 and 3.0 write differently, and every fixed layout of both: QB-GF-028-2003 §8.

The version octet of CONNECT decides for the whole connection. 3.0 widened all results from one
octet to four and handset numbers from 21 to 32, gave each number a type, and made the reserve of
SUBMIT and DELIVER a LinkID; 2.1 has the layouts of 2.0. Nothing else in this folder asks for the
version.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

RESPONSE = 0x8000_0000
"""The bit that makes a request's Command_Id that of its response."""

CONNECT = 0x1
TERMINATE = 0x2
SUBMIT = 0x4
DELIVER = 0x5
QUERY = 0x6
CANCEL = 0x7
ACTIVE_TEST = 0x8

REPORT_OCTETS_20 = 60
REPORT_OCTETS_30 = 71
"""The length of the report in a DELIVER, by the versions' books."""

_ALIKE = {
    CONNECT: struct.Struct(">6s16sBI"),
    TERMINATE: struct.Struct(""),
    RESPONSE | TERMINATE: struct.Struct(""),
    QUERY: struct.Struct(">8sB10s8x"),
    RESPONSE | QUERY: struct.Struct(">8sB10s8I"),
    CANCEL: struct.Struct(">Q"),
    ACTIVE_TEST: struct.Struct(""),
    RESPONSE | ACTIVE_TEST: struct.Struct(">B"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """One version of the protocol.

    name: as an account sheet says it. octet: as CONNECT says it. layouts: the fixed part of each
    packet by Command_Id. result_octets, terminal_octets, type_octets, link_id_octets: the widths of
    a result, a handset number, its type and the LinkID. reserve: what follows the LinkID. A width
    of 0 is a field that this version lacks.
    """

    name: str
    octet: int
    layouts: Mapping[int, struct.Struct]
    result_octets: int
    terminal_octets: int
    type_octets: int
    link_id_octets: int
    reserve: bytes


def _layouts(result: str, terminal: str, kind: str) -> Mapping[int, struct.Struct]:
    """The layouts, given the formats of a result, a handset number and the number's type."""
    return _ALIKE | {
        RESPONSE | CONNECT: struct.Struct(f">{result}16sB"),
        SUBMIT: struct.Struct(f">QBBBB10sB{terminal}{kind}BBB6s2s6s17s17s21sB"),
        RESPONSE | SUBMIT: struct.Struct(f">Q{result}"),
        DELIVER: struct.Struct(f">Q21s10sBBB{terminal}{kind}BB"),
        RESPONSE | DELIVER: struct.Struct(f">Q{result}"),
        RESPONSE | CANCEL: struct.Struct(f">{result}"),
    }


V20 = Version(
    name="2.0",
    octet=0x20,
    layouts=_layouts("B", "21s", "0s"),
    result_octets=1,
    terminal_octets=21,
    type_octets=0,
    link_id_octets=0,
    reserve=bytes(8),
)
V21 = replace(V20, name="2.1", octet=0x21)
V30 = Version(
    name="3.0",
    octet=0x30,
    layouts=_layouts("I", "32s", "1s"),
    result_octets=4,
    terminal_octets=32,
    type_octets=1,
    link_id_octets=20,
    reserve=b"",
)

VERSIONS = (V20, V21, V30)
BY_NAME = {version.name: version for version in VERSIONS}
BY_OCTET = {version.octet: version for version in VERSIONS}


def by_length(command: int, body: bytes) -> struct.Struct:
    """The layout of a packet whose peer may have kept to the other version: the one that fits."""
    wide = V30.layouts[command]
    return wide if len(body) >= wide.size else V20.layouts[command]
