"""From what people write in a phone cell to numbers: import rules §5, E.164 and the masked form.

Nothing is guessed: a cell gives numbers, or a code that says why not, and for mistyped letters a
suggestion that is shown but never applied.
"""

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

from service.audience.numbers.prefix import Prefixes, national, packaged_prefixes
from service.audience.vocabulary.cells import (
    WHITE,
    is_placeholder,
    masked,
    squeeze,
    without_invisible,
)
from service.errors import Invalid
from service.words.phrase import phrase

REASONS = {
    "phone_empty": phrase("there is no number"),
    "placeholder": phrase("a placeholder stands in place of a number"),
    "excel_truncated": phrase("a spreadsheet has cut the number's last digits; ask for it again"),
    "landline": phrase("it is a landline or service number, which cannot receive texts"),
    "length": phrase("a mobile number has 11 digits"),
    "prefix": phrase("no carrier has mobile numbers with these first digits"),
    "iot": phrase("it is a number for devices"),
    "satellite": phrase("it is a satellite phone's number"),
    "letters": phrase("it contains something other than digits"),
    "masked": phrase("some of its digits are hidden"),
    "foreign": phrase("it is not a Chinese mobile number"),
    "minor": phrase("the person is a minor; ask for a guardian's number"),
    "wechat_role": phrase(
        "lists keep WeChat IDs of liaisons, counsellors, class monitors and owners of groups alone;"
        " leave it out of this row"
    ),
    "wechat_invalid": phrase(
        "this is no WeChat ID: 6 to 20 letters, digits, _ or -, beginning with a letter, or a"
        " mobile number; correct it, or leave it out"
    ),
}
"""A plain sentence for each code of a rejected row (§13)."""

_BARE = re.compile(r"1[0-9]{10}")
_THOUSANDS = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+)(?:\.0+)?")
_PIECES = re.compile(r"[/\\、;,|&\n\r或]")
_QUOTES = "'’‘\"“”`"
_LABEL = re.compile(
    "(?:手机号码|手机号|手机|电话号码|联系电话|联系方式|电话|号码|telephone|tel|phone|mobile|cell)"
    rf"\.?[{WHITE}]*:?[{WHITE}]*",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"([0-9])(?:\.([0-9]+))?e\+?([0-9]{1,2})", re.IGNORECASE)
