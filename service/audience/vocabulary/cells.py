"""What a cell says: its text form, white space, placeholders, and the neutral form for exports.

Rules: import rules §1 (terms) and §15 (export).
"""

import re
import unicodedata

WHITE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Every character with the Unicode property White_Space (`str.isspace` knows four more)."""

_PLACEHOLDERS = """
    #n/a #na #ref! #value! #name? #div/0! #num! #null! n/a na nan null none nil
    - -- --- — —— / // \\ * ** *** ? ?? ??? 0 00 000 x xx xxx xxxx
    无 没有 暂无 空 缺 不详 不明 未知 未填 待补 待补充 保密 拒填 略 同上
"""
PLACEHOLDERS = frozenset(_PLACEHOLDERS.split())

CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"

_INVISIBLE = dict.fromkeys(
    [
        0x00AD,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2065),
        *range(0x2066, 0x206A),
        0xFEFF,
    ]
)
_WHITE_RUN = re.compile(f"[{WHITE}]+")
_NORMAL = re.compile("[\x00-\x7f\u4e00-\u9fff]*")  # what NFKC leaves alone and is visible
_FORMULA = tuple("=+-@＝＋－＠")
_BREAKS = ("\t", "\r", "\n")


def without_invisible(text: str) -> str:
    """The text without soft hyphens, zero-width characters, direction marks and BOMs."""
    return text.translate(_INVISIBLE)


def text_form(cell: str) -> str:
    """T(cell): NFKC, invisible characters removed, white space trimmed at both ends."""
    if _NORMAL.fullmatch(cell):
        return cell.strip(WHITE)
    return without_invisible(unicodedata.normalize("NFKC", cell)).strip(WHITE)


def squeeze(text: str, by: str = "") -> str:
    """The text with every run of white space replaced."""
    return _WHITE_RUN.sub(by, text)


def is_placeholder(text: str) -> bool:
    """Whether a text form says only that there is nothing to say."""
    return text.lower() in PLACEHOLDERS


def is_blank(text: str) -> bool:
    """Whether a text form is empty or a placeholder."""
    return not text or text.lower() in PLACEHOLDERS


def is_formula(cell: str, text: str) -> bool:
    """Whether a spreadsheet would take the raw cell (with this text form) for a formula."""
    return cell.startswith(("\t", "\r")) or (len(text) >= 2 and text[0] in "=+-@")


def masked(text: str) -> str:
    """The first three and last four characters; of fewer than eight, only the first (§15)."""
    if len(text) < 8:
        return text[:1] + "*" * (len(text) - 1)
    return text[:3] + "*" * (len(text) - 7) + text[-4:]


def neutral(value: str) -> str:
    """The value as an exported CSV may hold it: no spreadsheet takes it for a formula."""
    if value.startswith(_BREAKS) or value.lstrip(WHITE).startswith(_FORMULA):
        return "'" + value
    return value
