"""A channel's settings as fields of a form, and what was typed into them (pure).

The settings are those of GET /channels/kinds. A secret is written and never read: its field is
always empty, and an empty one leaves it as it is. A list stands in one field, with blanks between
its items; a table of codes one a line, `code = meaning`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from multidict import MultiMapping

from service.api.channels.channels import KindOut, SettingOut
from service.console.language import CHINESE, Language
from service.errors import Invalid
from service.words.phrase import phrase

SET: Final = "set"
"""How the API shows a secret that there is."""
CONFIG: Final = "config."
CLEAR: Final = "clear."
"""What the names of fields begin with: of a setting, and of the tick that takes a secret away."""
LONG = frozenset({"body", "headers", "certificate", "tls_ca"})
"""Settings of several lines."""

_HINT = {
    CHINESE: re.compile(r"[：；]|，(?=例如|留空)"),
    "en": re.compile(r": |; |, (?=e\.g\.|blank)"),
}
"""Where the description of a setting goes on from what it is to what may stand in it."""
_BETWEEN = re.compile(r"[\s,，、;；]+")
_SPAN = re.compile(r"\s*([0-9:]+)\s*[-–~～至]\s*([0-9:]+)\s*")


@dataclass(frozen=True, slots=True)
class SettingField:
    """A setting as a field of a form.

    kind: of the kit's fields. options: of a choice. is_set: of a secret, whether there is one.
    may_clear: whether the secret may be taken away. rows: of a text of several lines.
    """

    name: str
    setting: SettingOut
    label: str
    hint: str
    kind: str
    value: str
    options: tuple[tuple[str, str], ...] = ()
    is_set: bool = False
    may_clear: bool = False
    rows: int = 1

    @property
    def clear(self) -> str:
        """The name of the tick that takes the secret away."""
        return CLEAR + self.setting.name


def fields_of(
    settings: Iterable[SettingOut], config: Mapping[str, Any], language: Language
) -> list[SettingField]:
    """Settings of a kind as fields. config: their values as a channel shows them; {}: a new one."""
    return [_field(setting, config, language) for setting in settings]


def label_and_hint(description: str, code: str) -> tuple[str, str]:
    """What a setting is, and what may stand in it, of its description in a language."""
    found = _HINT[code].search(description)
    if found is None:
        return description, ""
    return description[: found.start()], description[found.end() :]


def config_of(
    settings: Iterable[SettingOut], form: MultiMapping[str], *, new: bool
) -> dict[str, Any]:
    """The settings as they were typed.

    new: of a channel that is set up: what is empty is left to its default, and where there is none
    it is missing. Else what is empty is to be so, secrets apart.

    Raises:
        Invalid: a line of a table is none.
    """
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for setting in settings:
        try:
            found |= _typed(setting, form, new=new)
        except Invalid as error:
            faults[CONFIG + setting.name] = error.message
    if faults:
        raise Invalid(phrase("the channel's settings are wrong"), fields=faults)
    return found


def own_fields(form: MultiMapping[str]) -> list[str]:
    """The fields of a form that are settings of the kind."""
    return [name for name in form if name.startswith((CONFIG, CLEAR))]


def spans_of(typed: str) -> list[tuple[str, str]]:
    """Hours of maintenance, one span a line.

    Raises:
        Invalid: names the line that is none.
    """
    spans = []
    for line in filter(str.strip, typed.splitlines()):
        found = _SPAN.fullmatch(line)
        if found is None:
            fault = phrase("“{line}”: write two times of day, such as 23:00-01:00", line=line)
            raise Invalid.at("maintenance", fault)
        spans.append((_clock(found[1]), _clock(found[2])))
    return spans


@contextmanager
def at_their_fields() -> Iterator[None]:
    """Let what is wrong inside a list or a table stand at the field that has all of it.

    Above them stands no sentence with the API's names of settings: each field has its own.
    """
    try:
        yield
    except Invalid as error:
        fields: dict[str, str] = {}
        for name, fault in error.fields.items():
            depth = 2 if name.startswith(CONFIG) else 1
            fields.setdefault(".".join(name.split(".")[:depth]), fault)
        message = error.message
        if fields and all(name.startswith(CONFIG) for name in fields):
            message = phrase("the channel's settings are wrong")
        raise Invalid(message, fields=fields, code=error.code) from error


def shown_value(value: object) -> str:
    """A setting's value as its field has it."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "\n".join(f"{name} = {meaning}" for name, meaning in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _field(setting: SettingOut, config: Mapping[str, Any], language: Language) -> SettingField:
    label, hint = label_and_hint(language.say(setting.description), language.code)
    name = setting.name
    is_set = setting.secret and config.get(name) == SET
    value = "" if setting.secret else shown_value(config.get(name, setting.default))
    kind, rows, options = _look(setting)
    if setting.type == "boolean":
        value = "true" if value == "True" else ""
    return SettingField(
        CONFIG + name,
        setting,
        label,
        hint,
        kind,
        value,
        options,
        is_set,
        may_clear=is_set and not setting.required,
        rows=rows,
    )


