"""The one table from error class to status."""

import pytest

from service import errors
from service.api.http.problems import STATUS, TITLES, status_of
from service.api.http.schema import Body, Int
from service.channels.contract.gateway import Unreachable


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Invalid("x"), 422),
        (errors.FileRefused("x"), 422),
        (errors.NotFound("x"), 404),
        (errors.Forbidden("x"), 403),
        (errors.Conflict("x"), 409),
        (errors.Misconfigured("x"), 500),
        (errors.Unavailable("x"), 503),
        (Unreachable("x"), 500),  # a gateway's trouble never reaches a caller of ours
    ],
)
def test_the_status_is_that_of_the_nearest_class(error: errors.TocsinError, status: int) -> None:
    assert status_of(error) == status


def test_every_status_has_a_title() -> None:
    assert set(STATUS.values()) <= set(TITLES)


def test_every_direct_kind_of_error_is_in_the_table() -> None:
    direct = {
        cls for cls in errors.TocsinError.__subclasses__() if cls.__module__ == "service.errors"
    }
    assert direct <= set(STATUS)


class _Numbers(Body):
    n: Int


@pytest.mark.parametrize("given", [b'{"n": 5}', b'{"n": 5.0}', b'{"n": 5e0}'])
def test_whole_numbers(given: bytes) -> None:
    assert _Numbers.model_validate_json(given).n == 5


@pytest.mark.parametrize(
    "given", [b'{"n": "5"}', b'{"n": true}', b'{"n": 5.1}', b'{"n": 1e400}', b'{"n": null}']
)
def test_what_is_no_whole_number(given: bytes) -> None:
    with pytest.raises(ValueError, match="n"):
        _Numbers.model_validate_json(given)
