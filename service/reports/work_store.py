"""The SQL of what waits for a person: one statement for each kind of work.

A kind is a row of `KINDS`: its name, its words, the right that it takes, and a statement whose rows
are things that wait. Each may read `asked`: scope, the department whose things are seen (NULL:
all), now, and of who asks (NULL: it counts for anybody): `seat`, the user and whom they stand in
for, and the roles and rights that they could grant. A new kind is a new row.

One module: it is one table of kinds, each with its statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.people.model import Right, Role, User
from service.accounts.people.proposals import WAITS
from service.audience.rosters.standing import stands, was_named_anew
from service.audience.segments.segment_sql import holds_on
from service.delivery.uncertain.uncertain import WAIT
from service.messages.filing_store import UNFILED_TEXTS
from service.messages.offers.offer_news_store import TAKEN_TEXTS
from service.storage import sql
from service.storage.postgres import Connection
from service.words.phrase import Sentence


@dataclass(frozen=True, slots=True)
class WorkKind:
    """A kind of work. sql: rows of id, name, department_id, planned_at, since, code; where
    `counted`, others and people; where `proposed`, proposal_id; where `answered`, reason; and where
    `sized`, texts and ready. `summed`: what waits are the texts of its items, not the items.
    """

    name: str
    words: Sentence
    right: Right
    sql: str
    counted: bool = False
    proposed: bool = False
    answered: bool = False
    sized: bool = False
    summed: bool = False


class WorkItem(NamedTuple):
    """One thing that waits, since when (None: nobody knows) and why. planned_at: of a fire. others,
    people: see `campaigns.fires.Fire`. proposal_id: what a second person confirms. department: the
    name of the one that it is of. reason: what was said when it was returned. texts: for
    how many texts, rows or channels it stands; ready: of how many something can be decided now.
    """

    id: str
    name: str
    department_id: UUID | None
    planned_at: datetime | None
    since: datetime | None
    code: str
    others: int | None
    people: int | None
    proposal_id: UUID | None
    department: str | None
    reason: str | None
    texts: int | None
    ready: int | None


class WaitingWork(NamedTuple):
    """So many things of a kind, the first since `oldest`, and some of them, the oldest first.

    ready: of how many something can be decided now; None: of all.
    """

    kind: WorkKind
    total: int
    oldest: datetime | None
    items: Sequence[WorkItem]
    ready: int | None


_STOPS = """
    SELECT id::text, reason AS name, NULL::uuid AS department_id, NULL::timestamptz AS planned_at,
           stopped_at AS since, cause AS code
    FROM stops WHERE lifted_at IS NULL
"""

# Of a leg, its own department sees its campaign; that of the plan sees the plan, while it goes on.
_PLAN = "LEFT JOIN campaigns p ON p.id = c.leg_of"
_SEEN = """
    (asked.scope IS NULL OR asked.scope = c.department_id
     OR (asked.scope = p.department_id AND p.state IN ('scheduled', 'running')))
"""
_ID = "CASE WHEN asked.scope = p.department_id THEN p.id ELSE c.id END::text AS id"

_HOLDS = f"""
    SELECT {_ID}, c.name, c.department_id, NULL::timestamptz AS planned_at, m.at AS since,
           m.code, f.others, f.people
    FROM asked, campaigns c {_PLAN} CROSS JOIN LATERAL (
        SELECT at, code FROM campaign_moves WHERE campaign_id = c.id ORDER BY id DESC LIMIT 1) m
    LEFT JOIN LATERAL (
        SELECT others, people FROM campaign_fires
        WHERE campaign_id = c.id AND outcome = 'held' AND code = m.code
        ORDER BY planned_at DESC LIMIT 1) f ON true
    WHERE {_SEEN} AND c.state IN ('held', 'paused')
      AND (c.state = 'held' OR m.code IN ('guard', 'withdrawn'))
    UNION ALL
    SELECT {_ID}, c.name, c.department_id, f.planned_at, f.at, f.code, f.others, f.people
    FROM asked, campaign_fires f JOIN campaigns c ON c.id = f.campaign_id {_PLAN}
    WHERE f.outcome = 'held' AND f.released_at IS NULL AND {_SEEN}
      AND c.state IN ('scheduled', 'running', 'paused', 'pending_approval')
"""  # noqa: S608  # constants

# Those since the campaign could last fire: what was missed before is over once it goes on.
_MISSED = f"""
    SELECT {_ID}, c.name, c.department_id, f.planned_at, f.at AS since, f.code
    FROM asked, campaign_fires f JOIN campaigns c ON c.id = f.campaign_id {_PLAN}
    WHERE f.outcome = 'missed' AND {_SEEN}
      AND c.state IN ('paused', 'held', 'pending_approval', 'returned', 'draft')
      AND f.at >= coalesce((
          SELECT m.at FROM campaign_moves m
          WHERE m.campaign_id = c.id AND m.from_state IN ('scheduled', 'running')
            AND m.to_state NOT IN ('scheduled', 'running')
          ORDER BY m.id DESC LIMIT 1), '-infinity')
    UNION ALL
    SELECT {_ID}, c.name, c.department_id, s.planned_at, s.missed_at, coalesce(nullif((
        SELECT m.code FROM campaign_moves m WHERE m.campaign_id = c.id
        ORDER BY m.id DESC LIMIT 1), ''), c.state)
    FROM asked, sequence_steps s JOIN campaigns c ON c.id = s.campaign_id {_PLAN}
    WHERE s.outcome IS NULL AND s.missed_at IS NOT NULL AND {_SEEN}
      AND c.state IN ('paused', 'held', 'pending_approval', 'returned', 'draft')
