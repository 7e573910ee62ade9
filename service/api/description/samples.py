"""What an answer looks like, made from its model's schema: an example for the reference (pure).

Nothing of it is anybody's: the numbers are of a synthetic range, masked as the API masks them. What
is worked out from the schema alone is valid by it; a test holds each against it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

SampleSchema = Mapping[str, Any]

DEEPEST = 6
"""Models may hold themselves; from here on lists are empty."""

_ID = "01a2b3c4-0000-7000-8000-000000000001"

NAMED: Mapping[str, Any] = {
    "phone": "197****0001",
    "name": "王小明",
    "plain": {"zh": "已送达手机。", "en": "It has arrived on the handset."},
    "text": "【旌德县反诈中心】{姓名}您好，转账前请先核实。",
    "login": "wang",
    "token": "tk_…",
    "secret": "whsec_…",
    "password": "gm74ejekc2b6kzvd",
    "code": "DELIVRD",
    "class": "service",
    "classes": ["public_interest", "service"],
    "reason": None,
    "note": "",
    "carrier": "china_mobile",
    "area_code": "341825100000",
    "roster": "财务人员",
    "rule": "身份 = 财务人员",
    "canonical": 'role = "finance"',
    "department": "县反诈中心",
    "signature": "旌德县反诈中心",
    "url": "https://sms.example.gov.cn/tocsin",
    "channel": "移动",
    "event_id": "evt_1742",
    "next_cursor": None,
    "ids": [f"{_ID}.1"],
}
"""Members whose value is better said than worked out, where the schema takes it."""

FORMATS: Mapping[str, Any] = {
    "uuid": _ID,
    "date-time": "2027-01-12T09:30:00+08:00",
    "date": "2027-01-12",
}


class Samples:
    """Makes examples of the schemas of one document."""

    def __init__(self, schemas: SampleSchema) -> None:
        self._schemas = schemas

    def of(self, schema: SampleSchema, name: str = "", depth: int = 0) -> Any:
        """An example of a schema; `name`: of the member whose it is."""
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        if name in NAMED and _takes(schema, NAMED[name]):
            return NAMED[name]
        if "anyOf" in schema:
            kinds: Sequence[SampleSchema] = schema["anyOf"]
            return self.of(_first(kinds), name, depth)
        for word in ("const", "default"):
            if word in schema:
                return schema[word]
        if "enum" in schema:
            return "delivered" if "delivered" in schema["enum"] else schema["enum"][0]
        return self._by_type(schema, name, depth)

    def _by_type(self, schema: SampleSchema, name: str, depth: int) -> Any:
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string":
            return FORMATS.get(schema.get("format", ""), _ID if name.endswith("id") else "…")
        if kind in {"integer", "number"}:
            most = schema.get("maximum", schema.get("exclusiveMaximum", 2))
            return most / 2 if most <= 1 else max(1, schema.get("minimum", 1))
        return {"boolean": True, "null": None}.get(str(kind), {})

    def _object(self, schema: SampleSchema, depth: int) -> dict[str, Any]:
        members: Mapping[str, SampleSchema] = schema.get("properties", {})
        return {name: self.of(member, name, depth + 1) for name, member in members.items()}

    def _array(self, schema: SampleSchema, name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        if "prefixItems" in schema:
            return [self.of(item, name, depth + 1) for item in schema["prefixItems"]]
        if "items" not in schema or (depth >= DEEPEST and not least):
            return []
        return [self.of(schema["items"], "", depth + 1)] * max(1, least)


def _first(kinds: Sequence[SampleSchema]) -> SampleSchema:
    """The first that is not null."""
    return next((kind for kind in kinds if kind.get("type") != "null"), kinds[0])


def _takes(schema: SampleSchema, value: Any) -> bool:
    """Whether a schema, if it is simple, takes a value of this kind."""
    if "enum" in schema or "const" in schema:
        return False
    kinds = [kind.get("type") for kind in schema.get("anyOf", [schema])]
    if value is None:
        return "null" in kinds
    if isinstance(value, dict):
        return set(schema.get("properties", ())) == set(value)
    if schema.get("format") or schema.get("pattern"):
        return False
    if isinstance(value, list):
        return "array" in kinds and schema.get("items", {}).get("type") == "string"
    return "string" in kinds
