"""The OpenAPI 3.1 document, made from the route table and the models; nothing is written twice."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from service.api.catalogue import PROBLEMS
from service.api.description.links import links_of
from service.api.description.samples import Samples
from service.api.examples import EXAMPLES
from service.api.http.call import Download
from service.api.http.idempotency import HEADER, MAX_LENGTH
from service.api.http.op import Op
from service.api.http.problems import HEADERS, MEDIA_TYPE, TITLES
from service.api.http.reads import AS_OF
from service.api.http.schema import Out
from service.api.http.version import ETAG, IF_MATCH, IF_NONE_MATCH
from service.api.tags import TAGS

REF = "#/components/schemas/{model}"
Schema = dict[str, Any]
SchemaMode = Literal["validation", "serialization"]

ABOUT = (
    "Campaigns, audiences and reports of a bulk SMS broadcast service. Errors are RFC 9457"
    " problems with a stable `type`; an address that does not take a method answers 405 with"
    " `Allow`. Lists are paged by cursor. Instants are RFC 3339 with an offset;"
    " answers have the county's, +08:00."
    " `x-keys` says which keys may call an operation: live ones, trial and test keys, and narrow"
    " ones, which have limits of area or roster."
)


class Problem(Out):
    """An error (RFC 9457); some carry more members, such as `findings` of a text."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    fields: dict[str, str] = Field(default_factory=dict)


def document(ops: Sequence[Op], prefix: str, version: str) -> Schema:
    """The whole document."""
    models: list[tuple[type[BaseModel], SchemaMode]] = [(Problem, "serialization")]
    for op in ops:
        models += [(model, "validation") for model in (op.body, op.query) if model]
        if op.out and issubclass(op.out, BaseModel):
            models.append((op.out, "serialization"))
    refs, definitions = models_json_schema(models, ref_template=REF)
    references: dict[Any, Schema] = dict(refs)
    schemas = definitions.get("$defs", {})
    paths: dict[str, Schema] = {}
    for op in ops:
        operation = _operation(op, references, schemas)
        if links := links_of(op, ops):
            operation["responses"][str(op.status)]["links"] = links
        paths.setdefault(prefix + op.path, {})[op.method.lower()] = operation
    _tell_pairs_plainly(schemas)
    _show_answers(paths, Samples(schemas))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tocsin", "version": version, "description": ABOUT},
        "security": [{"key": []}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": _SCHEME},
            "examples": {f"problem_{status}": {"value": problem_of(status)} for status in _CODES},
        },
    }


def _show_answers(paths: Schema, samples: Samples) -> None:
    """Give each answer an example, and each refusal one of its status."""
    for item in paths.values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                for media, content in answer.get("content", {}).items():
                    if media == MEDIA_TYPE:
                        content["examples"] = {"usual": {"$ref": _PROBLEM.format(status=status)}}
                    elif media == "application/json":
                        content["example"] = samples.of(content["schema"])


_PROBLEM = "#/components/examples/problem_{status}"
_CODES = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    408: "too_slow",
    409: "conflict",
    412: "stale",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "error",
    503: "unavailable",
}


def problem_of(status: int) -> dict[str, Any]:
    """A problem of this status, as it is answered."""
    code = _CODES[status]
    found = {
        "type": f"/problems/{code}",
        "title": TITLES[status],
        "status": status,
        "detail": PROBLEMS[code],
        "request_id": "5f0c62d1-0b8f7a11-9e2c4d7a-3b6e1f02",
    }
    return found | ({"fields": {"reason": "Field required"}} if status == 422 else {})


def _tell_pairs_plainly(schema: Any) -> None:
    """Say of a tuple of like things that it is a list of so many: more readers know that form."""
    if isinstance(schema, dict):
        first, *rest = schema.get("prefixItems", [None])
        if first is not None and all(other == first for other in rest):
            del schema["prefixItems"]
            schema["items"] = first
        for part in schema.values():
            _tell_pairs_plainly(part)
    elif isinstance(schema, list):
        for part in schema:
            _tell_pairs_plainly(part)


_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "`tk_…`, a key that an administrator made and another one activated; it acts as"
    " its user, within its scopes. Or the token of a login.",
}


def _operation(op: Op, references: dict[Any, Schema], schemas: Schema) -> Schema:
    operation: Schema = {
        "operationId": op.name,
        "tags": [op.path.split("/")[1]],
        "summary": op.summary,
        "description": _who_may(op) + _said_of_keys(op),
        "x-keys": _which_keys(op),
        "parameters": [*_path_parameters(op), *_query_parameters(op, references, schemas)],
        "responses": {str(op.status): _success(op, references)}
        | {str(status): _refusal(status, references) for status in op.statuses},
    }
    if op.is_open:
        operation["security"] = []
    if op.is_once:
        operation["parameters"].append(_idempotency_key(op))
    if op.is_edit:
        operation["parameters"].append(_if_match())
    if _is_versioned(op):
        operation["parameters"].append(_if_none_match())
        operation["responses"]["304"] = {"description": "It is as you saw it."}
    if op.body:
        operation["requestBody"] = _request_body(op, references[op.body, "validation"], schemas)
    return operation


