"""The rule of exclusion in SQL: which people of a text's audience are left out, and why.

The ledger (`dispatch.expansion`), a direct send, the preview of a campaign or a segment, the count
at a submission and the forecast all use it. Where all is known, as in the preview of a campaign,
the number that it shows is the number that is sent. A person who is left out has one reason, the
first of these that applies:

1. the department may send this to nobody: `class_not_allowed`, `signature_of_another`
2. a run that follows another one no longer has the person: `erased`, `not_kept`, `no_longer_listed`
3. `age_unclear`: the rule asks for an age, and the person's band does not say
4. `not_a_guest`: a trial key writes to the guests of its department alone
5. `outside_area`: the person lives outside the department's area; unknown is not outside
6. `outside_key`: the key of a direct send is limited to other areas or rosters; never stored
7. a suppression: `complaint`, `dead_number`, `opted_out`, `protected`; the alphabetically first one
8. no channel takes the number: `no_route`; `synthetic_range` and `not_synthetic` where only one of
   the other kind would (invariant I12)
9. the text has a variable for which the contact or its list has no value: `no_name`, `no_area`,
   `no_value`
10. another leg of its joint plan has sent it to the person: `other_leg`
11. the caps leave no room, and the text may not wait, has no end of validity, or is over before
    there is room: `same_text`, `capped`

The caller says in `ExclusionTerms` what is known of the text and its channels. What is not known
leaves nobody out: a segment has no text, so nobody is left out for lack of a name. A direct send
lists its recipients, and checks them for the same reasons in the same order (`first_reason`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.audience.areas.area_store import outside_area
from service.audience.segments.segment_store import (
    ENDED,
    SAMPLE,
    WORK_MEMORY,
    AudienceCounts,
    counts_of,
)
from service.audience.suppressions.suppression_store import stops
from service.campaigns.audience.audience_source import AudienceSource
from service.channels.routing.route import Route
from service.ledger.caps import CURRENT, repeat_ends, spans_end
from service.ledger.joint_places import has_place_elsewhere
from service.ledger.reasons import Reason
from service.messages.value_sources import Fact, listed_of
from service.storage import sql
from service.storage.postgres import Connection, Record

BARRED_SQL, GONE_SQL = "barred", "gone"
"""Placeholders in the order of reasons: the SQL expression of each gives a reason, or null."""

BEFORE_STOPS = (
    *(BARRED_SQL, GONE_SQL, Reason.AGE_UNCLEAR),
    *(Reason.NOT_A_GUEST, Reason.OUTSIDE_AREA, Reason.OUTSIDE_KEY),
)
"""The reasons before a suppression, in order."""

AFTER_STOPS = (
    *(Reason.NO_ROUTE, Reason.SYNTHETIC_RANGE, Reason.NOT_SYNTHETIC),
    *(Reason.NO_NAME, Reason.NO_AREA, Reason.NO_VALUE),
)
"""Those after it, in order, but for the caps."""

REASON_SQL = "coalesce(early, stop, late, leg, cap)"
"""SQL: the reason of a row of `excluded`; null: the person is in the target."""


def first_reason(order: Sequence[str], found: Mapping[str, str]) -> str:
    """SQL: the first of the reasons that holds, in the rule's order; null if none does.

    order: BEFORE_STOPS or AFTER_STOPS. found: for each reason that is asked for here, its
    expression.

    Raises:
        ValueError: the order has no such reason.
    """
    if unknown := found.keys() - set(order):
        raise ValueError(f"no reasons of this part of the rule: {sorted(unknown)}")
    branches = [
        f"WHEN {found[reason]} IS NOT NULL THEN {found[reason]}"
        if reason in {BARRED_SQL, GONE_SQL}
        else f"WHEN {found[reason]} THEN '{reason}'"
        for reason in order
        if reason in found
    ]
    return f"CASE {' '.join(branches)} END" if branches else "NULL::text"


def no_route_reasons(fits: str, other: str, synthetic: str) -> dict[str, str]:
    """SQL: why no channel takes a number, for `first_reason`.

    fits: whether one does; other: whether one of the other kind, simulated or real, would.
    """
    return {
        Reason.NO_ROUTE: f"NOT ({fits}) AND NOT ({other})",
        Reason.SYNTHETIC_RANGE: f"NOT ({fits}) AND {synthetic}",
        Reason.NOT_SYNTHETIC: f"NOT ({fits})",
    }


@dataclass(frozen=True, slots=True)
class CapTerms:
    """What the caps ask of a text.

    text: as it was approved, before its variables are filled; None: it is not known, and the cap on
    repeats stops nobody. over_cap: what becomes of a text that a cap stops: defer or stop; send:
    the caps do not apply. valid_until: the end of its validity; None: there is none. leaves_at: the
    first instant at which it may leave.
    """

    text: str | None
    over_cap: str
    valid_until: datetime | None
    leaves_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionTerms:
    """What is known of a text and its channels; it decides which people are left out.

    routes: the channel for each carrier's numbers; None: the channels are not known. needs: the
    facts of a person that the text's variables use; those of lists must be `said` of whom it asks.
    at: the instant at which a suppression must be in force. trial: whether it goes to guests only.
    barred: a reason that leaves everybody out; None: there is none. caps: None: the caps are not
    checked. joint_fire: of a leg whose plan fires.
    """

    department_id: UUID
    message_class: str
    at: datetime
    routes: Sequence[Route] | None
    needs: Collection[Fact] = ()
    trial: bool = False
    barred: Reason | None = None
    caps: CapTerms | None = None
    joint_fire: UUID | None = None

    @property
    def ask_each(self) -> bool:
        """Whether more is asked of single people than their carriers and suppressions."""
        return self.trial or self.caps is not None or self.joint_fire is not None

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of `excluded`, but for those of whom it is asked."""
        values: dict[str, Any] = {
            "department_id": self.department_id,
            "message_class": self.message_class,
            "at": self.at,
            "barred": self.barred,
        }
        if self.joint_fire is not None:
            values["joint_fire"] = self.joint_fire
        if self.routes is not None:
            for kind, simulated in (("simulated", True), ("real", False)):
                routes = [route for route in self.routes if route.simulated == simulated]
                values[f"{kind}_carriers"] = [route.carrier for route in routes]
                values[f"{kind}_channels"] = [route.channel_id for route in routes]
        if (caps := self.caps) is not None:
            values |= {
                "text": caps.text,
                "over_cap": caps.over_cap,
                "valid_until": caps.valid_until,
                "leaves_at": caps.leaves_at,
            }
        return values


