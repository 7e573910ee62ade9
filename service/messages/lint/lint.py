"""Lint: how an official text is told apart from a scam. Each rule is one function in `RULES`.

Official publicity asks for nothing, links to nothing, threatens nobody, and can be checked through
a number that everybody knows. A `block` finding cannot be submitted; a `review` finding needs the
approver's word that it was read; a `warn` finding is advice. Lint changes nothing in a text, and
never replaces the second person.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypedDict

from service.ledger.message_class import PUBLICITY, MessageClass
from service.messages.lint import (
    lint_contacts,
    lint_facts,
    lint_form,
    lint_money,
    lint_requests,
    wording,
)
from service.messages.lint.draft import Draft, DraftAudience, Hit, draft
from service.messages.lint.similarity import most_alike
from service.messages.lint.stance import pressed, warns
from service.messages.policy import RULE_INFO, SCAM_TEXTS, SHIPPED, Level, Policy, TextSender
from service.words.phrase import pair

HONEST_BELOW, FIRMLY_HONEST_BELOW = 0.0, -2.5
"""A text whose wording scores less is worded like honest ones."""
PERSON_FROM, PERSON_FROM_IN_A_WARNING = -0.3, 0.4
"""From which score on a person has to look: later in a text that tells of frauds, in their words.

Both were chosen with each file of the corpus judged by the others (docs/lint.md).
"""
KNOWN_TO_BE_HONEST, KNOWN_TO_BE_FRAUD = 65, 40
"""How many runs of a text have to be known before its wording counts for it, and against it."""
KNOWN_TO_BE_MISREAD = 120
"""How many have to be before its wording counts for what it tells the reader to do."""
HONEST_SENTENCE_BELOW = -1.0
"""And how the sentence must be worded that tells it: honest words around it do not help."""

LIKE_A_SCAM = 0.7
LIKE_BEFORE = 0.9
"""From which likeness on a text counts as known (R25), as sent before (R24)."""


MOST_HITS = 20
"""What one rule finds in a text is listed so often; honest texts have three at most."""


class Finding(TypedDict):
    """What a rule found; `at` is the character of the text as it was given, counted from 1."""

    rule: str
    level: Level
    message: str
    at: int


LintRule = Callable[[Draft], Iterator[Hit]]


def lint(
    text: str,
    values: Mapping[str, str] | None = None,
    *,
    message_class: MessageClass = PUBLICITY,
    sender: TextSender | None = None,
    policy: Policy = SHIPPED,
    audience: DraftAudience | None = None,
    sent_before: Sequence[str] = (),
    weights: Mapping[str, float] | None = None,
) -> list[Finding]:
    """All findings on a text, in the order of the rules; never raises.

    Args:
        text: the template or the whole text.
        values: of its variables; None lints the template itself, its length at the worst case.
        message_class: what kind of message it would be.
        sender: whose it is; None leaves out the rules on who may sign and warn.
        policy: the county's levels and lists.
        audience: who would read it; then its length, and what is missing, are theirs.
        sent_before: texts that were sent within 30 days.
        weights: of the wording; None takes those shipped.
    """
    known = draft(text, values, message_class, sender, policy, audience)
    hits = [(number, hit) for number, rule in RULES.items() for hit in _first_of(rule(known))]
    worded = wording.weigh(known.words, weights)
    hits = _softened(known, hits, worded, weights)
    hits += [("R24", hit) for hit in _sent_before(known, sent_before)]
    levels = [policy.level(number, hit.level) for number, hit in hits if number != "R24"]
    hits += [("R25", hit) for hit in _review_hits(known, levels, worded)]
    return [
        Finding(
            rule=number,
            level=policy.level(number, hit.level),
            message=pair(hit.chinese, f"{hit.chinese} / {hit.english}"),
            at=hit.at + 1,
        )
        for number, hit in hits
    ]


def _first_of(hits: Iterator[Hit]) -> Iterator[Hit]:
    """What a rule finds, up to a limit. Of a text with more nobody reads the rest: it stays
    blocked, whatever that is.
    """
    for count, hit in enumerate(hits, 1):
        if count == MOST_HITS:
            yield hit._replace(level="block", certain=True)
            return
        yield hit


def of_level(findings: Sequence[Finding], *levels: Level) -> list[Finding]:
    """The findings of these levels."""
    return [finding for finding in findings if finding["level"] in levels]


RULES: Mapping[str, LintRule] = {
    "R01": lint_form.signature,
    "R02": lint_form.registered,
    "R03": lint_contacts.numbers,
    "R04": lint_contacts.private_numbers,
    "R05": lint_contacts.links,
    "R06": lint_contacts.elsewhere,
    "R07": lint_requests.secrets,
    "R08": lint_money.money,
    "R09": lint_requests.installs,
    "R10": lint_requests.threats,
    "R11": lint_requests.lures,
    "R12": lint_facts.advertising,
    "R13": lint_facts.replies,
    "R14": lint_facts.verification,
    "R15": lint_form.length,
    "R16": lint_form.hidden,
    "R17": lint_form.filled,
    "R18": lint_facts.personal_data,
    "R19": lint_facts.never_words,
    "R20": lint_facts.case_facts,
    "R21": lint_facts.facts,
    "R22": lint_form.opt_out,
    "R23": lint_facts.purpose,
}
"""The rules that a text alone decides, by their numbers, in the order in which findings are listed.