_PATH_TYPES: dict[type, Schema] = {
    int: {"type": "integer", "minimum": 0},
    str: {"type": "string"},
    UUID: {"type": "string", "format": "uuid"},
}


def _who_may(op: Op) -> str:
    if op.is_open:
        return "For everybody; needs no key."
    if op.right is None:
        return "For everybody who is known."
    return f"Needs the right to {op.right.value}."


def _which_keys(op: Op) -> list[str]:
    """Which kinds of key may call it, as far as their rights go."""
    kinds = {"live": not op.logged_in, "trial": op.takes_test_keys, "test": op.takes_test_keys}
    kinds["narrow"] = op.takes_scoped_keys
    return [] if op.is_open else [kind for kind, may in kinds.items() if may]


def _said_of_keys(op: Op) -> str:
    if op.is_open:
        return ""
    kinds = _which_keys(op)
    return f" Keys: {', '.join(kinds)}." if kinds else " Takes a login; not for keys."


def _path_parameters(op: Op) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATH_TYPES[kind],
        }
        for name, kind in op.parameters.items()
    ]


def _query_parameters(op: Op, references: dict[Any, Schema], schemas: Schema) -> list[Schema]:
    if op.query is None:
        return []
    model = schemas[_model_name(references[op.query, "validation"])]
    return [
        {
            "name": field,
            "in": "query",
            "required": field in model.get("required", ()),
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for field, schema in model["properties"].items()
    ]


def _idempotency_key(op: Op) -> Schema:
    again = "the same request gets the same answer"
    if not op.replayable:
        again = "the answer is for once: the same request again is refused (409 `answered_once`)"
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": f"Makes it safe to send the request again; one for each act; {again}.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH},
    }


def _if_match() -> Schema:
    return {
        "name": IF_MATCH,
        "in": "header",
        "required": False,
        "description": "The ETag of what you saw: the edit is refused (412) if it has changed.",
        "schema": {"type": "string"},
    }


def _is_versioned(op: Op) -> bool:
    return op.method == "GET" and op.out is not None and issubclass(op.out, BaseModel)


def _if_none_match() -> Schema:
    return {
        "name": IF_NONE_MATCH,
        "in": "header",
        "required": False,
        "description": "The ETag of what you have: the answer is 304 while it is still so.",
        "schema": {"type": "string"},
    }


def _request_body(op: Op, reference: Schema, schemas: Schema) -> Schema:
    if not op.takes_file:
        content: Schema = {"schema": reference, "examples": _examples(op)}
        return {"required": not op.body_optional, "content": {"application/json": content}}
    form = schemas[_model_name(reference)]
    file = {"file": {"contentMediaType": "application/octet-stream"}}
    whole = form | {
        "properties": form["properties"] | file,
        "required": [*form.get("required", ()), "file"],
    }
    content = {"schema": whole, "examples": _examples(op)}
    return {"required": True, "content": {"multipart/form-data": content}}


def _examples(op: Op) -> Schema:
    """The body as it is usually sent; of an upload with what stands for the file."""
    usual = EXAMPLES[op.name] | ({"file": "(the file)"} if op.takes_file else {})
    return {"usual": {"value": usual}}


def _model_name(reference: Schema) -> str:
    name: str = reference["$ref"].rpartition("/")[2]
    return name


def _success(op: Op, references: dict[Any, Schema]) -> Schema:
    if op.out is None:
        return {"description": "Done."}
    headers: Schema = {AS_OF: _AS_OF} if op.replica else {}
    if issubclass(op.out, Download):
        kinds = (op.media,) if isinstance(op.media, str) else op.media
        content: Schema = {kind: {"schema": {"type": "string"}} for kind in kinds}
        file: Schema = {"description": "A file.", "content": content}
        return file | ({"headers": headers} if headers else {})
    schema = references[op.out, "serialization"]
    answer: Schema = {
        "description": op.summary,
        "content": {"application/json": {"schema": schema}},
    }
    if op.method == "GET" or op.is_edit:
        headers = {ETAG: {"schema": {"type": "string"}}, **headers}
    return answer | ({"headers": headers} if headers else {})


_AS_OF = {
    "description": "Given where a standby of the database answered: all that was done before this"
    " instant is in the answer.",
    "schema": {"type": "string", "format": "date-time"},
}


def _refusal(status: int, references: dict[Any, Schema]) -> Schema:
    refusal: Schema = {
        "description": TITLES[status],
        "content": {MEDIA_TYPE: {"schema": references[Problem, "serialization"]}},
    }
    if status in HEADERS:
        refusal["headers"] = {name: {"schema": {"type": "string"}} for name in HEADERS[status]}
    return refusal
