"""Something of each kind that a department has, for tests that go through all addresses."""

from datetime import datetime
from uuid import UUID

from service.accounts.audit.trail_checks import CHECK
from service.accounts.long_acts.store import insert_act
from service.audience.areas.area_store import load_areas
from service.cases.store import insert_import
from service.cases.week import IsoWeek
from service.delivery.webhooks.webhook_store import insert_webhook
from service.messages.store import approve_version, template_get
from service.messages.wordings import wordings
from service.storage.postgres import Connection, transaction
from tests.factories import Team, make_contact, make_draft, make_suggestion
from tests.harness.chats import add_group, add_relay
from tests.harness.followed import add_correction, add_followup
from tests.harness.group_robots import add_robot
from tests.harness.list_files import make_list
from tests.harness.offers import make_offer
from tests.harness.owed import add_duty
from tests.harness.photos import add_photo
from tests.harness.posts import add_post
from tests.harness.visit_rounds import add_round
from tests.integration.api.conftest import Api

NOBODY = "00000000-0000-0000-0000-000000000000"


REPORT = {
    "file": {"format": "csv", "encoding": "utf-8"},
    "tables": [],
    "rows": {"read": 0, "accepted": 0, "rejected": 0, "skipped": 0},
    "rejected": {},
    "skipped": {},
    "figures": {"cases": 0, "loss_yuan": 0},
    "by_week": {"2027-W01": {"cases": 0, "loss_yuan": 0}},
    "rejects": [],
}
"""What became of a file of case figures that has none."""


