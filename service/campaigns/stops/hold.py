"""Why only a person may let something fire, and what becomes of it until then.

A fire that is held waits by itself, and the fires after it come at their times; only a plan that
fires once, or says `hold_following`, waits as a whole. See docs/decisions/0140-a-held-fire.md.
"""

from datetime import datetime
from typing import NamedTuple

from service.accounts.people.model import By
from service.campaigns.audience.follow_up_store import still_sends
from service.campaigns.calendar.fires import Fire, Turn, Why
from service.campaigns.core import fire_store, store
from service.campaigns.core.model import Act, Campaign, Content, State
from service.campaigns.stops.stop_store import stop_in_force
from service.messages.lint import never_words
from service.messages.lint.lint_store import policy_get
from service.messages.offers.withdrawal import explain
from service.messages.offers.withdrawal_store import withdrawn_among
from service.storage.postgres import Connection
from service.words.phrase import phrase


class Obstacle(NamedTuple):
    """Why something may not fire by itself, as a code and as a sentence."""

    code: Why
    sentence: str

    def by(self, now: datetime) -> By:
        """The author of a change that the scheduler makes for this reason: no person."""
        return By(None, self.sentence, now, self.code)


_OF_ONE_FIRE = frozenset({Why.LATE, Why.STOPPED, Why.EXCHANGED})
"""Why a fire is held, where the plan may come to its next one all the same."""

TOO_LATE = Obstacle(Why.LATE, "too late to fire")


async def find_obstacle(
    conn: Connection, campaign: Campaign, content: Content, now: datetime, *, lock: bool = True
) -> Obstacle | None:
    """Why only a person may let a campaign that is due send; None: nothing is in the way, and its
    words are not withdrawn before the transaction ends (`lock`: see `withdrawn_among`).
    """
    if (stop := await stop_in_force(conn)) is not None:
        return Obstacle(Why.STOPPED, phrase("everything is stopped: {reason}", reason=stop.reason))
    if campaign.plan.period_end is not None and now >= campaign.plan.period_end:
        return Obstacle(Why.PERIOD_OVER, phrase("the campaign's period is over"))
    corrects = campaign.plan.corrects
    if corrects is not None and await still_sends(conn, corrects):
        return Obstacle(
            Why.STILL_SENDS,
            phrase("what it corrects still sends: cancel that campaign, or wait until it is sent"),
        )
    if content.hash != campaign.approved_hash:
        return Obstacle(Why.NOT_APPROVED, phrase("not what was approved"))
    return await _obstacle_of_words(conn, content, lock=lock)


async def _obstacle_of_words(conn: Connection, content: Content, *, lock: bool) -> Obstacle | None:
    versions = [words.template_version_id for words in content.texts]
    if withdrawn := await withdrawn_among(conn, versions, lock=lock):
        return Obstacle(Why.WITHDRAWN, explain(withdrawn[0]))
    never = (await policy_get(conn)).never_words
    found = (never_words.first_in(text.text, never) for text in content.texts)
    if (word := next(filter(None, found), None)) is not None:
        return Obstacle(
            Why.NEVER_WORD,
            phrase(
                "its text has a word that must never be used now: {word}; say it otherwise"
                " and have it approved again, or have the word taken off the list",
                word=word,
            ),
        )
    return None


async def hold(conn: Connection, campaign: Campaign, by: By) -> None:
    """Hold a campaign until somebody releases it."""
    await store.set_next_fire(conn, campaign.id, None)
    await store.move(conn, campaign.id, Act.HOLD, State.HELD, by)


async def hold_fire(
    conn: Connection, campaign: Campaign, fire: Fire, turn: Turn, obstacle: Obstacle, now: datetime
) -> None:
    """Hold a fire until somebody releases or skips it, and the campaign with it if it waits as one,
    or if nothing of it may send.
    """
    held = fire._replace(note=obstacle.sentence, code=obstacle.code)
    await fire_store.insert_held(conn, campaign.id, held, now)
    if campaign.plan.schedule.waits_as_one or obstacle.code not in _OF_ONE_FIRE:
        await hold(conn, campaign, obstacle.by(now))
    else:
        await store.set_next_fire(conn, campaign.id, turn.following.at if turn.following else None)
