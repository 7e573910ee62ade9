"""Addresses: numbers in the forms that SMSCs want, with their ton and npi (SMPP 3.4 §5.2.5)."""

import re
from enum import StrEnum

from service.protocols.number import to_e164, to_national

SOURCE_CHARACTERS = 20
INTERNATIONAL, ALPHANUMERIC = 1, 5

_NUMBER = re.compile(r"\+?[0-9]+")
_EXTENSION = re.compile("[0-9]*")


class NumberForm(StrEnum):
    """How a recipient's number is written."""

    DIGITS = "digits"  # 8619790001234
    PLUS = "plus"  # +8619790001234
    NATIONAL = "national"  # 19790001234


def is_number(sender: str) -> bool:
    """Whether a sender is a number, not a name."""
    return _NUMBER.fullmatch(sender) is not None


def sender_type(sender: str, ton: int | None, npi: int | None) -> tuple[int, int]:
    """The ton and npi of a sender, where they are not given: of a name 5 and 0, else 0 and 1."""
    usual = (0, 1) if is_number(sender) else (ALPHANUMERIC, 0)
    return usual[0] if ton is None else ton, usual[1] if npi is None else npi


def can_extend(sender: str, extension: str) -> bool:
    """Whether a sender can carry an extension: digits, behind a number, 20 characters in all."""
    if not extension:
        return True
    if not (is_number(sender) and _EXTENSION.fullmatch(extension)):
        return False
    return len(sender) + len(extension) <= SOURCE_CHARACTERS


def write(e164: str, form: NumberForm) -> str:
    """A number in the form that the SMSC wants."""
    if form is NumberForm.NATIONAL:
        return to_national(e164)
    return e164 if form is NumberForm.PLUS else e164.removeprefix("+")


def read(address: str, ton: int) -> str:
    """A handset's address in E.164 form; "" if it cannot be read as a number."""
    number = to_e164(address)
    if not number and ton == INTERNATIONAL and is_number(address):
        return "+" + address.removeprefix("+")
    return number