async def make_things(api: Api, department: str) -> dict[str, str]:
    """One of each, as the parameters of addresses call it: its id there."""
    team = api.teams[department]
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, team.operator, now=api.clock.at)
        wording = await _worded(conn, team, draft.plan.template_id, api.clock.at)
        run = await conn.fetchval(
            """
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, send_hours, timezone, target, created_at)
            VALUES ($1, $2, $3, 'running', 'normal', 'service', '', '', '[]', 'Asia/Shanghai',
                    1, $3)
            RETURNING id
            """,
            draft.id,
            team.department_id,
            api.clock.at,
        )
        await conn.execute(
            """
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles)
            VALUES ($1, 1, $3, $2, 1, '', '{}')
            """,
            run,
            api.runtime.keyring.encrypt("phone", "+8619790000001"),
            api.runtime.keyring.phone_index("+8619790000001"),
        )
        webhook = await insert_webhook(
            conn,
            team.department_id,
            "https://a.cn",
            ["run.finished"],
            b"",
            team.admin.id,
            api.clock.at,
        )
        imported = await conn.fetchval(
            """
            INSERT INTO imports (department_id, created_by, roster, basis, expires_on, file_name,
                                 file_bytes, file_sha256, created_at)
            VALUES ($1, $2, 'r', 'duty', '2028-01-01', 'f', 0, '', $3) RETURNING id
            """,
            team.department_id,
            team.operator.id,
            api.clock.at,
        )
        suppression = await conn.fetchval(
            """
            INSERT INTO suppressions (phone_hash, reason, created_by, created_at)
            VALUES (decode(md5($1), 'hex'), 'opted_out', $2, $3) RETURNING id
            """,
            department,
            team.operator.id,
            api.clock.at,
        )
        text = await conn.fetchval(
            """
            INSERT INTO inbound_texts (id, channel_id, sender_hash, sender_cipher, recipient,
                text_cipher, digest, missing, received_at, kind, department_id, state)
            VALUES (uuidv7(), 1, decode(md5($1), 'hex'), $2, '', $3, decode(md5($1), 'hex'), 0, $4,
                    'other', $5, 'new') RETURNING id
            """,
            department,
            api.runtime.keyring.encrypt("phone", ""),
            api.runtime.keyring.encrypt("inbound", ""),
            api.clock.at,
            team.department_id,
        )
        deputy = await conn.fetchval(
            """
            INSERT INTO deputies (absent_id, deputy_id, starts_at, ends_at, reason, named_by,
                                  named_at)
            VALUES ($1, $2, $3, $3::timestamptz + interval '9 days', 'r', $1, $3) RETURNING id
            """,
            team.approver.id,
            team.viewer.id,
            api.clock.at,
        )
        session = await conn.fetchval(
            """
            INSERT INTO sessions (user_id, token_hash, created_at, last_used_at, expires_at)
            VALUES ($1, decode(md5($2), 'hex'), $3, $3, $3::timestamptz + interval '1 hour')
            RETURNING id
            """,
            team.operator.id,
            department,
            api.clock.at,
        )
        joint = await conn.fetchval(
            """
            INSERT INTO campaigns (department_id, name, template_version_id, joint, priority,
                                   schedule, state, created_by, created_at, edited_by)
            SELECT department_id, '样例联合任务', template_version_id, true, priority, schedule,
                   'draft', created_by, created_at, edited_by
            FROM campaigns WHERE id = $1 RETURNING id
            """,
            draft.id,
        )
        leg = await conn.fetchval(
            """
            INSERT INTO campaign_legs (campaign_id, department_id, state)
            VALUES ($1, $2, 'asked') RETURNING id
            """,
            joint,
            team.department_id,
        )
        guest = await conn.fetchval(
            """
            INSERT INTO guests (department_id, phone_hash, phone_cipher, created_by, created_at)
            VALUES ($1, decode(md5($5), 'hex'), $4, $2, $3) RETURNING id
            """,
            team.department_id,
            team.operator.id,
            api.clock.at,
            api.runtime.keyring.encrypt("phone", "+8619790000001"),
            department,
        )
        await make_contact(conn, api.runtime.keyring, team.department_id, 99, now=api.clock.at)
        contact = await conn.fetchval(
            "SELECT id FROM contacts WHERE department_id = $1", team.department_id
        )
        key = await conn.fetchval("SELECT id FROM keys WHERE user_id = $1", team.viewer.id)
        receipt = await conn.fetchval(
            """
            INSERT INTO receipts_unmatched (id, channel_id, ref, state, reason, code, received_at,
                                            why, octets_cipher, octets_count, octets_hash)
            SELECT coalesce(max(id), 2 ^ 40) + 1, 1, '', 'unreadable', 'broken_length', '', $1,
                   'unreadable', $2, 1, decode(md5($3), 'hex')
            FROM receipts_unmatched RETURNING id
            """,
            api.clock.at,
            api.runtime.keyring.encrypt_bytes("octets", b"?"),
            department,
        )
        hold = await conn.fetchval(
            """
            INSERT INTO opt_out_holds (channel_id, began_at, last_at) VALUES (1, $1, $1)
            ON CONFLICT (channel_id) WHERE decided_at IS NULL
                DO UPDATE SET last_at = excluded.last_at
            RETURNING id
            """,
            api.clock.at,
        )
        entry = await conn.fetchval(
            """
            INSERT INTO suppression_entries (department_id, entered_by, entered_at, reason, classes,
                owner, source, note_cipher, numbers, held)
            VALUES ($1, $2, $3, 'complaint', '{warning}', '', 'person', '', 1, true) RETURNING id
            """,
            team.department_id,
            team.operator.id,
            api.clock.at,
        )
        cases = await insert_import(
            conn, [IsoWeek(2027, 1)], "0", REPORT, team.operator.id, api.clock.at
        )
        suggestion = await make_suggestion(conn, "2027-W01", api.clock.at)
        check = await insert_act(conn, CHECK, None, team.admin.id, api.clock.at)
        offer = await make_offer(conn, api.clock.at, team.department_id)
        rollout = await _drawn(conn, team, api.clock.at)
        place = await _placed(conn, team, api.clock.at)
    listed = await make_list(api)
    followup, visits = await add_followup(api, run, team=department)
    correction = await add_correction(api, visits[1])
    visit_round, household = await add_round(api, department)
    obligation, duty = await add_duty(api, department)
    group = await add_group(api, department)
    post = await add_post(api, department)
    relay = await add_relay(api, department)
    return {
        "campaign_id": str(draft.id),
        "template_id": str(draft.plan.template_id),
        "version": "1",
        "wording_id": str(wording),
        "segment_id": str(draft.plan.segment_id),
        "run_id": str(run),
        "message_id": f"{run}.1",
        "webhook_id": str(webhook.id),
        "robot_id": str(await add_robot(api, department)),
        "import_id": str(imported),
        "suppression_id": str(suppression),
        "inbound_id": str(text),
        "hold_id": str(hold),
        "entry_id": str(entry),
        "leg_id": str(leg),
        "list_id": str(listed),
        "offer_id": str(offer.id),
        "key_id": str(key),
        "deputy_id": str(deputy),
        "guest_id": str(guest),
        "session_id": str(session),
        "user_id": str(team.viewer.id),
        "department_id": str(team.department_id),
        "extension": "96110",
        "contact_id": str(contact),
        "receipt_id": str(receipt),
        "check_id": str(check.id),
        "no": "1",
        "milestone_id": NOBODY,
        "proposal_id": NOBODY,
        "rename_id": NOBODY,
        "grant_id": NOBODY,
        "case_import_id": str(cases),
        "suggestion_id": str(suggestion),
        "week": "2027-W01",
        "followup_id": str(followup),
        "visit_id": str(visits[0]),
        "correction_id": str(correction),
        "round_id": str(visit_round),
        "household_id": str(household),
        "obligation_id": str(obligation),
        "group_id": str(group),
        "post_id": str(post),
        "relay_id": str(relay),
        "duty_id": str(duty),
        "picture_id": str(await add_photo(api, department)),
        "rollout_id": str(rollout),
        "place_id": str(place),
    }