def excluded(terms: ExclusionTerms, source: AudienceSource) -> str:
    """SQL: everybody of these with the channel, and why somebody is left out: `early`, else `stop`
    (a suppression, which holds until `stop_until`), else `late`, else `leg`, else `cap`. Its
    parameters are the `values` of both.
    """
    early: dict[str, str] = {
        BARRED_SQL: ":barred::text",
        GONE_SQL: "c.gone",
        Reason.AGE_UNCLEAR: "c.matches IS NULL",
        Reason.OUTSIDE_AREA: outside_area("(SELECT area_code FROM home)", "c.area_code", _WITHIN),
    }
    late: dict[str, str] = {}
    guests, areas = "", ""
    if terms.trial:
        early[Reason.NOT_A_GUEST] = "g.phone_hash IS NULL"
        guests = (
            "LEFT JOIN guests g ON g.department_id = :department_id AND g.phone_hash = c.phone_hash"
        )
    if levels := _area_levels(terms.needs):
        late[Reason.NO_AREA] = f"a.level IS NULL OR a.level NOT IN {levels}"
        areas = "LEFT JOIN areas a ON a.code = c.area_code"
    if "name" in terms.needs:
        late[Reason.NO_NAME] = "c.name_cipher IS NULL"
    if listed := listed_of(terms.needs):
        said = (f"coalesce(c.{source.said[fact]}, '') = ''" for fact in listed)
        late[Reason.NO_VALUE] = f"({' OR '.join(said)})"
    channel = "NULL::smallint"
    if terms.routes is not None:
        late |= no_route_reasons(
            "c.channel_id IS NOT NULL", f"{_channel('NOT c.synthetic')} IS NOT NULL", "c.synthetic"
        )
        channel = _channel("c.synthetic")
    cap_column, caps_cte, caps_join = "NULL::text", "", ""
    if terms.caps is not None:
        cap_column, caps_cte, caps_join = "f.cap", *_caps(source)
    return f"""
        WITH home AS (
            SELECT area_code FROM departments WHERE id = :department_id::uuid
        ), {caps_cte} stopped AS MATERIALIZED (
            SELECT p.phone_hash, min(p.reason) AS reason,
                   max(coalesce(p.expires_at, 'infinity')) AS until
            FROM suppressions p
            WHERE {stops("p", ":message_class::text", ":department_id", ":at::timestamptz")}
              AND {source.within("p.phone_hash")}
            GROUP BY p.phone_hash
        )
        SELECT c.*, {first_reason(BEFORE_STOPS, early)} AS early,
            s.reason AS stop, s.until AS stop_until, {first_reason(AFTER_STOPS, late)} AS late,
            {_leg(terms)} AS leg, {cap_column} AS cap
        FROM (
            SELECT c.*, {channel} AS channel_id FROM ({source.sql}) c
            WHERE c.matches IS NOT FALSE OR c.ended
            OFFSET 0  -- so that nobody's channel is found twice
        ) c
        {guests}
        {areas}
        LEFT JOIN stopped s ON s.phone_hash = c.phone_hash
        {caps_join}
    """  # noqa: S608  # constants and placeholders


