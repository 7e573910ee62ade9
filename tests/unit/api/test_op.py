"""What the route table says of each operation, from its handler's own annotations."""

import inspect
from uuid import UUID

from pydantic import BaseModel

from service.api.http.call import Download
from service.api.http.op import Op
from service.api.routes import OPS


def test_a_path_names_exactly_the_handlers_parameters() -> None:
    for op in OPS:
        placed = {part[1:-1] for part in op.path.split("/") if part.startswith("{")}
        assert placed == set(op.parameters), op
        assert set(op.parameters.values()) <= {UUID, int, str}, op


def test_every_handler_says_what_it_takes_and_answers() -> None:
    for op in OPS:
        for name, parameter in inspect.signature(op.handler).parameters.items():
            assert parameter.annotation is not inspect.Parameter.empty, (op, name)
        assert op.out is None or issubclass(op.out, BaseModel | Download), op
        assert (op.out is None) == (op.status == 204), op


def test_no_route_stands_twice_and_reading_changes_nothing() -> None:
    assert len({(op.method, op.path) for op in OPS}) == len(OPS)
    for op in OPS:
        assert (op.body is None) or op.method in {"POST", "PATCH", "PUT", "DELETE"}, op
        assert (op.query is None) or op.method in {"GET", "DELETE"}, op


def test_errors_that_follow_from_the_signature_are_not_repeated() -> None:
    for op in OPS:
        implied = set(Op(op.method, op.path, op.handler, op.right).statuses)
        assert not implied & set(op.errors), op
