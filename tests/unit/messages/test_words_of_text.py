"""The words of a text, without its signature."""

from hypothesis import given
from hypothesis import strategies as st

from service.messages.signature import LONGEST, head, words

_CHARACTERS = st.text(st.sampled_from("【】 安全\u3000\n.a1{}"), max_size=40)


@given(_CHARACTERS)
def test_signature_and_words_are_the_text(text: str) -> None:
    assert head(text) + words(text) == text


@given(st.text(st.sampled_from("旌德县x "), min_size=1, max_size=LONGEST), _CHARACTERS)
def test_whatever_the_signature_the_words_are_the_same(signature: str, said: str) -> None:
    assert words(f"【{signature}】{said}") == said
