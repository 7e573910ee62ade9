"""Which answers lead to which operations: OpenAPI links, from the routes and the models (pure).

An answer leads to whatever is done with the thing that it shows, or the first one of its list:
what stands below its own path, or has a parameter whose own GET shows the same model. It also leads
to the GET of each other thing that it names, as in `department_id`.
"""

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from service.api.http.op import Op


def links_of(op: Op, ops: Sequence[Op]) -> dict[str, dict[str, Any]]:
    """The links of an operation's success, by the name of the operation where they lead."""
    if op.out is None or not issubclass(op.out, BaseModel):
        return {}
    place, model = _shown(op.out)
    found = {}
    for target in ops:
        told = {
            name: f"$response.body#{place}/{field}"
            for name in target.parameters
            if (field := _field_of(model, op, target, name, ops))
        }
        rest = target.parameters.keys() - told.keys()
        if told and rest <= op.parameters.keys():
            parameters = told | {name: f"$request.path.{name}" for name in sorted(rest)}
            found[target.name] = {"operationId": target.name, "parameters": parameters}
    return found


def _shown(out: type[BaseModel]) -> tuple[str, type[BaseModel]]:
    """The thing that the answer shows, or the first of its list, and where it stands."""
    items = out.model_fields.get("items")
    if items is not None and get_origin(items.annotation) is list:
        (item,) = get_args(items.annotation)
        if isinstance(item, type) and issubclass(item, BaseModel):
            return "/items/0", item
    return "", out


def _field_of(
    model: type[BaseModel], op: Op, target: Op, name: str, ops: Sequence[Op]
) -> str | None:
    """The field of the model that is a parameter of the target, if there is one."""
    below = target.path.startswith(f"{op.path}/{{{name}}}")
    own = target.path.partition(f"{{{name}}}")[0] + f"{{{name}}}"
    getters = [o.out for o in ops if o.method == "GET" and o.path == own]
    if below or any(shown is not None and issubclass(shown, model) for shown in getters):
        called = "id" if name.endswith("_id") else name
        return called if called in model.model_fields else None
    if not name.endswith("_id") or name not in model.model_fields:
        return None
    shows_no_other = "id" not in model.model_fields  # but says something of it, as a report does
    return name if shows_no_other or (target.method == "GET" and target.path == own) else None