"""  # noqa: S608  # constants

_MOVED = """
    asked, campaign_legs l JOIN campaigns c ON c.id = l.campaign_id CROSS JOIN LATERAL (
        SELECT from_state, at FROM campaign_leg_moves WHERE leg_id = l.id
        ORDER BY id DESC LIMIT 1) m
"""
_REASON = """
    CASE WHEN 'returned' IN (l.state, m.from_state) THEN (
        SELECT reason FROM campaign_leg_moves WHERE leg_id = l.id AND to_state = 'returned'
        ORDER BY id DESC LIMIT 1) END AS reason
"""
_LEG = f"""
    SELECT l.id::text, c.name, l.department_id, c.next_fire_at AS planned_at, m.at AS since,
           'leg_' || l.state AS code, {_REASON}
    FROM {_MOVED}
"""  # noqa: S608  # constants
_LEGS = f"""
    {_LEG} WHERE l.state = 'asked' AND (asked.scope IS NULL OR l.department_id = asked.scope)
"""
_RETURNED_LEGS = f"""
    {_LEG} WHERE l.state = 'returned' AND c.state IN ('scheduled', 'running')
      AND (asked.scope IS NULL OR c.department_id = asked.scope)
"""

# Fires without a leg that may still make up for them; and for a month, legs that nobody took.
_LEFT_OUT = f"""
    SELECT l.id::text, c.name, l.department_id, o.planned_at, o.at AS since,
           'leg_' || l.state AS code, {_REASON}
    FROM {_MOVED} JOIN left_out_legs o ON o.leg_id = l.id
    WHERE o.made_up_at IS NULL AND l.state IN ('asked', 'returned')
      AND (asked.scope IS NULL OR asked.scope IN (l.department_id, c.department_id))
    UNION ALL
    SELECT l.id::text, c.name, l.department_id, (
               SELECT max(planned_at) FROM left_out_legs WHERE leg_id = l.id),
           m.at, 'leg_left_out', {_REASON}
    FROM {_MOVED}
    WHERE l.state = 'left_out' AND m.at > asked.now - interval '30 days'
      AND (asked.scope IS NULL OR asked.scope IN (l.department_id, c.department_id))
"""  # noqa: S608  # constants

_CHANNELS = """
    SELECT c.id::text, c.name, NULL::uuid AS department_id, NULL::timestamptz AS planned_at,
           CASE WHEN b.state <> 'closed' THEN coalesce((
               SELECT min(i.at) FROM interruptions i
               WHERE i.channel_id = c.id AND i.kind = 'channel.shut' AND i.id > coalesce((
                   SELECT max(r.id) FROM interruptions r
                   WHERE r.channel_id = c.id AND r.kind = 'channel.recovered'), 0)), b.changed_at)
                WHEN c.held_until > asked.now THEN NULL
                ELSE lost.since
           END AS since,
           CASE WHEN b.state <> 'closed' THEN b.cause
                WHEN c.held_until > asked.now THEN c.held_by
                ELSE 'no_connection'
           END AS code
    FROM asked, channels c LEFT JOIN circuit_breakers b ON b.channel_id = c.id
    LEFT JOIN LATERAL (
        SELECT max(k.changed_at) AS since FROM connections k
        WHERE k.channel_id = c.id AND k.slot < c.connections
        HAVING count(k.lost_at) > 0
           AND NOT bool_or(k.state = 'up' AND k.expires_at > clock_timestamp())) lost ON true
    WHERE c.enabled AND (
        b.state <> 'closed' OR c.held_until > asked.now OR lost.since IS NOT NULL)
      AND (asked.scope IS NULL OR EXISTS (
        SELECT FROM departments d
        WHERE d.id = asked.scope AND (d.channels IS NULL OR c.id = ANY (d.channels))))
