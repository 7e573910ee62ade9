"""What a relay would come to if it began now: its tree, whom its text would reach, and what they
would read; by the code that freezes the tree and passes the text on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import User
from service.audience.numbers.number import mask
from service.campaigns.audience.reader_values import masked
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.calendar.schedule import DEFAULT_HOURS
from service.clock import CHINA, day_in_china
from service.crypto import Keyring
from service.dispatch.direct.direct_values import GivenText
from service.errors import Conflict
from service.ledger.message_class import NOTICE
from service.messages.template import Measure, measure, render
from service.relays import passing, preview_store, texts
from service.relays.node_store import NodePerson
from service.relays.relays import AskedRelay, FrozenTree, tree_of
from service.relays.tree import NewNode, groups_of
from service.relays.values import NAME, NAMED
from service.storage.postgres import Connection


@dataclass(frozen=True, slots=True)
class LevelCount:
    """A level of a tree. people: each once, whatever places they have; texts: those of them who
    would get one.
    """

    level: int
    role: str
    all: int
    people: int
    texts: int


@dataclass(frozen=True, slots=True)
class FilledText:
    """The text as one of them would read it, with the name masked; its size is the true one."""

    phone: str
    text: str
    size: Measure


@dataclass(slots=True)
class RelayPreview:
    """What a relay would come to. people: in the whole tree, each once, of whom those in `excluded`
    cannot be reached, by the reason. without_owner: groups whose owner is on no list that holds.
    begins_at: when the first text may leave. held_why: why its text cannot be sent now, as a code.
    same: the relay because of which this one is refused.
    """

    frozen: FrozenTree
    groups: int
    people: int
    begins_at: datetime
    same: UUID | None
    without_owner: int = 0
    by_level: list[LevelCount] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)
    sample: FilledText | None = None
    held_why: str = ""

    @property
    def texts(self) -> int:
        """How many texts it would send: to each person one a level."""
        return sum(level.texts for level in self.by_level)


async def preview(
    conn: Connection, keyring: Keyring, actor: User, asked: AskedRelay, now: datetime
) -> RelayPreview:
    """Show what a relay would come to now; nothing is changed. Raises as `relays.tree_of`."""
    frozen = await tree_of(conn, actor, asked, now, lock=False)
    terms = HourTerms(DEFAULT_HOURS, CHINA, NOTICE)
    found = RelayPreview(
        frozen,
        groups=sum(node.group_id is not None for node in frozen.nodes),
        people=len({node.contact_id for node in frozen.nodes}),
        begins_at=(await load_county(conn)).next_opening(now, terms),
        same=await preview_store.find_same(conn, frozen.new),
    )
    places = await _places(conn, frozen.nodes, now)
    found.without_owner = sum(
        not places[node.no].listed for node in frozen.nodes if node.group_id is not None
    )
    reasons: dict[UUID, str] = {}
    for level, role in enumerate(asked.levels, 1):
        nodes = [node for node in frozen.nodes if node.level == level]
        why = await _reasons(conn, keyring, actor, found, [places[n.no] for n in nodes], now)
        of_person = {node.contact_id: why[node.no] for node in nodes}
        texts_sent = sum(not reason for reason in of_person.values())
        found.by_level.append(LevelCount(level, role, len(nodes), len(of_person), texts_sent))
        for contact_id, reason in of_person.items():
            # Whoever gets it on one level is reached.
            if reasons.get(contact_id) != "":
                reasons[contact_id] = reason
    found.excluded = Counter(reason for reason in reasons.values() if reason)
    return found


async def _places(
    conn: Connection, nodes: Sequence[NewNode], now: datetime
) -> Mapping[int, NodePerson]:
    """The places by number, with whoever has them, as `node_store` reads those of a relay."""
    people = await preview_store.people_of(
        conn, {node.contact_id for node in nodes}, day_in_china(now)
    )
    groups = [node.group_id for node in nodes if node.group_id is not None]
    names = await preview_store.names_of_groups(conn, groups)
    found: dict[int, NodePerson] = {}
    groups_by_place = groups_of(nodes)
    for node in nodes:
        one, below = people.get(node.contact_id), groups_by_place[node.no]
        found[node.no] = NodePerson(
            node.no,
            node.level,
            passed_over=False,
            phone_hash=one and one.phone_hash,
            phone_cipher=one and one.phone_cipher,
            name_cipher=one and one.name_cipher,
            listed=one is not None and one.listed,
            groups=[names[group] for group in below[:NAMED]],
            group_count=len(below),
        )
    return found


async def _reasons(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    found: RelayPreview,
    people: Sequence[NodePerson],
    now: datetime,
) -> dict[int, str]:
    """Why each place of a level would get no text; "": it would. Notes what would hold the text,
    and what the first of them would read.
    """
    new, version = found.frozen.new, found.frozen.text
    text = texts.TextOf(new.department_id, version.id, version.text, actor.id)
    recipients = passing.recipients_of(keyring, people, new.due_at)
    left_out: dict[bytes, str] = {}
    try:
        for start in range(0, len(recipients), passing.PEOPLE):
            part = recipients[start : start + passing.PEOPLE]
            left_out |= await texts.left_out_of(conn, keyring, text, part, now)
    except Conflict as refusal:
        found.held_why = refusal.code
    reached = {one.phone_hash for one in recipients} - left_out.keys()
    why = {one.no: passing.why_not(one, reached, left_out) for one in people}
    first = next((one for one in people if not why[one.no]), None)
    if first is not None and found.sample is None:
        given = await texts.given_text(conn, new.department_id, version.text)
        (recipient,) = passing.recipients_of(keyring, [first], new.due_at)
        found.sample = _filled(keyring, given, recipient)
    return why


def _filled(keyring: Keyring, given: GivenText, recipient: texts.TextRecipient) -> FilledText:
    values = texts.fitting(given, recipient)
    shown = dict(values)
    if values.get(NAME) == recipient.values[NAME] != recipient.instead[NAME]:
        shown[NAME] = masked(values[NAME])
    return FilledText(
        mask(keyring.decrypt("phone", recipient.phone_cipher)),
        render(given.text, shown),
        measure(given.text, values),
    )
