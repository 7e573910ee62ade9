"""Extension numbers: a department's own digits behind a channel's number (pure).

They are registered and bound to one department, for a way to send must not be lent (Anti-Telecom
and Online Fraud Law, article 31); so a text to one of them is for that department. A kind whose
sender is a name, or an account's fixed number, carries none, and its texts leave as they are.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.channels.contract.model import ChannelSettings
from service.channels.contract.registry import load
from service.errors import Invalid
from service.words.phrase import phrase

COUNTRY = "86"
_NUMBER = re.compile(r"\+?[0-9]+")


class Extension(NamedTuple):
    """An extension number in use. channels: the ways its department may use; None: all."""

    digits: str
    department: str
    channels: Sequence[int] | None


def own_number(channel: ChannelSettings) -> str:
    """The number that extensions are appended to; "": there is none."""
    setting = load()[channel.kind].number_setting
    number = str(getattr(channel.config, setting)) if setting else ""
    return number if _NUMBER.fullmatch(number) else ""


def room(channel: ChannelSettings) -> int | None:
    """How many digits an extension may have; None: the sender cannot be lengthened."""
    number = own_number(channel)
    if not number:
        return None
    return max(0, load()[channel.kind].number_characters - len(number))


def fitting(channel: ChannelSettings, extension: str) -> str:
    """The extension if the channel can carry it, else none: the text leaves all the same."""
    return extension if len(extension) <= (room(channel) or 0) else ""


def behind(channel: ChannelSettings, recipient: str) -> str:
    """What stands behind the channel's own number in a number that was written to."""
    number, written = own_number(channel).lstrip("+"), recipient.lstrip("+")
    if not number:
        return ""
    for start in (number, COUNTRY + number):
        if written.startswith(start):
            return written.removeprefix(start)
    return ""


def check_room(
    channel_id: int, channel: ChannelSettings, extensions: Iterable[Extension], field: str
) -> None:
    """Refuse a channel whose number leaves too little room for an extension that would be used.

    Raises:
        Invalid: code `extension_too_long`; names both.
    """
    left = room(channel)
    if left is None or not channel.enabled:
        return
    for extension in extensions:
        uses = extension.channels is None or channel_id in extension.channels
        if uses and len(extension.digits) > left:
            raise Invalid.at(
                field,
                phrase(
                    "behind the number of channel {channel_name} there is room for {room}"
                    " digits, and the extension number {digits} of {department} has"
                    " {count}; register a shorter one, or give the department other channels",
                    channel_name=channel.name,
                    room=left,
                    digits=extension.digits,
                    department=extension.department,
                    count=len(extension.digits),
                ),
                code="extension_too_long",
            )