"""
"""A channel counts as shut only after minutes; whoever is on duty learns of a lost one at once."""

# What waits for a list to be drawn, for the archive to be fetched, or for what the carrier says.
_LIST_FILES = """
    SELECT c.id::text, c.name, NULL::uuid AS department_id, NULL::timestamptz AS planned_at,
           min(r.created_at) AS since, 'list_not_drawn' AS code
    FROM asked, channels c JOIN slices s ON s.channel_id = c.id AND s.done_at IS NULL
    JOIN runs r ON r.id = s.run_id JOIN departments d ON d.id = r.department_id
    WHERE c.kind = 'list_file' AND r.state = 'running'
      AND (asked.scope IS NULL OR d.id = asked.scope)
      AND NOT EXISTS (SELECT FROM list_files f
                      WHERE f.channel_id = c.id AND f.state IN ('drawing', 'closing'))
    GROUP BY c.id, c.name
    UNION ALL
    SELECT f.id::text, c.name, NULL, NULL, coalesce(f.fetched_at, f.ready_at),
           CASE WHEN f.fetched_at IS NULL THEN 'list_not_fetched' ELSE 'list_without_results' END
    FROM asked, list_files f JOIN channels c ON c.id = f.channel_id
    WHERE f.state = 'ready' AND f.ready_at > asked.now - interval '14 days'
      AND (f.fetched_at IS NULL OR f.fetched_at < asked.now - interval '24 hours')
      AND NOT EXISTS (SELECT FROM list_file_results g WHERE g.list_file_id = f.id)
      AND (asked.scope IS NULL OR f.carrier = (
        SELECT carrier FROM departments WHERE id = asked.scope))
"""

_NOT_FIRING = f"""
    SELECT {_ID}, c.name, c.department_id, c.next_fire_at AS planned_at,
           c.silent_since AS since,
           CASE WHEN c.next_fire_at IS NULL AND c.schedule->>'kind' IN ('recurring', 'joining')
                THEN 'no_next_fire' ELSE 'trouble' END AS code
    FROM asked, campaigns c {_PLAN}
    WHERE c.silent_since IS NOT NULL AND {_SEEN}
      AND c.state IN ('scheduled', 'running', 'paused', 'held')
"""  # noqa: S608  # constants

_OPT_OUTS = """
    SELECT h.id::text, coalesce(c.name, h.channel_id::text) AS name, NULL::uuid AS department_id,
           NULL::timestamptz AS planned_at, h.began_at AS since, 'stray_opt_outs' AS code
    FROM asked, opt_out_holds h LEFT JOIN channels c ON c.id = h.channel_id
    WHERE h.decided_at IS NULL AND asked.scope IS NULL
"""

_ENTRIES = """
    SELECT e.id::text, d.name, e.department_id, NULL::timestamptz AS planned_at,
           e.entered_at AS since, 'entered_in_bulk' AS code
    FROM asked, suppression_entries e JOIN departments d ON d.id = e.department_id
    WHERE e.held AND e.decided_at IS NULL
      AND (asked.scope IS NULL OR e.department_id = asked.scope)
"""

_RETENTION = """
    SELECT 'retention' AS id, 'retention' AS name, NULL::uuid AS department_id,
           NULL::timestamptz AS planned_at, held_since AS since, held_for AS code
    FROM asked, retention_watch WHERE held_for IS NOT NULL AND asked.scope IS NULL
"""

# What whoever runs the machine gave to administrators of the county, by which anybody could act as
# one: it takes no second person, so that all the others see it for a month.
_ACCESS = """
    SELECT u.id::text, concat_ws(': ', u.login, k.name) AS name, u.department_id,
           NULL::timestamptz AS planned_at, e.at AS since, e.action AS code
    FROM asked, audit_entries e JOIN users u ON u.id::text = e.object_id
    JOIN departments d ON d.id = u.department_id
    LEFT JOIN keys k ON k.id::text = e.details ->> 'key'
    WHERE e.via = 'cli' AND e.action IN ('bootstrap_again', 'give_password')
      AND e.at > asked.now - interval '30 days'
      AND asked.scope IS NULL AND d.kind = 'county' AND 'admin' = ANY (u.roles)
"""

_PENDING = f"""
    p.confirmed_at IS NULL AND p.replaced_at IS NULL
    AND p.proposed_at > asked.now - interval '{WAITS.days} days'
"""
_OTHERS = """
    (asked.seat IS NULL OR NOT share_a_person(asked.seat, ARRAY[p.proposed_by], asked.now))
"""

_CHANGES = f"""
    SELECT c.id::text, c.name, NULL::uuid AS department_id, NULL::timestamptz AS planned_at,
           p.proposed_at AS since,
           CASE WHEN p.creates THEN 'new_channel' ELSE 'channel_change' END AS code,
           p.id AS proposal_id
    FROM asked, channel_changes p JOIN channels c ON c.id = p.channel_id
    WHERE {_PENDING} AND {_OTHERS}
"""  # noqa: S608  # constants

_GRANTS = f"""
    SELECT u.id::text, u.login AS name, u.department_id, NULL::timestamptz AS planned_at,
           p.proposed_at AS since, 'grant' AS code, p.id AS proposal_id
    FROM asked, grants p JOIN users u ON u.id = p.user_id
    WHERE {_PENDING} AND NOT p.narrows
      AND (asked.scope IS NULL OR u.department_id = asked.scope)
      AND (asked.seat IS NULL OR u.id <> ALL (asked.seat)
           AND p.roles <@ asked.roles AND p.rights <@ asked.rights)
      AND {_OTHERS}
