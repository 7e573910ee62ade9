"""Things that tests need, with defaults: one line each to make."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.accounts.departments import department_store
from service.accounts.departments.department import DepartmentSettings
from service.accounts.keys import keys
from service.accounts.keys.key import NewKey
from service.accounts.people import store
from service.accounts.people.model import NewUser, Right, Role, User
from service.audience.segments.segment_store import Segment, insert_segment
from service.audience.suppressions.suppression import stopped_classes
from service.audience.suppressions.suppression_store import NewSuppression
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import Campaign, Plan
from service.campaigns.core.texts import MoreText
from service.campaigns.plans import planning
from service.channels.config.store import parse_settings
from service.channels.contract.model import ChannelSettings
from service.crypto import Keyring
from service.ledger.message_class import MessageClass
from service.messages.lint.lint import lint
from service.messages.store import NewVersion, Template, TemplateInfo, template_insert
from service.storage.postgres import Connection
from tests.harness.links import account_of

TEXT = "【旌德县反诈中心】凡是要求转账到安全账户的都是诈骗，请勿相信，有疑问请拨打96110。"
RULE = "carrier in (mobile, unicom, telecom, broadnet)"

_numbers = itertools.count(1)


def phone(number: int) -> str:
    """A synthetic mobile number in E.164."""
    return f"+861979{number:07d}"


async def make_user(
    conn: Connection,
    *roles: Role,
    now: datetime,
    kind: str = "department",
    department_id: UUID | None = None,
    rights: Collection[Right] = (),
) -> User:
    """A user, in a department of its own unless one is given. rights: beyond those of the roles."""
    n = next(_numbers)
    if department_id is None:
        carrier = "china_mobile" if kind == "carrier" else None
        settings = DepartmentSettings(name=f"部门{n}", kind=kind, carrier=carrier)
        department_id = (await department_store.insert_department(conn, settings, now)).id
    new = NewUser(department_id, f"user{n}", f"用户{n}", frozenset(roles), frozenset(rights))
    return await store.insert_user(conn, new, bootstrap=True)


async def make_token(conn: Connection, keyring: Keyring, user: User, now: datetime) -> str:
    """A key's token for a user."""
    _, token = await keys.issue(conn, keyring, NewKey(user.id, "test", bootstrap=True), now)
    return token


async def make_contact(
    conn: Connection,
    keyring: Keyring,
    department_id: UUID,
    number: int,
    *,
    now: datetime,
    **columns: object,
) -> str:
    """A contact with a synthetic number; other columns have defaults. Returns the phone."""
    values: dict[str, object] = {
        "department_id": department_id,
        "phone_hash": keyring.phone_index(phone(number)),
        "phone_cipher": keyring.encrypt("phone", phone(number)),
        "name_cipher": keyring.encrypt("name", "王小明"),
        "carrier": "china_mobile",
        "synthetic": True,
        "created_at": now,
        "updated_at": now,
        **columns,
    }
    names = ", ".join(values)
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await conn.execute(f"INSERT INTO contacts ({names}) VALUES ({places})", *values.values())
    return phone(number)


async def make_template(
    conn: Connection,
    user: User,
    *,
    now: datetime,
    text: str = TEXT,
    kind: MessageClass = "public_interest",
) -> Template:
    """A template of the user's department, its text by the user."""
    info = TemplateInfo(f"模板{next(_numbers)}", kind, "", "zh")
    version = NewVersion(text, lint(text), user.id)
    return await template_insert(conn, user.department_id, info, version, now)


async def make_segment(conn: Connection, user: User, *, now: datetime, rule: str = RULE) -> Segment:
    """A segment of the user's department."""
    return await insert_segment(conn, user, f"人群{next(_numbers)}", rule, now)


