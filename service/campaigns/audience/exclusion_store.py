"""Who of those whom a run looks at is left out, and why, as the part of a statement.

The statement that writes a ledger asks this, and whoever counts beforehand asks the same, so that a
preview and a ledger never differ.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience.suppressions.suppression_store import stops
from service.campaigns.audience.audience_source import Whom
from service.channels.routing.route import Route
from service.messages.template import ContactFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What decides who of those that a run looks at is left out, whatever texts they have had.

    routes: the channel for each carrier's numbers. needs: what the text's variables take from a
    contact. at: when suppressions must hold. trial: it reaches guests alone. barred: a reason that
    leaves everybody out.
    """

    department_id: UUID
    message_class: str
    routes: Sequence[Route]
    needs: Collection[ContactFact]
    at: datetime
    trial: bool = False
    barred: str | None = None

    @property
    def parameters(self) -> list[object]:
        """The values of the first placeholders of `judged`."""
        return [
            self.department_id,
            [route.carrier for route in self.routes],
            [route.channel_id for route in self.routes],
            [route.simulated for route in self.routes],
            self.at,
            "name" in self.needs,
            _area_levels(self.needs),
            self.message_class,
            self.trial,
            self.barred,
        ]


PARAMETERS = 10
"""How many parameters a `Judging` has, before those of whom it judges."""


def judged(whom: Whom, first: int = 1) -> str:
    """SQL: everybody of these, with the channel, and why somebody is left out: `early`, else `stop`
    (a suppression, which holds until `stop_until`), else `late`, the first that is not null.

    first: the number of the first placeholder.
    """
    dep, carriers, channels, simulated, at, name, levels, message_class, trial, bar = (
        f"${number}" for number in range(first, first + PARAMETERS)
    )
    return f"""
        WITH routes AS (
            SELECT * FROM unnest({carriers}::text[], {channels}::smallint[], {simulated}::boolean[])
                AS r(carrier, channel_id, simulated)
        ), home AS (
            SELECT area_code FROM departments WHERE id = {dep}::uuid
        ), stopped AS MATERIALIZED (
            SELECT p.phone_hash, min(p.reason) AS reason,
                   max(coalesce(p.expires_at, 'infinity')) AS until
            FROM suppressions p
            WHERE {stops("p", f"{message_class}::text", dep, f"{at}::timestamptz")}
            GROUP BY p.phone_hash
        )
        SELECT c.*, r.channel_id,
            CASE
                WHEN {bar}::text IS NOT NULL THEN {bar}
                WHEN c.gone IS NOT NULL THEN c.gone
                WHEN c.matches IS NULL THEN 'age_unclear'
                WHEN {trial}::boolean AND g.phone_hash IS NULL THEN 'not_a_guest'
                WHEN d.area_code IS NOT NULL AND c.area_code IS NOT NULL AND w.code IS NULL
                    THEN 'outside_area'
            END AS early, s.reason AS stop, s.until AS stop_until,
            CASE
                WHEN r.channel_id IS NULL AND o.channel_id IS NULL THEN 'no_route'
                WHEN r.channel_id IS NULL AND c.synthetic THEN 'synthetic_range'
                WHEN r.channel_id IS NULL THEN 'not_synthetic'
                WHEN {name}::boolean AND c.name_cipher IS NULL THEN 'no_name'
                WHEN {levels}::text[] <> '{{}}'
                    AND (a.level IS NULL OR NOT a.level = ANY({levels})) THEN 'no_area'
            END AS late
        FROM ({whom.sql}) c
        CROSS JOIN home d
        LEFT JOIN guests g ON g.department_id = {dep} AND g.phone_hash = c.phone_hash
        LEFT JOIN areas_within((SELECT area_code FROM home)) AS w(code) ON w.code = c.area_code
        LEFT JOIN routes r ON r.carrier = c.carrier AND r.simulated = c.synthetic
        LEFT JOIN routes o ON o.carrier = c.carrier AND o.simulated <> c.synthetic
        LEFT JOIN areas a ON a.code = c.area_code
        LEFT JOIN stopped s ON s.phone_hash = c.phone_hash
        WHERE c.matches IS NOT FALSE OR c.ended
    """  # noqa: S608  # constants and placeholders


def _area_levels(needs: Collection[ContactFact]) -> list[str]:
    """The levels an area must have for the text's variables; none: any will do."""
    if "village" in needs:
        return ["village", "community"]
    return ["town", "village", "community"] if "town" in needs else []