"""  # noqa: S608  # constants

_LINT = f"""
    SELECT coalesce(p.department_id::text, 'rules') AS id, coalesce(d.name, 'lint') AS name,
           p.department_id, NULL::timestamptz AS planned_at, p.proposed_at AS since,
           CASE WHEN p.department_id IS NULL THEN 'lint_rules' ELSE 'lint_sender' END AS code,
           p.id AS proposal_id
    FROM asked, lint_proposals p LEFT JOIN departments d ON d.id = p.department_id
    WHERE {_PENDING} AND asked.scope IS NULL
      AND {_OTHERS}
"""  # noqa: S608  # constants

_LIMITS = f"""
    SELECT d.id::text, d.name, d.id AS department_id, NULL::timestamptz AS planned_at,
           p.proposed_at AS since, 'direct_limit' AS code, p.id AS proposal_id
    FROM asked, direct_limits p JOIN departments d ON d.id = p.department_id
    WHERE {_PENDING} AND asked.scope IS NULL
      AND {_OTHERS}
"""  # noqa: S608  # constants

_SIGNATURES = f"""
    SELECT d.id::text, d.name || ' 【' || p.signature || '】' AS name, d.id AS department_id,
           NULL::timestamptz AS planned_at, p.proposed_at AS since, 'signature' AS code,
           p.id AS proposal_id
    FROM asked, signature_proposals p JOIN departments d ON d.id = p.department_id
    WHERE {_PENDING} AND asked.scope IS NULL
      AND {_OTHERS}
"""  # noqa: S608  # constants

_RENAMES = f"""
    SELECT a.code AS id, a.name || ' → ' || p.name AS name, NULL::uuid AS department_id,
           NULL::timestamptz AS planned_at, p.proposed_at AS since, 'area_name' AS code,
           p.id AS proposal_id
    FROM asked, area_renames p JOIN areas a ON a.code = p.code
    WHERE {_PENDING} AND {_OTHERS}
"""  # noqa: S608  # constants

# The absent approver confirms a deputy, or whoever keeps the accounts; never the deputy.
_DEPUTIES = f"""
    SELECT p.id::text, absent.login || ' → ' || deputy.login AS name, absent.department_id,
           NULL::timestamptz AS planned_at, p.named_at AS since, 'deputy' AS code,
           p.id AS proposal_id
    FROM asked, deputies p JOIN users absent ON absent.id = p.absent_id
    JOIN users deputy ON deputy.id = p.deputy_id
    WHERE p.needs_second AND p.confirmed_at IS NULL AND p.ended_at IS NULL
      AND p.ends_at > asked.now
      AND (asked.scope IS NULL OR absent.department_id = asked.scope)
      AND (asked.seat IS NULL
           OR (p.absent_id = asked.seat[1] OR '{Right.ACCOUNTS.word}' = ANY (asked.rights))
           AND p.deputy_id <> asked.seat[1]
           AND NOT share_a_person(asked.seat, ARRAY[p.named_by], asked.now))
"""  # noqa: S608  # constants

# Those whom the asker could approve: who had a hand in one, or approved it before, is left out.
_APPROVALS = """
    SELECT c.id::text, c.name, c.department_id, c.next_fire_at AS planned_at,
           c.submitted_at AS since,
           CASE WHEN c.approved_by IS NULL THEN 'pending_approval' ELSE 'second_approval' END
               AS code
    FROM asked, campaigns c
    WHERE c.state = 'pending_approval' AND c.pending_until > asked.now
      AND (asked.scope IS NULL OR asked.scope = c.department_id)
      AND (asked.seat IS NULL OR NOT share_a_person(asked.seat, array_remove(
          c.rule_editors || c.text_editors || ARRAY[
              c.submitted_by, c.edited_by, c.text_edited_by, c.rule_edited_by, c.approved_by,
              c.approved_for], NULL), asked.now))
"""

# What the asker's own department owes: returned, late, or due within two days.
_DUTIES = """
    SELECT d.id::text, o.title || ' · ' || d.period AS name, d.department_id,
           d.owed_at AS planned_at, CASE WHEN d.owed_at < asked.now THEN d.owed_at END AS since,
           CASE WHEN d.owed_at < asked.now THEN 'duty_late'
                WHEN d.state = 'returned' THEN 'duty_returned'
                ELSE 'duty_due' END AS code,
           CASE d.state WHEN 'returned' THEN d.reason END AS reason
    FROM asked, duties d JOIN obligations o ON o.id = d.obligation_id
    WHERE d.state IN ('open', 'returned')
      AND (d.state = 'returned' OR d.owed_at < asked.now + interval '2 days')
      AND (asked.seat IS NULL
           OR d.department_id = (SELECT department_id FROM users WHERE id = asked.seat[1]))
      AND (asked.scope IS NULL OR d.department_id = asked.scope)
