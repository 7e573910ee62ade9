"""What codes of lists and imports are called on pages, and what to do about each (pure)."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from service.audience.segments.segment_explain import called
from service.audience.vocabulary.choices import CARRIERS as CARRIER_WORDS
from service.audience.vocabulary.roles import ROLE_TITLES, ROLES_IN_ENGLISH
from service.words.phrase import Phrase, Sentence, phrase

BASES: Mapping[str, Phrase] = {
    "duty": phrase("Duty by law"),
    "contract_hr": phrase("Contract or employment"),
    "consent": phrase("Their consent"),
    "emergency": phrase("Emergency"),
}
"""Why a department may write to the people of a list."""

CONSENT_WAYS: Mapping[str, Phrase] = {
    "paper": phrase("On paper"),
    "online": phrase("Online"),
    "sms": phrase("By text"),
    "phone": phrase("By phone"),
    "in_person": phrase("In person"),
}

REJECTED: Mapping[str, Phrase] = {
    "phone_empty": phrase("No number"),
    "placeholder": phrase("Filler instead of a number"),
    "excel_truncated": phrase("Cut by a spreadsheet"),
    "landline": phrase("Landline"),
    "length": phrase("Too few or too many digits"),
    "prefix": phrase("No such number range"),
    "iot": phrase("Number of a device"),
    "satellite": phrase("Satellite phone"),
    "letters": phrase("Letters among the digits"),
    "masked": phrase("Hidden digits"),
    "foreign": phrase("Foreign number"),
    "minor": phrase("A minor"),
    "wechat_role": phrase("A WeChat ID that this role may not have"),
    "wechat_invalid": phrase("No WeChat ID"),
}
"""Why a row was refused, in a few words."""

FIXED: Mapping[str, Phrase] = {
    "fullwidth": phrase("full-width digits"),
    "country_code": phrase("+86 in front"),
    "separators": phrase("spaces or dashes"),
    "text_prefix": phrase("words in front of the number"),
    "scientific": phrase("scientific notation"),
    "number_format": phrase("decimals behind the number"),
    "two_numbers": phrase("two numbers in a cell"),
    "name_cleaned": phrase("signs in a name"),
    "area_alias": phrase("short names of places"),
}
"""What was corrected without asking."""

WARNED: Mapping[str, Phrase] = {
    "part_rejected": phrase("one of several numbers cannot be used"),
    "name_missing": phrase("no name"),
    "name_refused": phrase("what stands for a name is none"),
    "name_title": phrase("a title instead of a name"),
    "age_invalid": phrase("the age is none"),
    "grade_unknown": phrase("the grade is not known"),
    "gender_unknown": phrase("the gender is not known"),
    "area_code_invalid": phrase("the code of the area is not known"),
    "area_unknown": phrase("the area is not known"),
    "village_unknown": phrase("the village is not known"),
    "role_unknown": phrase("the role is not known"),
    "role_refused": phrase("a role that your kind of department does not hold"),
    "carrier_unknown": phrase("the carrier is not known"),
    "cell_refused": phrase("an identity or bank card number, which is not kept"),
    "csv_injection": phrase("begins like a formula"),
    "tag_refused": phrase("the tag cannot be used"),
    "text_too_long": phrase("the text is too long"),
}
"""What was taken, but should be looked at."""

SKIPPED: Mapping[str, Phrase] = {
    "blank": phrase("blank rows"),
    "comment": phrase("remarks"),
    "repeated_header": phrase("headers again"),
    "total": phrase("rows of totals"),
}

FAILED: Mapping[str, Phrase] = {
    "empty_file": phrase("The file is empty."),
    "unsupported_format": phrase(
        "The file is neither CSV nor XLSX, or has a password. Save it as XLSX without a password."
    ),
    "encoding_undecidable": phrase("The file's encoding cannot be told. Save it as XLSX or UTF-8."),
    "no_phone_column": phrase(
        "No column is headed 手机号. Name the column so, or say on import what it is called."
    ),
    "interrupted": phrase("The import was broken off; nothing of it is stored. Import it again."),
    "gave_up": phrase("Reading broke off again and again. Split the file, and import the parts."),
}
"""Why a file could not be read at all."""

CARRIERS: Mapping[str, Sentence] = {code: called("carrier", code) for code in CARRIER_WORDS}

ROLES: Mapping[str, Sentence] = {
    code: Sentence(title, ROLES_IN_ENGLISH[code]) for code, title in ROLE_TITLES.items()
}

UNDO_REFUSED: Mapping[str, Phrase] = {
    "replaced_since": phrase(
        "It could not be taken back: a later file has replaced this one. Take that back first."
    ),
    "left_erased": phrase(
        "It could not be taken back: whom it took off the list is not kept any more."
        " Import the list as it was before."
    ),
}

STOPPED: Mapping[str, Phrase] = {
    "opted_out": phrase("opted out"),
    "protected": phrase("protected number"),
    "dead_number": phrase("dead number"),
    "complaint": phrase("complaint"),
}
"""Why nothing is sent to a number."""

SOURCES: Mapping[str, Phrase] = {
    "person": phrase("entered by a person"),
    "list": phrase("from a file"),
    "reply": phrase("the person's reply"),
    "receipts": phrase("receipts of carriers"),
}
"""Who said that nothing is to be sent to a number."""

LEVELS: Mapping[str, Phrase] = {
    "province": phrase("Province"),
    "city": phrase("City"),
    "county": phrase("County"),
    "town": phrase("Town"),
    "village": phrase("Village"),
    "community": phrase("Community"),
    "group": phrase("Villagers' group"),
}
"""What the levels of areas are called."""

GENDERS: Mapping[str, Phrase] = {"f": phrase("Women"), "m": phrase("Men")}

UNKNOWN = phrase("not known")


def named(words: Mapping[str, Phrase], code: str) -> Phrase | str:
    """What a code is called; a code of none as it is."""
    return words.get(code, code)


def most(counts: Mapping[str, int], names: Mapping[str, Any]) -> list[tuple[Any, int]]:
    """Counts by what they are called, the largest first."""
    return [
        (UNKNOWN if code in {"", "none"} else names.get(code, code), count)
        for code, count in Counter(counts).most_common()
    ]
