"""The starter library into a department's templates, as often as one likes.

A text that the department has changed since is its own, and stays; one that lint would block for
this sender is named and left out.
"""

from dataclasses import dataclass, field
from datetime import datetime

from service.accounts.people.model import User
from service.ledger.message_class import MessageClass
from service.messages.lint.lint import of_level
from service.messages.lint.verdict import judge
from service.messages.store import NewVersion, TemplateInfo, template_insert, template_texts
from service.messages.template import Starter, load_library
from service.storage.postgres import Connection
from service.words.phrase import Sentence


@dataclass(slots=True)
class Loaded:
    """What became of each starter, by its id; blocked ones with the rules that block them."""

    made: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    blocked: dict[str, list[str]] = field(default_factory=dict)


async def load_starters(conn: Connection, author: User, now: datetime) -> Loaded:
    """Make a template of every starter that the author's department has not; must run in a
    transaction. `there`: has it as it is shipped; `kept`: has changed it.
    """
    loaded = Loaded()
    named = await template_texts(conn, author.department_id)
    own = {name.partition(" ")[0]: text for name, text in named.items()}
    for starter in load_library():
        if starter.id in own:
            is_shipped = own[starter.id] == starter.text
            (loaded.there if is_shipped else loaded.kept).append(starter.id)
            continue
        message_class: MessageClass = starter.message_class
        found = await judge(conn, author.department_id, starter.text, message_class)
        if blocking := of_level(found, "block"):
            loaded.blocked[starter.id] = sorted({finding["rule"] for finding in blocking})
            continue
        info = TemplateInfo(
            template_name(starter), message_class, topic_of(starter), starter.language
        )
        version = NewVersion(starter.text, found, author.id)
        await template_insert(conn, author.department_id, info, version, now)
        loaded.made.append(starter.id)
    return loaded


def topic_of(starter: Starter) -> str:
    """The topic of the template that a starter becomes; else the kinds of fraud of which it warns,
    by which suggestions find it.
    """
    return starter.topic or " ".join(starter.fraud_types)


def title(starter: Starter) -> Sentence:
    """For whom it is and of what it warns, with its id before it."""
    audience, fraud = starter.audience_label, starter.fraud_label
    return Sentence(
        f"{starter.id} {audience.zh} · {fraud.zh}",
        f"{starter.id} {audience.en} · {fraud.en}",
    )


def template_name(starter: Starter) -> str:
    """What its template is called: its title in the language of its text. The id comes first: by it
    a department's template is known, also one that an earlier version named otherwise.
    """
    said = title(starter)
    return said.en if starter.language == "en" else said.zh