"""

_LATE_UNITS = """
    SELECT d.department_id::text AS id, u.name, d.department_id, NULL::timestamptz AS planned_at,
           min(d.owed_at) AS since, 'duty_late' AS code
    FROM asked, duties d JOIN departments u ON u.id = d.department_id
    WHERE d.state IN ('open', 'returned') AND d.owed_at < asked.now
      AND (asked.scope IS NULL OR d.setter_id = asked.scope)
    GROUP BY d.department_id, u.name
"""

# A text that no plan has, which its approver would read there, and that lint does not block; and a
# wording of an approved text with other words. What nobody has looked at for a month is let be.
_TEXTS = """
    SELECT t.id::text, t.name, t.department_id, NULL::timestamptz AS planned_at,
           v.created_at AS since, 'text_not_approved' AS code
    FROM asked, templates t CROSS JOIN LATERAL (
        SELECT id, lint, edited_by, created_at, approved_by, taken_from FROM template_versions
        WHERE template_id = t.id ORDER BY no DESC LIMIT 1) v
    WHERE (asked.scope IS NULL OR asked.scope = t.department_id)
      AND v.approved_by IS NULL AND v.taken_from IS NULL
      AND v.created_at > asked.now - interval '30 days'
      AND withdrawn_offer_of(v.id) IS NULL
      AND NOT v.lint @> '[{"level": "block"}]'
      AND NOT EXISTS (SELECT FROM campaigns c WHERE c.template_version_id = v.id)
      AND NOT EXISTS (SELECT FROM campaign_texts m WHERE m.template_version_id = v.id)
      AND (asked.seat IS NULL
           OR NOT share_a_person(asked.seat, ARRAY[v.edited_by], asked.now))
    UNION ALL
    SELECT t.id::text, t.name, t.department_id, NULL, w.made_at, 'wording_not_approved'
    FROM asked, wordings w JOIN template_versions v ON v.id = w.version_id
    JOIN templates t ON t.id = v.template_id
    WHERE (asked.scope IS NULL OR asked.scope = t.department_id)
      AND NOT w.same_words AND w.approved_by IS NULL AND v.approved_by IS NOT NULL
      AND w.made_at > asked.now - interval '30 days'
      AND NOT w.lint @> '[{"level": "block"}]'
      AND NOT EXISTS (SELECT FROM wordings n WHERE n.version_id = w.version_id
                      AND n.kind = w.kind AND n.id > w.id)
      AND NOT EXISTS (SELECT FROM template_versions n WHERE n.template_id = v.template_id
                      AND n.no > v.no)
      AND (asked.seat IS NULL
           OR NOT share_a_person(asked.seat, ARRAY[w.made_by], asked.now))
"""

# By an approver who said why, or by the clock since nobody approved them in time.
_RETURNED = """
    SELECT c.id::text, c.name, c.department_id, NULL::timestamptz AS planned_at, m.at AS since,
           m.code, CASE m.code WHEN 'returned' THEN m.reason END AS reason
    FROM asked, campaigns c CROSS JOIN LATERAL (
        SELECT at, code, reason FROM campaign_moves
        WHERE campaign_id = c.id AND to_state = 'returned' ORDER BY id DESC LIMIT 1) m
    WHERE c.state = 'returned' AND (asked.scope IS NULL OR asked.scope = c.department_id)
"""

_UNCERTAIN = f"""
    SELECT u.run_id::text AS id, coalesce(c.name, d.name) AS name, r.department_id,
           NULL::timestamptz AS planned_at, min(u.since) AS since, 'uncertain' AS code,
           count(*)::int AS texts,
           (count(*) FILTER (WHERE u.since <= asked.now - interval '{WAIT.seconds} s'))::int
               AS ready
    FROM asked, uncertain u JOIN runs r ON r.id = u.run_id
    JOIN departments d ON d.id = r.department_id LEFT JOIN campaigns c ON c.id = r.campaign_id
    WHERE asked.scope IS NULL OR r.department_id = asked.scope
    GROUP BY u.run_id, c.name, d.name, r.department_id
"""  # noqa: S608  # constants

_INBOUND = """
    SELECT t.kind AS id, t.kind AS name, t.department_id, NULL::timestamptz AS planned_at,
           min(t.received_at) AS since, 'inbound_' || t.kind AS code, count(*)::int AS texts,
           (count(*) FILTER (WHERE t.state = 'new'))::int AS ready
    FROM asked, inbound_texts t
    WHERE t.state <> 'done' AND (asked.scope IS NULL OR t.department_id = asked.scope)
    GROUP BY t.kind, t.department_id
"""

# What met nothing speaks of nobody's text, so it is for whoever sees all departments.
_RECEIPTS = """
    SELECT x.channel_id::text AS id, h.name, NULL::uuid AS department_id,
           NULL::timestamptz AS planned_at, min(x.received_at) AS since,
           'receipt_' || x.why AS code, count(*)::int AS texts, count(*)::int AS ready
    FROM asked, receipts_unmatched x JOIN channels h ON h.id = x.channel_id
    WHERE x.why <> 'parked' AND (asked.scope IS NULL OR (
        x.why IN ('ambiguous', 'conflict') AND EXISTS (
            SELECT FROM parts p JOIN runs r ON r.id = p.run_id
            WHERE p.channel_id = x.channel_id AND p.ref = x.ref
              AND r.department_id = asked.scope)))
    GROUP BY x.channel_id, h.name, x.why