def _look(setting: SettingOut) -> tuple[str, int, tuple[tuple[str, str], ...]]:
    """The kind of a field, its lines, and its options."""
    if setting.secret:
        return ("secret", 3, ()) if setting.name in LONG else ("password", 1, ())
    if setting.type == "boolean":
        return "checkbox", 1, ()
    if setting.choices:
        blank = (("", "–"),) if setting.nullable else ()
        return "select", 1, (*blank, *((str(c), str(c)) for c in setting.choices))
    if setting.type == "object" or setting.name in LONG:
        return "textarea", 5, ()
    return ("number" if setting.type in {"integer", "number"} else "text"), 1, ()


def _typed(setting: SettingOut, form: MultiMapping[str], *, new: bool) -> dict[str, Any]:
    name = setting.name
    typed = form.get(CONFIG + name, "")
    if setting.secret:
        if typed.strip():
            return {name: typed.strip() if setting.name in LONG else typed}
        return {name: ""} if CLEAR + name in form else {}
    if setting.type == "boolean":
        return {name: CONFIG + name in form}
    if not typed.strip():
        return {} if new else {name: _empty(setting)}
    return {name: _value(setting, typed.strip())}


def _empty(setting: SettingOut) -> object:
    if setting.nullable:
        return None
    if setting.type in {"integer", "number"}:
        return None if setting.required else setting.default
    return {"array": [], "object": {}}.get(setting.type, "")


def _value(setting: SettingOut, typed: str) -> object:
    if setting.choices:
        return next((choice for choice in setting.choices if str(choice) == typed), typed)
    if setting.type == "array":
        items = filter(None, _BETWEEN.split(typed))
        integers = setting.json_schema.get("items", {}).get("type") == "integer"
        return [_number(item) if integers else item for item in items]
    if setting.type == "object":
        return dict(_pair(line) for line in filter(str.strip, typed.splitlines()))
    return _number(typed) if setting.type == "integer" else typed


def _pair(line: str) -> tuple[str, str]:
    name, between, meaning = line.partition("=")
    if not (between and name.strip()):
        raise Invalid(phrase("“{line}”: write it as code = meaning", line=line.strip()))
    return name.strip(), meaning.strip()


def _number(typed: str) -> int | str:
    return int(typed) if typed.isascii() and typed.isdecimal() else typed


def _clock(typed: str) -> str:
    hour, _, minute = typed.partition(":")
    return f"{hour:0>2}:{minute or '00':0>2}"


def of_names(settings: Iterable[SettingOut], names: Collection[str]) -> list[SettingOut]:
    """Those settings that have one of these names."""
    return [setting for setting in settings if setting.name in names]


def kind_of(kinds: Iterable[KindOut], name: str) -> KindOut | None:
    """The kind of a name, if there is one."""
    return next((kind for kind in kinds if kind.name == name), None)
