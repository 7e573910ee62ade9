"""Templates: nothing that is filled in can become anything but a value."""

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocols.http.template import (
    TemplateError,
    form_template,
    json_template,
    names_of,
    read_headers,
)

KNOWN = frozenset({"text", "to", "end"})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS, TEXTS)
def test_any_text_is_one_value_of_a_json_document(text: str, to: str) -> None:
    template = json_template(
        '{"a": ["{text}", 1, {"b": "<{to}> {{x}}"}], "k": null, "l": "text"}', KNOWN
    )
    body = template.render({"text": text, "to": to, "end": ""})
    a = ([text] if text else [""]) + [1, {"b": f"<{to}> {{x}}"}]
    assert json.loads(body) == {"a": a, "k": None, "l": "text"}


@given(TEXTS, TEXTS)
def test_any_text_is_one_value_of_a_form(text: str, to: str) -> None:
    template = form_template("t=%26{text}&to=.{to}&t=+{{}}&e=", KNOWN)
    body = template.render({"text": text, "to": to, "end": ""})
    fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert fields == [("t", f"&{text}"), ("to", f".{to}"), ("t", " {}"), ("e", "")]


def test_half_a_surrogate_pair_is_a_question_mark() -> None:
    values = {"text": "\ud800", "to": "", "end": ""}
    assert form_template("t={text}", KNOWN).render(values) == b"t=%3F"
    assert json_template('{"t": "{text}"}', KNOWN).render(values) == b'{"t": "?"}'


@pytest.mark.parametrize(("end", "there"), [("", False), ("5", True)])
def test_a_field_of_nothing_but_empty_placeholders_is_left_out(end: str, there: bool) -> None:
    values = {"text": "t", "to": "x", "end": end}
    assert (b"e=" in form_template("t={text}&e={end}", KNOWN).render(values)) is there
    document = json.loads(
        json_template('{"e": "{end}", "kept": "", "n": {"e": "{end}"}}', KNOWN).render(values)
    )
    assert ("e" in document) is there
    assert document["kept"] == ""
    assert ("e" in document["n"]) is there


@pytest.mark.parametrize("source", ["{unknown}", "{", "}", "{te xt}", "{}", "{text", "text}"])
def test_a_placeholder_that_is_none_is_an_error_that_names_those_there_are(source: str) -> None:
    for make in (
        lambda: json_template(json.dumps({"a": source}), KNOWN),
        lambda: form_template(f"a={source}", KNOWN),
    ):
        with pytest.raises(TemplateError, match="{text}"):
            make()


@pytest.mark.parametrize("source", ["", "{", "to={text}", "{'a': 'b'}"])
def test_what_is_no_json_is_an_error_with_an_example(source: str) -> None:
    with pytest.raises(TemplateError, match="write JSON like"):
        json_template(source, KNOWN)


@pytest.mark.parametrize("source", ["", "{text}", '{"a": "b"}', "a=b&c"])
def test_what_is_no_form_is_an_error_with_an_example(source: str) -> None:
    with pytest.raises(TemplateError, match="write a form like"):
        form_template(source, KNOWN)


def test_the_names_of_a_template() -> None:
    assert names_of(json_template('[{"a": "{text}{to}"}, 5, "{end}"]', KNOWN)) == KNOWN
    assert names_of(form_template("a={text}&b=c", KNOWN)) == {"text"}


def test_headers_are_written_one_a_line() -> None:
    assert read_headers("\nx-key: a: b\r\n Authorization:Bearer 1 \n") == {
        "X-Key": "a: b",
        "Authorization": "Bearer 1",
    }


@pytest.mark.parametrize("line", ["nothing", "a b: c", ": c", "Content-Length: 5", "A: b\x00c"])
def test_a_line_that_is_no_header_is_told_by_its_number_alone(line: str) -> None:
    with pytest.raises(TemplateError, match="line 2") as error:
        read_headers(f"X: y\n{line}")
    assert line not in str(error.value)