async def make_suggestion(conn: Connection, week: str, now: datetime) -> UUID:
    """A usual kind of a week, open; the same one whenever it is asked for."""
    suggestion_id: UUID = await conn.fetchval(
        """
        INSERT INTO suggestions (week, kind, area_code, fraud_type, place, because, audiences,
                                 made_at, expires_at)
        VALUES ($1, 'usual', '', 'T01', 0, jsonb_build_object('first', $1::text, 'last', $1::text,
                'cases', 1, 'loss_yuan', 1, 'expected', NULL, 'chance', NULL), '{everyone}',
                $2, $2::timestamptz + interval '7 days')
        ON CONFLICT ON CONSTRAINT suggestions_once DO UPDATE SET made_at = excluded.made_at
        RETURNING id
        """,
        week,
        now,
    )
    return suggestion_id


@dataclass(frozen=True)
class Team:
    """A department with somebody for each role."""

    department_id: UUID
    admin: User
    operator: User
    approver: User
    viewer: User
    inspector: User


async def make_team(conn: Connection, *, now: datetime, kind: str = "department") -> Team:
    """A department with a user for each role."""
    admin = await make_user(conn, Role.ADMIN, now=now, kind=kind)
    department_id = admin.department_id
    others: Mapping[str, User] = {
        role.value: await make_user(conn, role, now=now, department_id=department_id)
        for role in (Role.OPERATOR, Role.APPROVER, Role.VIEWER, Role.INSPECTOR)
    }
    return Team(department_id, admin, **others)


async def make_draft(
    conn: Connection,
    user: User,
    *,
    now: datetime,
    schedule: Schedule | None = None,
    text: str = TEXT,
    rule: str = RULE,
    further: Sequence[tuple[str, int | None]] = (),
    writer: User | None = None,
    channels: tuple[int, ...] | None = None,
) -> Campaign:
    """A campaign of the user's department, with templates and a segment of its own.

    further: the texts after the first, each with its `after_days`, which `writer` wrote. channels:
    None: any.
    """
    template = await make_template(conn, user, now=now, text=text)
    more = [
        MoreText((await make_template(conn, writer or user, now=now, text=words)).id, days)
        for words, days in further
    ]
    segment = await make_segment(conn, user, now=now, rule=rule)
    plan = Plan(
        name="反诈宣传",
        template_id=template.id,
        segment_id=segment.id,
        channels=channels,
        priority="normal",
        schedule=schedule or Schedule(),
        max_tps=None,
        more_texts=tuple(more),
    )
    return await planning.create(conn, user, plan, now)


async def make_scheduled(
    conn: Connection,
    team: Team,
    *,
    now: datetime,
    schedule: Schedule | None = None,
    text: str = TEXT,
    further: Sequence[tuple[str, int | None]] = (),
    channels: tuple[int, ...] | None = None,
) -> Campaign:
    """A campaign that the team's operator submitted and its approver approved."""
    draft = await make_draft(
        conn,
        team.operator,
        now=now,
        schedule=schedule,
        text=text,
        further=further,
        channels=channels,
    )
    await approval.submit(conn, team.operator, draft.id, now)
    return await approval.approve(conn, team.approver, draft.id, "", now)


def suppression(reason: str, **more: Any) -> NewSuppression:
    """Why numbers are not to be sent to, for good, as nobody in particular says."""
    return NewSuppression(
        **{
            "reason": reason,
            "classes": stopped_classes(reason),
            "created_by": None,
            "expires_at": None,
            **more,
        }
    )


def channel_settings(
    kind: str, number: str, more_config: dict[str, Any] | None = None, **more: Any
) -> ChannelSettings:
    """A channel of any kind with this number, as an administrator would set it up."""
    if kind == "twilio":
        own = {"account_sid": "AC" + "0" * 32, "auth_token": "t", "sender": number}
    elif kind == "http":
        body = '{"from": "{sender}", "to": "{recipient}", "text": "{text}"}'
        own = {"url": "http://127.0.0.1/", "body": body, "sender": number}
    else:
        own = account_of(kind, number=number, host="127.0.0.1")
    config = parse_settings(kind, own | (more_config or {}))
    return ChannelSettings(
        name="移动", kind=kind, simulated=True, carriers=("china_mobile",), config=config, **more
    )
