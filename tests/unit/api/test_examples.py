"""The reference shows each operation with what is sent, what is answered, and each refusal."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.api.catalogue import PROBLEMS
from service.api.examples import EXAMPLES
from service.api.http.op import Op
from service.api.http.problems import MEDIA_TYPE
from service.api.routes import OPS, PREFIX
from tests.harness.description import description

DOCUMENT = description()
WITH_BODY = [op for op in OPS if op.body is not None]


def operation(op: Op) -> Any:
    return DOCUMENT["paths"][PREFIX + op.path][op.method.lower()]


def answers(media: str) -> Iterator[tuple[Op, str, Any]]:
    """The content of each documented answer of this type."""
    for op in OPS:
        for status, answer in operation(op)["responses"].items():
            if media in answer.get("content", {}):
                yield op, status, answer["content"][media]


def shown(content: Any) -> Any:
    """The example of a content, where it stands or where it is referred to."""
    if "example" in content:
        return content["example"]
    name = content["examples"]["usual"]["$ref"].rpartition("/")[2]
    return DOCUMENT["components"]["examples"][name]["value"]


def faults(content: Any) -> list[str]:
    """What an example has that its schema does not take."""
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(shown(content))]


def test_each_body_has_an_example_and_no_other_has() -> None:
    assert {op.name for op in WITH_BODY} == set(EXAMPLES)


@pytest.mark.parametrize("op", WITH_BODY, ids=lambda op: op.name)
def test_an_example_is_a_body_that_is_taken(op: Op) -> None:
    assert op.body is not None
    op.body.model_validate_json(json.dumps(EXAMPLES[op.name]))
    (content,) = operation(op)["requestBody"]["content"].values()
    assert content["examples"]["usual"]["value"].items() >= EXAMPLES[op.name].items()


def test_each_answer_has_an_example_that_its_schema_takes() -> None:
    wrong = {f"{op.name} {status}": faults(content) for op, status, content in answers(JSON)}
    assert len(wrong) > 150
    assert not {name: found for name, found in wrong.items() if found}


def test_each_refusal_is_shown_as_a_problem_of_its_status() -> None:
    refusals = list(answers(MEDIA_TYPE))
    assert {op.name for op, _, _ in refusals} == {op.name for op in OPS}
    for op, status, content in refusals:
        assert not faults(content), (op.name, status)
        assert shown(content)["status"] == int(status)
        assert shown(content)["type"].rpartition("/")[2] in PROBLEMS


def test_no_example_has_a_number_that_somebody_may_have() -> None:
    text = json.dumps([EXAMPLES, DOCUMENT], ensure_ascii=False)
    numbers = re.findall(r"(?<![\d-])1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)", text)
    assert numbers
    assert all(number.startswith("197") for number in numbers), numbers


JSON = "application/json"