async def _drawn(conn: Connection, team: Team, now: datetime) -> UUID:
    """A rollout whose order is drawn, of no village."""
    draft = await make_draft(conn, team.operator, now=now)
    made: UUID = await conn.fetchval(
        "INSERT INTO rollouts (campaign_id, waves, every_days, strata, seed, seed_sha256,"
        " order_sha256, power, drawn_by, drawn_at) VALUES ($1, 2, 7, 'town', $2, sha256($2), $2,"
        " $3, $4, $5) RETURNING id",
        draft.id, bytes(32), {"weeks": 1, "cases_a_week": None, "power": []}, team.operator.id, now,
    )  # fmt: skip
    return made


async def _placed(conn: Connection, team: Team, now: datetime) -> UUID:
    """A board of a town."""
    await load_areas(conn)
    made: UUID = await conn.fetchval(
        "INSERT INTO places (department_id, kind, name, area_code, added_by, added_at, from_on)"
        " VALUES ($1, 'poster', '公告栏', '341825100000', $2, $3, '2027-01-01') RETURNING id",
        team.department_id, team.operator.id, now,
    )  # fmt: skip
    return made


async def _worded(conn: Connection, team: Team, template_id: UUID, now: datetime) -> UUID:
    """Approve a text, make its poster, and edit its line for a screen: the edited wording."""
    text = await template_get(conn, template_id, None)
    await approve_version(conn, text.version_id, (team.approver.id, None), [], now)
    await wordings.add(conn, team.operator, template_id, text.no, "poster", now)
    edited = "先挂断，再拨110核实。"
    made = await wordings.add(conn, team.operator, template_id, text.no, "led", now, edited=edited)
    return made.id


async def digests(api: Api) -> dict[str, str]:
    """A digest of each table, but of the times at which keys were used."""
    found = {}
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'keys'"
    for row in await api.runtime.pool.fetch(tables):
        digest = f"""SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM "{row[0]}" t"""
        found[row[0]] = await api.runtime.pool.fetchval(digest)
    return found


async def everything(api: Api) -> str:
    """All rows of all tables, as text."""
    pool = api.runtime.pool
    tables = await pool.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c"
        " WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace"
    )
    rows = [await pool.fetch(f"SELECT t::text FROM {table['name']} t") for table in tables]
    return "\n".join(row["t"] for found in rows for row in found)
