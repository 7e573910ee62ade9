"""Names that look like another's, so that people take one user or department for another (pure).

Two names are similar if they differ only in case, width, spaces, or signs that look alike. Letters
of other alphabets that pass for Latin ones (а of Cyrillic for a), and characters that nobody sees,
are refused altogether: no list of look-alikes is complete.
"""

import unicodedata
from collections.abc import Iterable

from service.errors import Conflict, Invalid
from service.words.phrase import listing, phrase

_LOOK_LATIN = ("LATIN ", "CYRILLIC ", "GREEK ", "ARMENIAN ", "CHEROKEE ", "COPTIC ", "LISU ")
_UNSEEN = frozenset({"Cf", "Cc", "Co", "Cn", "Mn", "Me"})
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_ALIKE = str.maketrans({"1": "l", "i": "l", "|": "l", "0": "o", "〇": "o", "—": "-", "–": "-"})
_PAIRS = (("rn", "m"), ("vv", "w"))


def check_plain(name: str, field: str) -> None:
    """Refuse a name with letters that pass for others, or with characters that nobody sees.

    Raises:
        Invalid: says which characters, by their code points.
    """
    wrong = dict.fromkeys(c for c in unicodedata.normalize("NFKC", name) if _is_disguise(c))
    if wrong:
        which = listing(f"U+{ord(c):04X}" for c in wrong)
        problem = phrase(
            "write it with the letters a to z, digits and Chinese characters; not {which}",
            which=which,
        )
        raise Invalid(
            phrase("the name could be taken for another: {problem}", problem=problem),
            fields={field: problem},
        )


def need_own_look(name: str, others: Iterable[str]) -> None:
    """Refuse a name that is not one of the others and looks like one.

    Raises:
        Conflict: without saying which one it is.
    """
    own = look(name)
    if any(other != name and look(other) == own for other in others):
        raise Conflict(
            phrase(
                "the name looks like one that is there already, but for case, width, spaces"
                " or signs that look alike; take one that nobody takes for another"
            ),
            code="looks_like_another",
        )


def _is_disguise(character: str) -> bool:
    if character.isascii():
        return False
    if unicodedata.category(character) in _UNSEEN or character in _BLANKS:
        return True
    return unicodedata.name(character, "").startswith(_LOOK_LATIN)


def look(name: str) -> str:
    """What is left of a name for somebody who reads it in passing."""
    plain = "".join(unicodedata.normalize("NFKC", name).casefold().split()).translate(_ALIKE)
    for pair, one in _PAIRS:
        plain = plain.replace(pair, one)
    return plain