def _leg(terms: ExclusionTerms) -> str:
    if terms.joint_fire is None:
        return "NULL::text"
    elsewhere = has_place_elsewhere(":joint_fire", "c.phone_hash", ":department_id::uuid")
    return f"CASE WHEN {elsewhere} THEN '{Reason.OTHER_LEG}' END"


_WITHIN = "c.area_code IN (SELECT w.code FROM areas_within((SELECT area_code FROM home)) w(code))"


def _channel(synthetic: str) -> str:
    """SQL: the channel that takes this person's numbers if they are synthetic, or are not."""
    return (
        f"CASE WHEN {synthetic} THEN (:simulated_channels::smallint[])"
        "[array_position(:simulated_carriers::text[], c.carrier)]"
        " ELSE (:real_channels::smallint[])[array_position(:real_carriers::text[], c.carrier)] END"
    )


def _caps(source: AudienceSource) -> tuple[str, str]:
    """The CTE of the caps in force, and the join whose `f.cap` is the reason that a cap gives."""
    caps_cte = f"""cap AS MATERIALIZED (
            SELECT cap.*, hashtextextended(:text::text, 0) AS text
            FROM (SELECT :message_class::text AS class, :over_cap::text AS over_cap) r,
                 LATERAL ({CURRENT}) cap
        ),"""  # noqa: S608  # constants
    repeat = repeat_ends("t.at", "t.texts", "cap.text")
    caps_join = f"""LEFT JOIN LATERAL (
            SELECT CASE WHEN u.full_until > :leaves_at::timestamptz AND (:over_cap::text = 'stop'
                        OR :valid_until::timestamptz IS NULL OR u.full_until >= :valid_until)
                THEN CASE WHEN u.full_until = u.repeat_ends THEN '{Reason.SAME_TEXT}'
                     ELSE '{Reason.CAPPED}' END
                END
            FROM cap
            JOIN recent_texts t ON t.phone_hash = c.phone_hash AND t.class = cap.class
              AND {source.within("t.phone_hash")}
            CROSS JOIN LATERAL (
                SELECT {repeat}, greatest({spans_end("t.at")}, {repeat})) u(repeat_ends, full_until)
            ) f(cap) ON true"""  # noqa: S608  # constants
    return caps_cte, caps_join


def _area_levels(needs: Collection[Fact]) -> str:
    """SQL: the levels an area must have for the text's variables; "": any will do."""
    if "village" in needs:
        return "('village', 'community')"
    return "('town', 'village', 'community')" if "town" in needs else ""


async def count_people(
    conn: Connection, terms: ExclusionTerms, source: AudienceSource
) -> AudienceCounts:
    """How many of these people are in the target, and how many are left out for which reason; needs
    a transaction.
    """
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    if source.kinds is None or terms.ask_each:
        some = f"(array_agg(phone_hash))[1:{SAMPLE}]"
        return counts_of(await _count(conn, terms, source, "count(*)", some))
    counts = counts_of(await _count(conn, terms, source.kinds, "sum(people)", "ARRAY[]::bytea[]"))
    if counts.target:
        counts.some = await _some(conn, terms, source)
    return counts


async def _count(
    conn: Connection, terms: ExclusionTerms, source: AudienceSource, people: str, some: str
) -> list[Record]:
    return await sql.fetch(
        conn,
        f"""
        SELECT CASE WHEN ended THEN '{ENDED}' ELSE {REASON_SQL} END AS excluded,
               coalesce(carrier, 'none') AS carrier,
               coalesce(left(area_code, 9) || '000', 'none') AS town,
               {source.role_words} AS roles, ({people})::int AS people, {some} AS some
        FROM ({excluded(terms, source)}) e
        GROUP BY 1, 2, 3, 4
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        **terms.values,
        **source.values,
    )


async def _some(conn: Connection, terms: ExclusionTerms, source: AudienceSource) -> list[bytes]:
    """A few of those in the target."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT phone_hash FROM ({excluded(terms, source)}) e
        WHERE NOT ended AND {REASON_SQL} IS NULL LIMIT {SAMPLE}
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        **terms.values,
        **source.values,
    )
    return sorted(row["phone_hash"] for row in rows)
