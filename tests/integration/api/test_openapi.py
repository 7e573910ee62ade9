"""The OpenAPI document is valid 3.1 and says exactly what the server does."""

import re
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

import service.app as application
from service.api import reference
from service.api.accounts import login
from service.api.cases import bulletins
from service.api.channels import callbacks
from service.api.content import public_check
from service.api.description.openapi import document
from service.api.routes import OPS, PREFIX
from service.api.tags import TAGS
from service.console.render import STATIC
from service.console.routes import OPEN_PAGES, PAGES
from tests.integration.api.conftest import Api

UNDOCUMENTED = {
    "/problems",
    "/problems/{code}",
    "/healthz",
    "/readyz",
    "/metrics",
    f"{PREFIX}/openapi.json",
    "/api/docs",
    "/api/docs/{name}",
}


PAGE_ADDRESSES = {page.path for page in (*PAGES, *OPEN_PAGES)} | {"/", STATIC + "/{hash}/{name}"}
"""The console's, which are for people."""


@pytest.mark.slow  # its own schema has some thousand rules
async def test_the_document_is_valid(api: Api) -> None:
    answer = await api.get("/openapi.json", None)
    OpenAPIV31SpecValidator(answer.json).validate()


async def test_the_document_equals_the_routes(api: Api) -> None:
    answer = await api.get("/openapi.json", None)
    assert answer.status == 200
    document = answer.json
    documented = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    app = api.client.app
    assert isinstance(app, web.Application)
    served = {
        (route.method, resource.canonical)
        for resource in app.router.resources()
        for route in resource
        if resource.canonical not in UNDOCUMENTED | PAGE_ADDRESSES
    }
    assert documented == served


@pytest.mark.slow
async def test_the_document_is_made_once_for_everybody(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a quarter of a second, and anybody may ask for it."""
    made: list[int] = []

    def counted(*arguments: Any) -> Any:
        made.append(1)
        return document(*arguments)

    monkeypatch.setattr(application, "document", counted)
    application._description.cache_clear()
    packed = await api.get("/openapi.json", None)
    plain = await api.get("/openapi.json", None, headers={"Accept-Encoding": "identity"})
    assert (packed.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == (
        "gzip",
        False,
    )
    assert packed.json == plain.json
    had = {"If-None-Match": plain.headers["ETag"]}
    assert (await api.get("/openapi.json", None, headers=had)).status == 304
    assert made == [1]


async def test_no_name_of_a_model_shows_where_it_stands_in_the_code(api: Api) -> None:
    """Two of one name are told apart by their modules, which change with every move."""
    schemas = (await api.get("/openapi.json", None)).json["components"]["schemas"]
    assert not [name for name in schemas if "__" in name]


async def test_names_are_unique_and_every_operation_explains_itself(api: Api) -> None:
    document = (await api.get("/openapi.json", None)).json
    operations = [op for item in document["paths"].values() for op in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(OPS) + 1
    assert all(operation["summary"].endswith(".") for operation in operations)
    assert document["security"] == [{"key": []}]
    keyless = [operation["operationId"] for operation in operations if "security" in operation]
    assert keyless == [
        login.login.__name__,
        bulletins.get_public_bulletin.__name__,
        public_check.check_text.__name__,
        callbacks.Callbacks.receive.__name__,
    ]


async def test_answers_match_their_documented_statuses(api: Api) -> None:
    document = (await api.get("/openapi.json", None)).json
    for op in OPS:
        path = PREFIX + op.path
        responses = document["paths"][path][op.method.lower()]["responses"]
        assert {"401", "403", "422", "503", str(op.status)} <= set(responses), op
        if op.body:
            assert {"400", "413", "415"} <= set(responses), op


async def test_the_upload_is_a_form_with_a_file(api: Api) -> None:
    document = (await api.get("/openapi.json", None)).json
    body = document["paths"][f"{PREFIX}/imports"]["post"]["requestBody"]
    schema = body["content"]["multipart/form-data"]["schema"]
    assert set(schema["required"]) == {"roster", "file"}
    assert schema["additionalProperties"] is False


async def test_every_part_says_what_it_is_about(api: Api) -> None:
    document = (await api.get("/openapi.json", None)).json
    used = {
        tag for item in document["paths"].values() for op in item.values() for tag in op["tags"]
    }
    about = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert not used - set(about), f"say in service/api/tags.py what these are about: {used}"
    assert set(TAGS) == used, "a part that has no address any more"
    assert all(sentence.endswith(".") for sentence in about.values())


async def test_the_reference_is_served_whole_and_asks_nobody_else(api: Api) -> None:
    for name, kind in (
        ("", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
    ):
        answer = await api.get(f"//api/docs{name}", None)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        text = answer.body.decode()
        assert not re.search(r"(?:https?:)?//[a-z]|innerHTML| style=| on[a-z]+=", text), name
    page = (await api.get("//api/docs", None)).body.decode()
    for address in re.findall(r'(?:src|href)="([^"#]+)"', page):
        assert (await api.get(f"//api/{address}", None)).status == 200, address
    assert (await api.get("//api/docs/__init__.py", None)).status == 404
    assert reference.PATH == "/api/docs"
