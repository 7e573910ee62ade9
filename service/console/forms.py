"""A form from a page into the body that an operation takes.

A field is named as its path in the body, with dots: `schedule.first`. Several fields of one name
make a list. An empty field is one that was not given; of a group of boxes (`_boxes` has its name)
none ticked is an empty list. What is a number, a yes or a list is known from the body's own JSON
schema, so that a page says nothing twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from multidict import MultiDict, MultiDictProxy, MultiMapping
from pydantic import BaseModel, ValidationError

from service.api.http.problems import invalid
from service.console.session import CSRF
from service.errors import Invalid, TocsinError
from service.words.phrase import phrase
from service.words.validation import fault

BodyT = TypeVar("BodyT", bound=BaseModel)
JsonSchema = Mapping[str, Any]

NOW = "_now"
"""Names a field that is to be as somebody else has made it."""

BOXES = "_boxes"
"""Names a group of boxes: a browser says nothing of one in which none is ticked."""

_UNTICKED = ()
"""Of a group in which none is ticked."""

_OFFERED = phrase("choose one of those that the page offers")
_TICKED = phrase("tick the box, or leave it empty")
_IN_A_FORM = {
    "enum": _OFFERED,
    "literal_error": _OFFERED,
    "uuid_parsing": _OFFERED,
    "uuid_type": _OFFERED,
    "bool_parsing": _TICKED,
    "bool_type": _TICKED,
    "extra_forbidden": phrase("this page has no such field; open the page again"),
}
"""By the type of an error: for programs it names codes, which nobody reads on a page."""

_YES, _NO = frozenset({"1", "on", "yes", "true"}), frozenset({"0", "off", "no", "false"})


def body_of(
    model: type[BodyT],
    form: MultiMapping[str],
    *,
    but: Iterable[str] = (),
    given: Mapping[str, object] | None = None,
) -> BodyT:
    """The body of an operation from a form.

    but: fields that the page reads itself. given: members that the page has made itself.
    Fields that begin with `_`, and the session's token, are the console's own.

    Raises:
        Invalid: something is wrong; `fields` has what and where, by the names of the form's fields.
    """
    schema = model.model_json_schema()
    tree = _tree(form, frozenset(but))
    found = _converted(tree, schema, schema.get("$defs", {}))
    members = found if isinstance(found, dict) else {}
    return made_of(model, {**members, **(given or {})})


def made_of(model: type[BodyT], members: Mapping[str, object]) -> BodyT:
    """The body of an operation from what a page has read out of its form or address itself.

    Raises:
        Invalid: as `body_of`.
    """
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise _refusal(error) from error


def _refusal(error: ValidationError) -> TocsinError:
    """What is wrong with a form, said to whoever filled it in: labels stand on the page."""
    found = invalid(error, what="form", of=_fault)
    if not isinstance(found, Invalid):
        return found
    return Invalid(phrase("something in the form is not right"), fields=found.fields)


def _fault(item: Mapping[str, Any]) -> str:
    return _IN_A_FORM.get(item["type"]) or fault(item)


def with_what_is_now(form: MultiDictProxy[str]) -> MultiDictProxy[str]:
    """A form in which each field that is ticked as `_now` has what somebody else made of it.

    A page that was refused since its thing has changed shows both; it gives what is now as fields
    `_now.<field>` (`now_choice` of templates/console/_kit.html).
    """
    ticked = frozenset(form.getall(NOW, []))
    found = MultiDict(
        (name, value)
        for name, value in form.items()
        if name not in ticked and name.partition(".")[0] != NOW
    )
    for name in ticked:
        for value in form.getall(f"{NOW}.{name}", []):
            found.add(name, value)
    return MultiDictProxy(found)


def instant_of(form: MultiDictProxy[str], name: str, zone: ZoneInfo) -> datetime | None:
    """The instant of two fields, `name.day` and `name.time`; None: neither was given.

    Raises:
        Invalid: one is missing, or is none.
    """
    day, clock = (form.get(f"{name}.{part}", "").strip() for part in ("day", "time"))
    if not day and not clock:
        return None
    field = f"{name}.day"
    try:
        the_day = date.fromisoformat(day)
        field = f"{name}.time"
        return datetime.combine(the_day, time.fromisoformat(clock), tzinfo=zone)
    except ValueError as error:
        raise Invalid(
            phrase("the instant is incomplete: give its day and its time"),
            fields={field: phrase("give a day like 2027-01-31 and a time like 09:30")},
        ) from error


def _tree(form: MultiMapping[str], but: frozenset[str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name in dict.fromkeys([*form, *form.getall(BOXES, [])]):
        if name.startswith("_") or name == CSRF or name in but:
            continue
        values = [value.strip() for value in form.getall(name, [])]
        *outer, last = name.split(".")
        place = tree
        for part in outer:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Invalid(
                    phrase("the form has {name} twice", name=part),
                    fields={name: phrase("give it once")},
                )
            place = inner
        place[last] = [value for value in values if value] if name in form else _UNTICKED
    return tree


def _converted(given: object, schema: JsonSchema, types: Mapping[str, JsonSchema]) -> object:
    """What a field says in the type that the schema has for it; None: nothing was given."""
    schema = _resolved(schema, types)
    options = [_resolved(o, types) for o in schema.get("anyOf", schema.get("oneOf", ()))]
    if isinstance(given, dict):
        return _object(given, _fitting(given, options) if options else schema, types)
    if given == _UNTICKED:
        return _none_ticked(schema, options)
    values = given if isinstance(given, list) else []
    if options:
        kinds = [option for option in options if option.get("type") != "null"]
        lists = [option for option in kinds if option.get("type") == "array"]
        chosen = lists[0] if lists else kinds[0] if len(kinds) == 1 else {}
        return _converted(values, chosen, types)
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items", {})
        return [_converted([value], items, types) for value in values] or None
    return _scalar(values[-1], kind) if values else None


def _none_ticked(schema: JsonSchema, options: Sequence[JsonSchema]) -> object:
    """What a group without a tick says: an empty list; nothing where that may be, and a list may
    not be empty.
    """
    lists = [one for one in [schema, *options] if one.get("type") == "array"]
    if not lists or (options and lists[0].get("minItems")):
        return None
    return []


def _object(given: dict[str, Any], schema: JsonSchema, types: Mapping[str, JsonSchema]) -> object:
    members = schema.get("properties", {})
    other = schema.get("additionalProperties")
    beyond = other if isinstance(other, Mapping) else {}
    found = {
        name: _converted(value, members.get(name, beyond), types) for name, value in given.items()
    }
    return {name: value for name, value in found.items() if value is not None} or None


def _fitting(given: dict[str, Any], options: Iterable[JsonSchema]) -> JsonSchema:
    """Of several shapes, the one that has all that was given."""
    objects = [option for option in options if "properties" in option]
    for option in objects:
        members = option["properties"]
        fixed = {name: of["const"] for name, of in members.items() if "const" in of}
        told = all(given.get(name, [value])[-1:] == [value] for name, value in fixed.items())
        if told and given.keys() <= members.keys():
            return option
    return objects[0] if objects else {}


def _resolved(schema: JsonSchema, types: Mapping[str, JsonSchema]) -> JsonSchema:
    while "$ref" in schema:
        schema = types[schema["$ref"].rpartition("/")[2]]
    return schema


def _scalar(value: str, kind: object) -> object:
    if kind == "integer" and value.lstrip("-").isascii() and value.lstrip("-").isdecimal():
        return int(value)
    if kind == "number":
        try:
            return float(value)
        except ValueError:
            return value
    if kind == "boolean" and value.lower() in _YES | _NO:
        return value.lower() in _YES
    return value