R24 needs what was sent before, R25 what the others found.
"""


def _sent_before(known: Draft, before: Sequence[str]) -> Iterator[Hit]:
    share = most_alike(known.body, before, LIKE_BEFORE)
    if share:
        yield Hit(
            RULE_INFO["R24"].level,
            0,
            f"30天内发过相近的文字（{share:.0%} 相同），请换一种说法，或排除已收到的人",
            f"much like a text sent within 30 days ({share:.0%} the same); say it otherwise, or "
            f"leave"
            " out those who received it",
        )


_OF_WORDS = frozenset({"R03", "R06", "R07", "R08", "R09", "R10", "R11"})
"""Rules that read what words or short numbers mean, and may misread those of an honest text."""
_ELSEWHERE = "R06"
_THREATS = "R10"
"""Whom it is aimed at is said by 您 alone, without an imperative."""
_MONEY = "R08"
"""Offices ask for what is due, and few words tell that from a fraud: a person knows."""
_NEVER_HONEST = frozenset({"R04", "R05", "R16"})
"""Rules that find what no honest text has, whatever its words."""


def _softened(
    known: Draft,
    hits: list[tuple[str, Hit]],
    worded: wording.Wording,
    weights: Mapping[str, float] | None,
) -> list[tuple[str, Hit]]:
    """The hits, with those on words sent to a person where the whole text is worded honestly.

    What the reader is told to do in so many words stays blocked unless the text is firmly worded
    so, is no short one, and its sentence is worded so, too. Everything stays blocked beside what no
    honest text has: a number to call, a link, an account to add, a code to hand over, a disguise.
    What is paid by an official way alone is advice only in a firmly honest text.
    """
    honest = worded.score < HONEST_BELOW and worded.known >= KNOWN_TO_BE_HONEST
    honest = honest and not any(hit.certain or number in _NEVER_HONEST for number, hit in hits)
    firmly = honest and worded.score < FIRMLY_HONEST_BELOW
    money = any(number == _MONEY for number, _ in hits)

    def misread(number: str, at: int) -> bool:
        if not _is_pressed(known, number, at):
            return True
        if number == _MONEY:
            return firmly and not lint_money.NEVER_DUE.search(known.words)
        if not firmly or worded.known < KNOWN_TO_BE_MISREAD or (number == _ELSEWHERE and money):
            return False
        return _stands_among_honest_words(known, at, weights)

    def level(number: str, hit: Hit) -> Level:
        if hit.level == "warn" and number in _OF_WORDS and not firmly:
            return "review"
        misreadable = honest and hit.level == "block" and number in _OF_WORDS
        return "review" if misreadable and misread(number, hit.at) else hit.level

    return [(number, hit._replace(level=level(number, hit))) for number, hit in hits]


def _stands_among_honest_words(known: Draft, at: int, weights: Mapping[str, float] | None) -> bool:
    """Whether the sentence there, or the one that quotes it, is worded like honest notices."""
    return all(
        wording.weigh(sentence.around or sentence.text, weights).score < HONEST_SENTENCE_BELOW
        for sentence in known.sentences
        if at in sentence.places
    )


def _is_pressed(known: Draft, number: str, at: int) -> bool:
    """Whether the reader is told so; a threat is one unless its sentence tells of frauds."""
    return any(
        pressed(sentence, sentence.places.index(at))
        or (number == _THREATS and not (sentence.quoted or warns(sentence)))
        for sentence in known.sentences
        if at in sentence.places
    )


def _review_hits(known: Draft, levels: Sequence[Level], worded: wording.Wording) -> Iterator[Hit]:
    reviews = levels.count("review")
    warning = any(warns(sentence) for sentence in known.sentences)
    limit = PERSON_FROM_IN_A_WARNING if warning else PERSON_FROM
    like_fraud = worded.score >= limit and worded.known >= KNOWN_TO_BE_FRAUD
    if like_fraud and "block" not in levels:
        telling = "”“".join(worded.telling)
        yield Hit(
            "review",
            0,
            f"用词像诈骗短信（“{telling}”），请核对确为本单位要说的话",
            f"worded like frauds ({', '.join(worded.telling)}); make sure that it is what the"
            " department means to say",
        )
    share = most_alike(known.body, SCAM_TEXTS, LIKE_A_SCAM)
    if share:
        yield Hit(
            "review",
            0,
            f"与已知诈骗短信 {share:.0%} 相同，请换一种写法",
            f"{share:.0%} the same as a known scam text; write it otherwise",
        )
    if reviews > 1:
        yield Hit(
            "review",
            0,
            f"有 {reviews} 处存疑，请逐条核对",
            f"{reviews} findings for a person; check each of them",
        )
