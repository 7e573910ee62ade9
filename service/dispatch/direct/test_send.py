"""A test of a submitted campaign: its text, as it will read, to the approver's own phone.

It takes the campaign's own channels and class, within the hours of service texts also if it is a
warning. It is a run of its own mode, so that no report counts it among the people who were warned.
It goes to nobody but whoever asks, who could approve the campaign and has proved the phone
(`own_phone`), and only so often: it must not become a way round the second person.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people import phone_store
from service.accounts.people.model import User
from service.audience.numbers.prefix import is_synthetic
from service.audience.numbers.prefix_store import current_prefixes
from service.campaigns.approval.approval import check_second_person
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.audience.preview import sample_text
from service.campaigns.core.model import Campaign, State
from service.campaigns.plans.planning import load
from service.channels.routing.route import routes
from service.channels.routing.route_store import list_routable_channels
from service.crypto import Keyring
from service.dispatch.direct import direct_store, test_send_store
from service.dispatch.direct.direct import Started
from service.dispatch.direct.direct_store import Recipient
from service.dispatch.direct.own_phone import service_hours
from service.dispatch.direct.test_send_store import NewTest
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expand import SLICE_ROWS
from service.errors import Conflict, Invalid
from service.messages.offers.withdrawal import check_words_stand
from service.storage.postgres import Connection
from service.words.phrase import phrase

VALIDITY = timedelta(hours=1)
MOST_A_DAY = 20
"""How many tests one user may have in 24 hours."""


async def test_send(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    campaign_id: UUID,
    now: datetime,
    text_no: int,
) -> Started:
    """Send what was submitted to the actor's own phone; of several texts the one of this number.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Invalid: the campaign has no text of this number.
        Forbidden: the actor could not approve it.
        Conflict: it does not wait for approval, the actor has proved no phone or had too many
            tests, the hours of service texts are over, no channel takes the number, or it may not
            be written to.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    cipher, valid_until = await check_test(conn, actor, campaign, now, lock=True)
    if text_no > len(campaign.further) + 1:
        raise Invalid.at(
            "text_no", phrase("the campaign has {count} texts", count=len(campaign.further) + 1)
        )
    person = await _recipient(conn, keyring, campaign, keyring.decrypt("phone", cipher), now)
    run = await test_send_store.insert_test(conn, _test(campaign, actor, text_no), now, valid_until)
    if run is None:
        raise Conflict(phrase("another run of the campaign began in this very moment; try again"))
    target, excluded = await direct_store.write_ledger(conn, run, [person], now)
    if not target:
        raise Conflict(
            phrase("your phone may not be written to: see the suppressions"), code="suppressed"
        )
    rows = range(1, target + 1)
    channels: Sequence[int] = await expand_store.write_slices(conn, run, SLICE_ROWS, rows)
    await expand_store.finish_expansion(conn, run["id"], "running", target, now)
    return Started(run["id"], target, excluded, channels)


async def check_test(
    conn: Connection, actor: User, campaign: Campaign, now: datetime, *, lock: bool = False
) -> tuple[bytes, datetime]:
    """Refuse a test for all that is known without looking for a channel; returns the encrypted
    phone, and until when the test may leave. lock: as for `check_words_stand`.

    Raises:
        Forbidden, Conflict: as for `test_send`.
    """
    await check_second_person(conn, actor, campaign, now)
    if campaign.state is not State.PENDING_APPROVAL:
        raise Conflict(
            phrase("only a campaign that waits for approval is tested"), code="wrong_state"
        )
    versions = [words.template_version_id for words in frozen_content(campaign).texts]
    await check_words_stand(conn, versions, lock=lock)
    cipher = await _proved_phone(conn, actor)
    if await test_send_store.count_tests(conn, actor.id, now - timedelta(days=1)) >= MOST_A_DAY:
        raise Conflict(
            phrase("you had {count} tests in 24 hours; try tomorrow", count=MOST_A_DAY),
            code="too_many",
        )
    return cipher, min(now + VALIDITY, await service_hours(conn, now))


async def _proved_phone(conn: Connection, actor: User) -> bytes:
    own = await phone_store.get_phone(conn, actor.id)
    if own.cipher is None:
        raise Conflict(
            phrase("say first which phone is yours: PUT /account/phone"), code="no_phone"
        )
    if own.proved_at is None:
        raise Conflict(
            phrase(
                "prove first that your phone is yours: PUT /account/phone sends a code to"
                " it, and POST /account/phone/code takes it"
            ),
            code="phone_not_proved",
        )
    return own.cipher


def _test(campaign: Campaign, actor: User, text_no: int) -> NewTest:
    content = frozen_content(campaign)
    text = sample_text(content.texts[text_no - 1].text)
    return NewTest(campaign.id, content.hash, actor.id, text, content.rule, text_no)


async def _recipient(
    conn: Connection, keyring: Keyring, campaign: Campaign, phone: str, now: datetime
) -> Recipient:
    carrier = (await current_prefixes(conn)).carrier_of(phone) or ""
    synthetic = is_synthetic(phone)
    for route in routes(await list_routable_channels(conn, now), campaign.plan.channels):
        if route.carrier == carrier and route.simulated == synthetic:
            return Recipient(
                keyring.phone_index(phone),
                keyring.encrypt("phone", phone),
                carrier,
                synthetic,
                route.channel_id,
            )
    raise Conflict(phrase("none of the campaign's channels takes your number"), code="no_route")
