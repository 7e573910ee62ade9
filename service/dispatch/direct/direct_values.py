"""The values that a direct send brings for a text: what no second person has read.

A second person has read the text, with what lint finds in it. So lint looks at the filled text for
what the values add, and at each value alone, as the hand-off will (`value_check`).
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from service.dispatch.value_check import ValueCheck, ValueRefused
from service.errors import Invalid
from service.ledger.message_class import NOTICE
from service.messages.lint.lint import Finding, lint, of_level
from service.messages.policy import Policy, TextSender
from service.messages.template import MAX_VALUE, allowed_values, variables
from service.messages.value_kinds import KIND_WORDS, Allowed, fits
from service.words.phrase import listing, phrase

_VALUES = ValueCheck()
"""The verdicts of this process, as the hand-off has its own."""
_JUDGING = threading.Lock()
"""Held by whichever thread has `_VALUES` follow a policy and judge by it."""
_PLAIN = "甲"
"""A value in which lint finds nothing."""
_MOST_CHOICES = 1000


@dataclass(frozen=True)
class GivenText:
    """An approved text that values are given for.

    sender: whose it is, with the numbers that are registered for it. policy: for unread words.
    """

    text: str
    department_id: UUID
    sender: TextSender
    policy: Policy

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """Its variables."""
        return variables(self.text)

    @cached_property
    def _read(self) -> dict[tuple[str, ...], frozenset[tuple[str, int]]]:
        """What lint finds in the text itself, by rule and place, for each choice of values."""
        return {}

    def _was_read(self, values: Mapping[str, str]) -> frozenset[tuple[str, int]]:
        """What whoever approved the text has read: its words, and the values to choose from."""
        chosen = {
            name: values[name] if isinstance(self._allowed.get(name), tuple) else _PLAIN
            for name in self.wanted
        }
        key = tuple(chosen.values())
        if key not in self._read:
            if len(self._read) >= _MOST_CHOICES:
                self._read.clear()
            self._read[key] = frozenset(map(_where, self._serious(chosen)))
        return self._read[key]

    @cached_property
    def _allowed(self) -> Mapping[str, Allowed]:
        return allowed_values(self.text)

    def check(self, values: Mapping[str, str]) -> None:
        """Refuse values that are missing, too many, too long, or that lint finds fault with.

        Raises:
            Invalid: code `variables`.
        """
        self._check_form(values)
        if not self.wanted:
            return
        self._check_choices(values)
        if serious := self._serious(values):
            read = self._was_read(values)
            for found in serious:
                if _where(found) not in read:
                    raise Invalid(
                        phrase("{rule}: {message}", rule=found["rule"], message=found["message"]),
                        code="variables",
                    )
        try:
            with _JUDGING:
                _VALUES.follow(self.policy.never_words, {self.department_id: self.sender.landlines})
                _VALUES.check(
                    self.wanted,
                    values,
                    given=True,
                    department_id=self.department_id,
                    allowed=self._allowed,
                )
        except ValueRefused as error:
            raise Invalid(error.sentence, code="variables") from None

    def _check_choices(self, values: Mapping[str, str]) -> None:
        for name, allowed in self._allowed.items():
            if not fits(values[name], allowed):
                wanted = (
                    phrase("one of {allowed}", allowed=listing(allowed))
                    if isinstance(allowed, tuple)
                    else phrase("{kind}, as the text says", kind=KIND_WORDS[allowed])
                )
                raise Invalid(
                    phrase("the value of {{{name}}} must be {wanted}", name=name, wanted=wanted),
                    code="variables",
                )

    def _serious(self, values: Mapping[str, str]) -> list[Finding]:
        """The findings of level `block` and `review` in the filled text. The wording of the whole
        (R25) is left out: it is that of the text, and a value of a few characters moves it by
        chance.
        """
        found = lint(
            self.text,
            values,
            message_class=NOTICE,
            sender=self.sender,
            policy=self.policy,
            weights={},
        )
        return of_level(found, "block", "review")

    def _check_form(self, values: Mapping[str, str]) -> None:
        for name in self.wanted:
            if not values.get(name, "").strip():
                raise Invalid(
                    phrase("the variable {{{name}}} has no value", name=name), code="variables"
                )
            if len(values[name]) > MAX_VALUE:
                raise Invalid(
                    phrase(
                        "the value of {{{name}}} has more than {max_value} characters",
                        name=name,
                        max_value=MAX_VALUE,
                    ),
                    code="variables",
                )
            if not values[name].isprintable():
                raise Invalid(
                    phrase("the value of {{{name}}} must be one line", name=name), code="variables"
                )
        if unknown := next((name for name in values if name not in self.wanted), None):
            raise Invalid(
                phrase("the text has no variable {{{unknown}}}", unknown=unknown), code="variables"
            )


def _where(finding: Finding) -> tuple[str, int]:
    return finding["rule"], finding["at"]
