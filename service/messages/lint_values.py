"""What lint says of a value alone: the name, place or figure that fills a variable of a text.

A second person approves the text, and nobody each value in it. So a value asks for nothing, has no
link and no number, whatever stands around it; it is read as a sentence of its own.
"""

from service.messages.lint import Finding, lint, of_level
from service.messages.policy import Policy, for_unread_words

_ALONE = "【本县】您好。{值}。"
"""A text in which lint finds nothing, so that what it finds is in the value."""


def value_findings(value: str, policy: Policy) -> list[Finding]:
    """The findings of level `block` and `review` on a value, at the shipped levels or stricter
    ones, and by the county's never-words; takes about a millisecond.
    """
    found = lint(
        _ALONE,
        {"值": value},
        message_class="service",
        policy=for_unread_words(policy),
        weights={},
    )
    return of_level(found, "block", "review")