"""

# The last import of each list for a month, until another one of the same list came well.
_IMPORTS = """
    SELECT i.id::text, i.roster AS name, i.department_id, NULL::timestamptz AS planned_at,
           i.finished_at AS since,
           CASE i.state WHEN 'failed' THEN 'import_failed' ELSE 'rejected_rows' END AS code,
           i.rejected AS texts, NULL::int AS ready
    FROM asked, departments d CROSS JOIN LATERAL (
        SELECT DISTINCT ON (roster) *, coalesce((report->'rows'->>'rejected')::int, 0) AS rejected
        FROM imports m
        WHERE m.department_id = d.id AND m.created_at > asked.now - interval '30 days'
          AND m.state <> 'reading' AND NOT m.dry_run
        ORDER BY roster, created_at DESC, id DESC) i
    WHERE (asked.scope IS NULL OR d.id = asked.scope)
      AND i.undone_at IS NULL AND (i.state = 'failed' OR i.rejected > 0)
"""

_ROSTERS = """
    SELECT r.id::text, r.name, r.department_id,
           (r.expires_on + 1)::timestamp AT TIME ZONE 'Asia/Shanghai' AS planned_at,
           (r.expires_on - 30)::timestamp AT TIME ZONE 'Asia/Shanghai' AS since,
           'ends_soon' AS code
    FROM (SELECT *, (now AT TIME ZONE 'Asia/Shanghai')::date AS today FROM asked) asked, rosters r
    WHERE r.expires_on BETWEEN asked.today AND asked.today + 30
      AND (asked.scope IS NULL OR r.department_id = asked.scope)
"""

# By list, for whoever hands its posts over: those of the own department alone. Of a list that has
# ended, no hand-over fills a post.
_POSTS = f"""
    SELECT r.id::text, r.name, r.department_id, NULL::timestamptz AS planned_at,
           min(left_off.at) AS since, 'vacant_posts' AS code, count(*)::int AS texts,
           NULL::int AS ready
    FROM (SELECT *, (now AT TIME ZONE 'Asia/Shanghai')::date AS today FROM asked) asked, posts p
        JOIN rosters r ON r.department_id = p.department_id AND r.name = p.roster
        JOIN post_holders o ON o.post_id = p.id AND o.until IS NULL
        LEFT JOIN contacts c ON c.id = o.contact_id
        LEFT JOIN LATERAL (
            SELECT max(e.left_at) AS at FROM links e
            WHERE e.contact_id = o.contact_id AND e.left_at >= o.since) left_off ON true
    WHERE {holds_on("r", "asked.today")}
      AND (asked.scope IS NULL OR p.department_id = asked.scope)
      AND (asked.seat IS NULL
           OR p.department_id = (SELECT department_id FROM users WHERE id = asked.seat[1]))
      AND NOT coalesce({stands("p", "o", "r", "c", "asked.today")}, false)
      AND NOT {was_named_anew("p", "o", "r")}
    GROUP BY r.id
"""  # noqa: S608  # constants

# Not of whoever was at the door: somebody else confirms it.
_NUMBERS = """
    SELECT c.id::text, coalesce(a.name, '–') AS name, c.department_id,
           NULL::timestamptz AS planned_at, t.at AS since, 'new_number' AS code
    FROM asked, number_corrections c JOIN visits v ON v.id = c.visit_id
        JOIN visit_tries t ON t.visit_id = c.visit_id AND t.no = c.try_no
        LEFT JOIN areas a ON a.code = v.area_code
    WHERE c.state = 'proposed' AND (asked.scope IS NULL OR c.department_id = asked.scope)
      AND (asked.seat IS NULL
           OR NOT share_a_person(asked.seat, ARRAY[t.by_id, t.written_by], asked.now))
"""

_FILINGS = f"""
    SELECT u.template_id::text AS id, u.name, u.department_id, NULL::timestamptz AS planned_at,
           min(u.since) AS since, 'not_filed' AS code, count(DISTINCT u.channel_id)::int AS texts,
           NULL::int AS ready
    FROM ({UNFILED_TEXTS}) u GROUP BY u.template_id, u.name, u.department_id
"""  # noqa: S608  # constants

_KEYS = """
    SELECT k.id::text, u.login || ': ' || k.name AS name, u.department_id,
           NULL::timestamptz AS planned_at, k.created_at AS since, 'new_key' AS code
    FROM asked, keys k JOIN users u ON u.id = k.user_id
    WHERE k.activated_at IS NULL AND k.revoked_at IS NULL AND NOT k.bootstrap
      AND coalesce(k.expires_at, 'infinity') > asked.now
      AND (asked.scope IS NULL OR u.department_id = asked.scope)
      AND (asked.seat IS NULL
           OR NOT share_a_person(asked.seat, ARRAY[k.created_by], asked.now))
