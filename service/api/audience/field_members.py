"""The members of the API that are fields of a person: made from the table of fields."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, create_model

from service.api.http.schema import Text
from service.audience.vocabulary.fields import PERSON_FIELDS, SHOWN_FIELDS, PersonField
from service.audience.vocabulary.roles import ROLES

LONGEST_VALUE = 500
Model = TypeVar("Model", bound=BaseModel)


def _as_text(value: object) -> object:
    """An age may come as a number, as a spreadsheet has it."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


Value = Annotated[Text, Field(max_length=LONGEST_VALUE)]
Number = Annotated[Value, BeforeValidator(_as_text)]

_SPECIAL: dict[str, Any] = {
    "phone": Annotated[Number, Field(min_length=1, description="In any usual form.")],
    "age": (Number, ""),
    "area": (
        Number,
        Field(default="", description="A name or code; counts where the next three say nothing."),
    ),
    "area_code": (Number, ""),
    "roles": (
        list[Value],
        Field(default_factory=list, max_length=len(ROLES), description=f"Of {', '.join(ROLES)}."),
    ),
}
"""Fields that are not taken as any text is."""

ROW_FIELDS = tuple(field for field in PERSON_FIELDS if field.is_member)
"""What a member of a list may say."""

TAKEN: Mapping[str, Any] = {
    field.code: _SPECIAL.get(field.code, (Value, ""))
    for field in ROW_FIELDS
    if field.code != "tags"  # the last member of its model, which also persons have by hand
}
"""The members of a row that is taken."""

_DESCRIPTIONS = {
    "guardian_of": "Whose guardian the person is, masked.",
    "wechat": "The WeChat ID, masked; whole in the answer of `unmask`.",
}


def _shown(field: PersonField) -> Any:
    kind = list[str] if field.sql_type == "text[]" else str
    description = _DESCRIPTIONS.get(field.code)
    return Annotated[kind, Field(description=description)] if description else kind


SHOWN: Mapping[str, Any] = {field.code: _shown(field) for field in SHOWN_FIELDS}
"""The members of an entry that is shown."""


def with_members(members: Mapping[str, Any]) -> Callable[[type[Model]], type[Model]]:
    """Adds members behind those of a model; each is a type, or a type and its default."""

    def add(model: type[Model]) -> type[Model]:
        return create_model(
            model.__name__,
            __base__=model,
            __doc__=model.__doc__,
            __module__=model.__module__,
            **members,
        )

    return add