_DECIMALS = re.compile(r"(\+?[0-9]+)\.0+")
_SOFT = re.compile(f"[{WHITE}\\-\u2010-\u2015\u2212.·()\\[\\]]+")
_TWENTY_TWO = re.compile(r"[0-9]{22}")
_FOREIGN = re.compile(r"(?:\+|00[1-9]).*", re.DOTALL)
_LANDLINE = re.compile(
    r"0(?:10|2[0-9]|[3-9][0-9]{2})[0-9]{7,8}(?:(?:转|ext|#)?[0-9]{1,6})?"
    r"|[48]00[0-9]{7}"
    r"|[02-9][0-9]{6,7}",
    re.IGNORECASE,
)
_MASKED = re.compile(r"[0-9]{3}x{3,}[0-9]*", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")
_IOT = re.compile(r"(?:14[0-4689]|1064[6-9])[0-9]*")
_LOOKALIKES = str.maketrans("OoQDIil!ZzSsbGBqg", "00001111225566899")


class Repair(StrEnum):
    """What a suggestion makes of a cell that has something other than digits (import rules 5.7)."""

    LOOKALIKES = "lookalikes"  # letters that look like digits are read as these
    DIGITS_ONLY = "digits_only"  # whatever is no digit is left out


REPAIRS = {
    Repair.LOOKALIKES: phrase(
        "letters that look like digits are read as these digits, such as O as 0 or l as 1"
    ),
    Repair.DIGITS_ONLY: phrase("whatever is no digit is left out"),
}
"""A plain sentence for each: it says how a number and its suggestion differ, and no digit."""


class CellResult(NamedTuple):
    """What a phone cell gives: its distinct valid numbers (11 digits), or the code of the first."""

    numbers: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    part_rejected: bool = False
    code: str | None = None
    suggestion: str | None = None
    repair: Repair | None = None


class _Rejected(Exception):
    """The outcome of a step that ends a piece."""

    def __init__(
        self, code: str, suggestion: str | None = None, repair: Repair | None = None
    ) -> None:
        super().__init__(code)
        self.code = code
        self.suggestion = suggestion
        self.repair = repair


class _Piece(NamedTuple):
    number: str | None
    fixes: frozenset[str]
    rejection: CellResult | None = None


def is_bare(cell: str, prefixes: Prefixes) -> bool:
    """Whether a cell is a valid number and nothing else."""
    return _BARE.fullmatch(cell) is not None and prefixes.judge(cell) is None


def read_cell(cell: str, prefixes: Prefixes) -> CellResult:
    """The numbers in a phone cell, with the fixes that led to them."""
    if is_bare(cell, prefixes):
        return CellResult((cell,))
    fixes: set[str] = set()
    text = _whole(cell, fixes)
    if text and is_placeholder(text):
        return CellResult(code="placeholder")
    pieces = [piece for piece in _PIECES.split(text) if piece.strip(WHITE)]
    if not pieces:
        return CellResult(code="phone_empty")
    if len(pieces) > 1:
        fixes.add("two_numbers")
    return _combine([part for piece in pieces for part in _read_piece(piece, prefixes)], fixes)


def _combine(pieces: list[_Piece], fixes: set[str]) -> CellResult:
    good = [piece for piece in pieces if piece.number is not None]
    if not good:
        return pieces[0].rejection or CellResult(code="phone_empty")
    numbers = tuple(dict.fromkeys(piece.number for piece in good if piece.number))
    found = tuple(sorted(fixes.union(*(piece.fixes for piece in good))))
    return CellResult(numbers, found, part_rejected=len(good) < len(pieces))


def _whole(cell: str, fixes: set[str]) -> str:
    """Steps 5.1 and 5.3: the cell in plain characters, without thousands commas."""
    if not cell.isascii() and any(_hides_digit(char) for char in cell):
        fixes.add("fullwidth")
    normal = unicodedata.normalize("NFKC", cell)
    text = without_invisible(normal).strip(WHITE)
    if text != normal:
        fixes.add("separators")
    thousands = _THOUSANDS.fullmatch(text)
    if thousands:
        fixes.add("number_format")
        return thousands[1].replace(",", "")
    return text


def _hides_digit(char: str) -> bool:
    return not char.isascii() and _DIGITS.search(unicodedata.normalize("NFKC", char)) is not None


def _read_piece(piece: str, prefixes: Prefixes) -> list[_Piece]:
    """Step 5.5: one piece of a cell; two if it is two numbers run together."""
    fixes: set[str] = set()
    try:
        text = _unformatted(_unlabelled(piece, fixes), fixes)
    except _Rejected as rejected:
        return [_refused(rejected)]
    if _TWENTY_TWO.fullmatch(text):
        fixes.add("two_numbers")
        return [_finish(half, set(fixes), prefixes) for half in (text[:11], text[11:])]
    return [_finish(text, fixes, prefixes)]


def _finish(text: str, fixes: set[str], prefixes: Prefixes) -> _Piece:
    try:
        number = _without_country_code(text, fixes)
        _check(number, prefixes)
    except _Rejected as rejected:
        return _refused(rejected)
    return _Piece(number, frozenset(fixes))


def _refused(rejected: _Rejected) -> _Piece:
    rejection = CellResult(
        code=rejected.code, suggestion=rejected.suggestion, repair=rejected.repair
    )
    return _Piece(None, frozenset(), rejection)


def _unlabelled(piece: str, fixes: set[str]) -> str:
    """Step 5.5.1: without quotes and a label such as 手机： at the start."""
    trimmed = piece.strip(WHITE)
    if trimmed != piece:
        fixes.add("separators")
    text = trimmed.strip(_QUOTES)
    label = _LABEL.match(text)
    if label:
        text = text[label.end() :]
    if text != trimmed:
        fixes.add("text_prefix")
    text = text.strip(WHITE)
    if not text:
        raise _Rejected("phone_empty")
    return text


def _unformatted(text: str, fixes: set[str]) -> str:
    """Steps 5.5.2 to 4: without what spreadsheets and typists do to a number."""
    scientific = _SCIENTIFIC.fullmatch(text)
    if scientific:
        text = _expanded(scientific[1], scientific[2] or "", int(scientific[3]))
        fixes.add("scientific")
    decimals = _DECIMALS.fullmatch(text)
    if decimals:
        text = decimals[1]
        fixes.add("number_format")
    bare = _SOFT.sub("", text)
    if bare != text:
        fixes.add("separators")
    return bare


def _expanded(lead: str, fraction: str, exponent: int) -> str:
    """The digits of a number in scientific notation, provided that none is lost."""
    if len(fraction) < exponent or fraction[exponent:].strip("0"):
        raise _Rejected("excel_truncated")
    return lead + fraction[:exponent]


def _without_country_code(text: str, fixes: set[str]) -> str:
    """Step 5.5.6."""
    for code, applies in (
        ("+86", True),
        ("0086", len(text) >= 14),
        ("86", len(text) == 13 and _DIGITS.fullmatch(text) is not None),
    ):
        if applies and text.startswith(code):
            fixes.add("country_code")
            return text[len(code) :]
    if len(text) >= 9 and _FOREIGN.fullmatch(text):
        raise _Rejected("foreign")
    return text


def _check(text: str, prefixes: Prefixes) -> None:
    """Steps 5.5.7 to 13: whether the text is a person's mobile number."""
    if _LANDLINE.fullmatch(text):
        raise _Rejected("landline")
    if "*" in text or _MASKED.fullmatch(text):
        raise _Rejected("masked")
    if not _DIGITS.fullmatch(text):
        raise _Rejected("letters", *_suggest(text, prefixes))
    if len(text) == 13 and _IOT.fullmatch(text):
        raise _Rejected("iot")
    if len(text) != 11:
        raise _Rejected("length")
    code = prefixes.judge(text)
    if code:
        raise _Rejected(code)


def _suggest(text: str, prefixes: Prefixes) -> tuple[str | None, Repair | None]:
    """Step 5.7: the number that was probably meant, and what makes it of the text."""
    for candidate, repair in (
        (text.translate(_LOOKALIKES), Repair.LOOKALIKES),
        ("".join(_DIGITS.findall(text)), Repair.DIGITS_ONLY),
    ):
        if len(candidate) == 11 and _DIGITS.fullmatch(candidate) and not prefixes.judge(candidate):
            return candidate, repair
    return None, None


def to_e164(number: str) -> str:
    """The E.164 form of a Chinese number; one that has it already stays as it is."""
    return "+86" + national(number)


def parse_phone(text: str, *, field: str = "phone") -> str:
    """The E.164 form of one Chinese mobile number in any usual form.

    Raises:
        Invalid: no such number, or several; the error tells the text's shape, never its digits.
    """
    result = read_cell(text, packaged_prefixes())
    if len(result.numbers) == 1 and not result.part_rejected:
        return to_e164(result.numbers[0])
    if result.numbers:
        reason = phrase("more than one number is given")
    else:
        reason = REASONS[result.code or "phone_empty"]
    problem = phrase(
        "{reason} (shape {shape}); the shape is what was given, with 9 for each digit and a for"
        " each letter; write a number like +86 1XX XXXX XXXX, with digits for X",
        reason=reason,
        shape=shape(text),
    )
    raise Invalid(
        phrase("{field} is not a mobile number: {problem}", field=field, problem=problem),
        fields={field: problem},
    )


def shape(text: str) -> str:
    """The form of a text without its content: 9 for a digit, a for a letter, 20 characters."""
    kinds = ("9" if c.isdigit() else "a" if c.isalpha() else c for c in text[:20])
    return squeeze("".join(kinds), " ") + ("…" if len(text) > 20 else "") or "empty"


def mask(phone: str) -> str:
    """The number as people may see it: 197****1234."""
    return masked(national(phone))
