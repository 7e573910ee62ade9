"""A value of a wrong form is answered with an example, and never with a regular expression."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from service.api.reports.coverage import CoverageQuery
from service.words.phrase import Phrase, translated
from service.words.validation import PATTERN_EXAMPLES, fault, pattern_words
from tests.harness.description import description


def _patterns(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _patterns(one)


PATTERNS = sorted(set(_patterns(description())))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_of_the_document_has_an_example_of_its_form(pattern: str) -> None:
    said = translated(pattern_words(pattern), "en")
    found = re.fullmatch("write (?:it like|one of) (.+)", said)
    assert found, f"no example: {said}"
    examples = found[1].split(", ")
    assert all(re.search(pattern, example) for example in examples)
    assert pattern not in said


def test_no_example_is_of_a_pattern_that_is_gone() -> None:
    assert set(PATTERN_EXAMPLES) <= set(PATTERNS)


def test_a_wrong_quarter_is_answered_in_both_languages() -> None:
    with pytest.raises(ValidationError) as refused:
        CoverageQuery.model_validate({"quarter": "xx"})
    (said,) = [fault(item) for item in refused.value.errors() if item["loc"][0] == "quarter"]
    assert translated(said, "zh") == "格式不对，请写成 2027-Q1 这样"
    assert translated(said, "en") == "write it like 2027-Q1"


def test_a_pattern_without_an_example_is_not_shown_either() -> None:
    said = pattern_words("^[!-~]{1,6}$")
    assert not isinstance(said, Phrase) or "!" not in translated(said, "en")
    for language in ("zh", "en"):
        assert "[" not in translated(said, language)
