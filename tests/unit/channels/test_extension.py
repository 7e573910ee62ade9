"""How long an extension may be behind a channel's number, and what was written to."""

import pytest

from service.channels.config.extension import Extension, behind, check_room, fitting, room
from service.channels.contract.model import ChannelSettings
from service.errors import Invalid
from tests.factories import channel_settings


@pytest.mark.parametrize(
    ("kind", "number", "digits"),
    [
        ("cmpp", "1065720001234", 8),  # 21 octets of Src_Id
        ("cmpp", "1" * 20, 1),
        ("sgip", "10655123", 13),
        ("smgp", "106590001234", 9),
        ("smpp", "10690001", 12),  # 20 characters of source_addr
        ("smpp", "+4915100000000", 6),
        ("smpp", "1" * 20, 0),
        ("smpp", "TOCSIN", None),
        ("http", "10690001", 12),
        ("http", "", None),
        ("http", "1" * 30, 0),
        ("twilio", "+19790000006", None),
    ],
)
def test_how_many_digits_have_room(kind: str, number: str, digits: int | None) -> None:
    way = channel_settings(kind, number)
    assert room(way) == digits
    longest = "9" * (digits or 0)
    assert fitting(way, longest) == longest
    assert fitting(way, longest + "9") == ""


@pytest.mark.parametrize(
    ("number", "recipient", "digits"),
    [
        ("10690001", "1069000108", "08"),
        ("10690001", "861069000108", "08"),
        ("10690001", "+861069000108", "08"),
        ("10690001", "10690001", ""),
        ("10690001", "106900", ""),
        ("10690001", "10690008", ""),
        ("+4915100000000", "4915100000000961", "961"),
        ("TOCSIN", "TOCSIN08", ""),
    ],
)
def test_what_stands_behind_the_channels_number(number: str, recipient: str, digits: str) -> None:
    assert behind(channel_settings("smpp", number), recipient) == digits


@pytest.mark.parametrize(
    ("way", "only", "refused"),
    [
        (channel_settings("cmpp", "1" * 17), None, True),
        (channel_settings("cmpp", "1" * 17), [7], True),
        (channel_settings("cmpp", "1" * 17), [8], False),
        (channel_settings("cmpp", "1" * 17, enabled=False), None, False),
        (channel_settings("cmpp", "1" * 16), None, False),
        (channel_settings("smpp", "TOCSIN"), None, False),
    ],
)
def test_what_has_no_room_is_refused_where_it_would_be_used(
    way: ChannelSettings, only: list[int] | None, refused: bool
) -> None:
    extensions = [Extension("08", "县财政局", only), Extension("96110", "县公安局", only)]
    if not refused:
        check_room(7, way, extensions, "f")
        return
    with pytest.raises(Invalid) as error:
        check_room(7, way, extensions, "f")
    assert (error.value.code, list(error.value.fields)) == ("extension_too_long", ["f"])
    for word in ("移动", "room for 4 digits", "96110", "县公安局"):
        assert word in error.value.message
