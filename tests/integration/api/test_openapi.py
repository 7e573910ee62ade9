"""The OpenAPI document is valid 3.1 and says exactly what the server does."""

from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api import callbacks, login
from service.api.routes import OPS, PREFIX
from tests.integration.api.conftest import Api

UNDOCUMENTED = {
    "/problems",
    "/problems/{code}",
    "/healthz",
    "/readyz",
    "/metrics",
    f"{PREFIX}/openapi.json",
}


async def test_the_document_is_valid_and_equals_the_routes(api: Api) -> None:
    answer = await api.get("/openapi.json", None)
    assert answer.status == 200
    document = answer.json
    OpenAPIV31SpecValidator(document).validate()
    documented = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    app = api.client.app
    assert isinstance(app, web.Application)
    served = {
        (route.method, resource.canonical)
        for resource in app.router.resources()
        for route in resource
        if resource.canonical not in UNDOCUMENTED
    }
    assert documented == served


async def test_names_are_unique_and_every_operation_explains_itself(api: Api) -> None:
    document = (await api.get("/openapi.json", None)).json
    operations = [op for item in document["paths"].values() for op in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(OPS) + 1
    assert all(operation["summary"].endswith(".") for operation in operations)
    assert document["security"] == [{"key": []}]
    keyless = [operation["operationId"] for operation in operations if "security" in operation]
    assert keyless == [login.login.__name__, callbacks.Callbacks.receive.__name__]


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
