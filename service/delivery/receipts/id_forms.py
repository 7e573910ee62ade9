"""Receipts whose ids are written in another form than the channel's setting says.

Some carriers answer a submit with a hexadecimal id and report on it in decimal, or the other way
round. Until the setting says so, every receipt is parked: a hint names the setting, and the form by
which the last ones would fit. Once it is corrected, what waits is read anew: a receipt is compared
with the references of the texts to its phone, each of them taken as it was stored by the forms of
before or by the new one, and goes back into the inbox with the reference that it means.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import product
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from service.channels.contract.gateway import Gateway
from service.channels.contract.model import Channel
from service.channels.contract.registry import load
from service.channels.trial.link_explanations import LinkExplanation
from service.delivery.receipts import id_forms_store as store
from service.delivery.receipts.store import RECEIPT_WAIT
from service.storage.locks import try_lock_fold
from service.storage.postgres import Connection, Pool, Record, transaction

MISSED = 20
"""So many receipts in a row that met nothing are a hint."""

BATCH = 5_000
AGAIN = timedelta(minutes=1)
"""Between looks at what was parked after a change; the first comes at once."""

OVERLAP = timedelta(minutes=10)
"""Links with the settings of before are gone by then."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Receipts that come and meet nothing.

    missed: how many in a row, since `since`. looked_at: how many of the last ones were compared
    with the texts to their phones. setting: what says how ids are written; "": the kind has none.
    form: what it says now. fitting: the form by which `fits` of those looked at fit; "": none.
    """

    missed: int
    since: datetime
    looked_at: int
    setting: str
    form: str
    fitting: str
    fits: int

    def said(self, zone: ZoneInfo) -> LinkExplanation:
        """The hint in words; the time in a zone."""
        since = self.since.astimezone(zone).strftime("%Y-%m-%d %H:%M")
        said = LinkExplanation(
            f"自 {since} 起，连续 {self.missed} 条回执对不上任何短信，而这些号码确有短信已提交。",
            f"Since {since} {self.missed} receipts in a row met no text, although texts to these"
            " phones were handed off. ",
        )
        if self.fitting:
            return said.then(
                LinkExplanation(
                    f"编号写法不同？把 {self.setting} 从 {self.form} 改为 {self.fitting}，最近"
                    f" {self.looked_at} 条中有 {self.fits} 条对得上；改后待处理的回执会自动重读。",
                    f"Another form of ids? By {self.setting} = {self.fitting} (now {self.form})"
                    f" {self.fits} of the last {self.looked_at} would fit; once it is set, what"
                    " waits is read anew by itself.",
                )
            )
        if self.setting:
            return said.then(
                LinkExplanation(
                    f"编号写法不同（{self.setting}，现为 {self.form}），或是别的账号的回执？"
                    "请问运营商。",
                    f"Another form of ids ({self.setting}, now {self.form}), or another account's"
                    " receipts? Ask the carrier.",
                )
            )
        return said.then(
            LinkExplanation(
                "是别的账号的回执？请问运营商。", "Another account's receipts? Ask the carrier."
            )
        )


async def hint(conn: Connection, channel: Channel) -> Hint | None:
    """Why the receipts of a channel meet nothing, if they do although it has handed off texts."""
    misses = await store.misses(conn, channel.id)
    if misses is None or misses["in_a_row"] < MISSED:
        return None
    gateway = load()[channel.kind]
    pairs = await store.last_parked(conn, channel.id, MISSED, RECEIPT_WAIT)
    if not pairs:
        return None
    form = form_of(gateway, channel.config)
    receipts = by_receipt(pairs)
    fits = Counter(
        other
        for answers in receipts.values()
        for other in forms(gateway)
        if other != form and any(_fits(gateway, pair, [form], other) for pair in answers)
    )
    fitting, count = fits.most_common(1)[0] if fits else ("", 0)
    setting = gateway.reference_setting
    args = misses["in_a_row"], misses["since"], len(receipts), setting
    return Hint(*args, form, fitting, count)


async def follow(conn: Connection, before: Channel, after: Channel, now: datetime) -> bool:
    """Note another form of ids in a channel's settings; whether there is one, and what waits is to
    be read anew.
    """
    gateway = load()[after.kind]
    was, form = form_of(gateway, before.config), form_of(gateway, after.config)
    if was == form:
        return False
    await store.note_change(conn, after.id, was, form, RECEIPT_WAIT, now)
    return True


async def reread(pool: Pool, channel_id: int, now: datetime) -> int:
    """Read what waits anew after the setting for the form of ids has changed; how many fit now."""
    total = 0
    while True:
        async with transaction(pool) as conn:
            if not await try_lock_fold(conn, channel_id):
                return total
            change = await store.change_to_follow(conn, channel_id, now - RECEIPT_WAIT, now - AGAIN)
            if change is None:
                return total
            last, count, found = await _batch(conn, change)
            total += len(found)
            await store.put_back(conn, found)
            if count < BATCH:
                await store.looked(conn, channel_id, now - AGAIN, now)
                return total
            await store.begin_after(conn, channel_id, last)


async def changed(conn: Connection, now: datetime) -> list[int]:
    """The channels of which something is to be read anew now."""
    return await store.channels_to_reread(conn, now - RECEIPT_WAIT, now - AGAIN)


async def _batch(conn: Connection, change: Record) -> tuple[int, int, list[tuple[int, bytes]]]:
    """The last id of a batch of parked receipts, how many they are, and the reference of each that
    fits one text.
    """
    first, last = change["changed_at"] - RECEIPT_WAIT, change["changed_at"] + OVERLAP
    after = change["upto"]
    ids = await store.parked_after(conn, change["channel_id"], after, first - RECEIPT_WAIT, BATCH)
    if not ids:
        return after, 0, []
    pairs = await store.texts_of(conn, change["channel_id"], ids, first, last)
    gateway = load()[change["kind"]]
    stored = [*change["formers"], change["form"]]
    found = []
    for receipt, answers in by_receipt(pairs).items():
        fitting = {
            pair["answered"] for pair in answers if _fits(gateway, pair, stored, change["form"])
        }
        if len(fitting) == 1:
            found.append((receipt, fitting.pop()))
    return ids[-1], len(ids), found


def by_receipt(pairs: Iterable[Record]) -> Mapping[int, Sequence[Record]]:
    """The references of the texts to a receipt's phone, by the receipt."""
    receipts: dict[int, list[Record]] = defaultdict(list)
    for pair in pairs:
        receipts[pair["id"]].append(pair)
    return receipts


def forms(gateway: type[Gateway]) -> Sequence[str]:
    """The forms that a kind knows."""
    field = gateway.config_model.model_fields.get(gateway.reference_setting)
    kind = field.annotation if field else None
    return list(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def form_of(gateway: type[Gateway], config: BaseModel) -> str:
    """The form that a channel's settings say; "" where the kind has none."""
    setting = gateway.reference_setting
    return str(getattr(config, setting)) if setting else ""


def _fits(gateway: type[Gateway], pair: Record, stored: Sequence[str], form: str) -> bool:
    """Whether an answer's reference and a receipt's mean one id, by a form; `stored`: by which each
    of them may have been stored.
    """
    return any(
        gateway.same_id((pair["answered"], answered), (pair["ref"], reported), form)
        for answered, reported in product(stored, repeat=2)
    )
