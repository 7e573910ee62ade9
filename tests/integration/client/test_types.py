"""The client's types say what the API says: each member is there, and of the type it has there."""

import re
import typing
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from tocsin_client import types

from service.api.routes import OPS
from tests.harness.description import description

SCHEMAS: dict[str, Any] = description()["components"]["schemas"]

NAMES = {
    "Recipient": "RecipientBody",
    "RejectedRecipient": "RejectedOut",
    "Sent": "SendOut",
    "Message": "MessageOut",
    "MessageStatus": "StatusOut",
    "Statuses": "StatusesOut",
    "Undo": "UndoAccepted",
    "MembersChange": "MembersOut",
    "Member": "MemberBody",
    "Evidence": "MembersBody",
    "Suppression": "SuppressionOut",
    "NewSuppression": "NewSuppressionOut",
    "Schedule": "ScheduleBody",
    "CampaignDetail": "CampaignDetail",
    "RunDetail": "RunDetail",
    "ChannelHealth": "HealthOut",
    "ChannelQueue": "QueueOut",
    "Waiting": "ClassWaitingOut",
    "WaitReason": "ReasonOut",
    "ImportAccepted": "ImportAccepted",
    "SameWords": "CauseOut",
    "SentText": "ArrivedOut",
    "SentTo": "AllArrivedOut",
    "CancelledSend": "CancelledOut",
    "AuditEntry": "AuditEntryOut",
    "WithdrawnOffer": "WithdrawnOut",
}
"""The API's name of a type, where it is not ours and `Out`."""

DICTS = sorted(
    name
    for name, found in vars(types).items()
    if is_typeddict(found) and not name.startswith("_") and found.__module__ == types.__name__
)


def schema_of(name: str) -> Any:
    return SCHEMAS[NAMES.get(name, f"{name}Out")]


def resolved(schema: Any) -> Any:
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return schema


def fits(hint: Any, given: Any) -> bool:  # noqa: PLR0911  # one for each kind of type
    """Whether everything that the API may answer is of the type."""
    schema = resolved(given)
    if "anyOf" in schema:
        return all(fits(hint, one) for one in schema["anyOf"])
    if get_origin(hint) in {UnionType, typing.Union}:
        return any(fits(one, schema) for one in get_args(hint))
    if hint is Any:
        return True
    kind = schema.get("type")
    if get_origin(hint) is Literal:
        allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
        return allowed is not None and set(allowed) <= set(get_args(hint))
    if is_typeddict(hint):
        return schema is resolved(schema_of(hint.__name__))
    if get_origin(hint) is list:
        return kind == "array" and (
            "items" not in schema or fits(get_args(hint)[0], schema["items"])
        )
    if get_origin(hint) is dict:
        of_values = schema.get("additionalProperties", True)
        return kind == "object" and (of_values is True or fits(get_args(hint)[1], of_values))
    simple = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
    return bool(kind == simple[hint])


@pytest.mark.parametrize("name", DICTS)
def test_a_type_says_what_the_api_says(name: str) -> None:
    schema = resolved(schema_of(name))
    taken = NAMES.get(name, "").endswith("Body")
    for member, hint in get_type_hints(getattr(types, name)).items():
        assert member in schema["properties"], f"{name}.{member} is not in the API"
        of_member = schema["properties"][member]
        told = f"{name}.{member}: {hint} is not {of_member}"
        if taken:
            assert takes(of_member, hint), told
        else:
            assert fits(hint, of_member), told
            assert member in schema["required"], f"{name}.{member} may be missing"


def takes(given: Any, hint: Any) -> bool:
    """Whether the API takes what is of the type, or some of it: it may know narrower ones."""
    schemas = resolved(given).get("anyOf", [resolved(given)])
    hints = get_args(hint) if get_origin(hint) in {UnionType, typing.Union} else [hint]
    kinds = {list: "array", dict: "object", bool: "boolean", int: "integer", NoneType: "null"}
    wanted = {kinds.get(get_origin(one) or one, "string") for one in hints}
    return bool(wanted & {schema.get("type") for schema in schemas})


@pytest.mark.parametrize(
    ("ours", "theirs"), [(types.Decision, "Decision"), (types.MessageState, "MessageState")]
)
def test_words_are_the_apis(ours: Any, theirs: str) -> None:
    assert set(get_args(ours)) == set(SCHEMAS[theirs]["enum"])


def test_every_address_that_the_client_asks_is_one_of_the_apis() -> None:
    hole = re.compile(r"\{[^}]*\}")
    served = {hole.sub("{}", op.path) for op in OPS}
    folder = Path(types.__file__).parent
    asked = {
        hole.sub("{}", path)
        for module in folder.glob("*.py")
        for path in re.findall(r'"(/[a-z][^" ]*)"', module.read_text("utf-8"))
    } - {"/api/v1", "/campaigns/{}/{}"}
    assert len(asked) > 20
    assert asked <= served, asked - served