"""

_PASSWORDS = f"""
    SELECT u.id::text, u.login AS name, u.department_id, NULL::timestamptz AS planned_at,
           u.given_at AS since, 'given_password' AS code
    FROM asked, users u
    WHERE u.given_hash IS NOT NULL AND u.given_at > asked.now - interval '{WAITS.days} days'
      AND (asked.scope IS NULL OR u.department_id = asked.scope)
      AND (asked.seat IS NULL OR u.id <> ALL (asked.seat)
           AND NOT share_a_person(asked.seat, ARRAY[u.given_by], asked.now))
"""  # noqa: S608  # constants

HOLDS = WorkKind(
    "holds",
    Sentence("待放行、自动暂停", "Campaigns and fires that are held, or paused themselves"),
    Right.REPORTS,
    _HOLDS,
    counted=True,
)
KINDS = (
    WorkKind("stops", Sentence("全部停发中", "Everything is stopped"), Right.READ, _STOPS),
    WorkKind(
        "shut_channels",
        Sentence("通道不通", "Channels that send nothing"),
        Right.READ,
        _CHANNELS,
    ),
    WorkKind(
        "not_firing",
        Sentence("任务不再发送", "Campaigns that do not fire"),
        Right.REPORTS,
        _NOT_FIRING,
    ),
    HOLDS,
    WorkKind(
        "approvals",
        Sentence("等您签发", "Campaigns that wait for your approval"),
        Right.APPROVE,
        _APPROVALS,
    ),
    WorkKind(
        "texts_to_approve",
        Sentence("等您审核的短信", "Texts that wait for your approval"),
        Right.APPROVE,
        _TEXTS,
    ),
    WorkKind(
        "returned",
        Sentence("退回修改的任务", "Campaigns that were returned to be mended"),
        Right.PLAN,
        _RETURNED,
        answered=True,
    ),
    WorkKind(
        "duties",
        Sentence("本单位应报未报", "What your department is to hand in"),
        Right.REPORT,
        _DUTIES,
        answered=True,
    ),
    WorkKind(
        "late_units",
        Sentence("逾期未报的单位", "Departments that are late with what they owe"),
        Right.OBLIGATIONS,
        _LATE_UNITS,
    ),
    WorkKind(
        "uncertain",
        Sentence("去向不明", "Texts that may have left and have no answer"),
        Right.READ,
        _UNCERTAIN,
        sized=True,
        summed=True,
    ),
    WorkKind(
        "inbound",
        Sentence("群众来信", "Texts from handsets that nobody has worked off"),
        Right.SUPPRESS,
        _INBOUND,
        sized=True,
        summed=True,
    ),
    WorkKind(
        "held_opt_outs",
        Sentence("待定的成批退订", "Opt-outs in bulk that stop nothing yet"),
        Right.SUPPRESS,
        _OPT_OUTS,
    ),
    WorkKind(
        "held_suppressions",
        Sentence("待定的成批禁发号码", "Suppressions in bulk that stop nothing yet"),
        Right.SUPPRESS,
        _ENTRIES,
    ),
    WorkKind(
        "missed_fires", Sentence("错过的发送", "Fires that were missed"), Right.REPORTS, _MISSED
    ),
    WorkKind(
        "asked_legs",
        Sentence("待接受的联合任务", "Legs of joint plans that nobody has taken"),
        Right.REPORTS,
        _LEGS,
        answered=True,
    ),
    WorkKind(
        "returned_legs",
        Sentence("被退回的联合任务", "Legs of joint plans that were returned"),
        Right.REPORTS,
        _RETURNED_LEGS,
        answered=True,
    ),
    WorkKind(
        "left_out_legs",
        Sentence("联合任务缺发的一方", "Fires of joint plans that went without a leg"),
        Right.REPORTS,
        _LEFT_OUT,
        answered=True,
    ),
    WorkKind(
        "list_files",
        Sentence("待移交的名单", "Lists for a carrier that sends by itself"),
        Right.REPORTS,
        _LIST_FILES,
    ),
    WorkKind(
        "receipts",
        Sentence("对不上的回执", "Receipts that fit no text"),
        Right.READ,
        _RECEIPTS,
        sized=True,
        summed=True,
    ),
    WorkKind(
        "imports",
        Sentence("有拒绝行的导入", "Imports with rows that were rejected"),
        Right.IMPORT,
        _IMPORTS,
        sized=True,
    ),
    WorkKind(
        "ending_rosters",
        Sentence("30 天内到期的名单", "Lists that end within 30 days"),
        Right.IMPORT,
        _ROSTERS,
    ),
    WorkKind(
        "vacant_posts",
        Sentence("空缺的岗位", "Posts of lists that nobody has"),
        Right.IMPORT,
        _POSTS,
        sized=True,
    ),
    WorkKind(
        "number_corrections",
        Sentence("待确认的新号码", "New numbers from visits that wait to be confirmed"),
        Right.IMPORT,
        _NUMBERS,
    ),
    WorkKind(
        "filings",
        Sentence("没有报备的短信", "Texts without a filing"),
        Right.READ,
        _FILINGS,
        sized=True,
    ),
    WorkKind(
        "taken_texts",
        Sentence("采用的短信有变动", "Texts taken over that were changed or withdrawn"),
        Right.READ,
        TAKEN_TEXTS,
    ),
    WorkKind(
        "retention",
        Sentence("到期删除已暂停", "Nothing is deleted for its age"),
        Right.PRIVACY,
        _RETENTION,
    ),
    WorkKind(
        "channel_changes",
        Sentence("待第二人确认的通道", "Channels that wait for a second person"),
        Right.CHANNELS,
        _CHANGES,
        proposed=True,
    ),
    WorkKind(
        "grants",
        Sentence("待第二人确认的权限", "Rights that wait for a second person"),
        Right.ACCOUNTS,
        _GRANTS,
        proposed=True,
    ),
    WorkKind(
        "keys",
        Sentence("待第二人启用的密钥", "Keys that wait for a second person"),
        Right.ACCOUNTS,
        _KEYS,
    ),
    WorkKind(
        "passwords",
        Sentence("待第二人确认的密码", "Passwords that wait for a second person"),
        Right.ACCOUNTS,
        _PASSWORDS,
    ),
    WorkKind(
        "deputies",
        Sentence("待第二人确认的代签人", "Deputies who wait for a second person"),
        Right.APPROVE,
        _DEPUTIES,
        proposed=True,
    ),
    WorkKind(
        "direct_limits",
        Sentence("待第二人确认的直发上限", "Limits of direct sends that wait for a second person"),
        Right.ACCOUNTS,
        _LIMITS,
        proposed=True,
    ),
    WorkKind(
        "lint_proposals",
        Sentence("待第二人确认的检查规则", "Changes of lint that wait for a second person"),
        Right.ACCOUNTS,
        _LINT,
        proposed=True,
    ),
    WorkKind(
        "signatures",
        Sentence("待第二人确认的签名", "Signatures that wait for a second person"),
        Right.ACCOUNTS,
        _SIGNATURES,
        proposed=True,
    ),
    WorkKind(
        "area_renames",
        Sentence("待第二人确认的区域名称", "Names of areas that wait for a second person"),
        Right.AREAS,
        _RENAMES,
        proposed=True,
    ),
    WorkKind(
        "machine_access",
        Sentence("在服务器上给出的管理员登录", "Administrators' logins given on the machine"),
        Right.ACCOUNTS,
        _ACCESS,
    ),
)
"""The most urgent first."""


async def what_waits(
    conn: Connection,
    kind: WorkKind,
    scope: UUID | None,
    now: datetime,
    limit: int,
    asker: User | None = None,
) -> WaitingWork:
    """What waits of a kind that one department sees (None: of all).

    asker: who asks: of what waits for a second person, what they could confirm; None: all of it.
    """
    counts = "" if kind.counted else "NULL::int AS others, NULL::int AS people,"
    proposals = "" if kind.proposed else "NULL::uuid AS proposal_id,"
    reasons = "" if kind.answered else "NULL::text AS reason,"
    sizes = "" if kind.sized else "NULL::int AS texts, NULL::int AS ready,"
    total = "sum(texts) OVER ()" if kind.summed else "count(*) OVER ()"
    ready = "sum(ready) OVER ()" if kind.summed else "NULL::int"
    rows = await sql.fetch(
        conn,
        f"""
        WITH asked AS (SELECT :scope::uuid AS scope, :now::timestamptz AS now,
                       :seat::uuid[] AS seat,
                              :roles::text[] AS roles, :rights::text[] AS rights),
        waiting AS MATERIALIZED ({kind.sql})
        SELECT *, {counts} {proposals} {reasons} {sizes}
               (SELECT d.name FROM departments d WHERE d.id = department_id) AS department,
               {total} AS total, {ready} AS all_ready,
               min(since) OVER () AS oldest FROM waiting
        ORDER BY since, id, planned_at LIMIT :limit
        """,  # noqa: S608  # a constant
        scope=scope,
        now=now,
        limit=limit,
        **_seat_of(asker),
    )
    first = rows[0] if rows else None
    items = [WorkItem(*(row[name] for name in WorkItem._fields)) for row in rows]
    if first is None:
        return WaitingWork(kind, 0, None, items, 0 if kind.summed else None)
    return WaitingWork(kind, first["total"], first["oldest"], items, first["all_ready"])


def _seat_of(asker: User | None) -> dict[str, Any]:
    """The seat of who asks, and the roles and rights that they could grant."""
    if asker is None:
        return {"seat": None, "roles": [], "rights": []}
    seat = [person for person in (asker.id, asker.deputy_for) if person is not None]
    roles = [role.value for role in Role if asker.could_grant([role], [])]
    rights = [right.word for right in Right if asker.could_grant([], [right])]
    return {"seat": seat, "roles": roles, "rights": rights}
