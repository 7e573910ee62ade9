"""What the audit trail says of a request: by its operation, so that none can forget it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from service.accounts.audit.audit import AuditAct, Via
from service.api.http.call import Call
from service.api.http.op import Op
from service.api.http.schema import Out


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Whence a request came, as its entry says. mark: the keyed hash of what was asked."""

    via: Via
    request_id: str
    mark: bytes


def act(
    op: Op, call: Call, found: Mapping[str, object], result: object, origin: RequestOrigin
) -> AuditAct:
    """The entry of a request that was carried out.

    The action is the operation's name. What it concerns is what the handler says (`Call.note`),
    else the first id in the address, else the id of what was made. The kind is as in the address.
    """
    kind, object_id = call.concerns or (_collection(op), _object_id(op, found, result))
    return AuditAct(
        action=op.name,
        at=call.now,
        via=origin.via,
        actor_id=call.user.id,
        department_id=call.user.department_id,
        object_kind=kind,
        object_id=object_id,
        request_id=origin.request_id,
        request_hash=origin.mark,
        details=call.noted,
    )


MOST_OCTETS = 2_000
"""The longest value that an entry says in full; of a longer one it says the SHA-256."""

_TOLD = {
    "edit_department": "name kind signature weight parent_id area_code carrier classes channels"
    " daily_quota monthly_quota yearly_quota requests_per_minute notices_end_by_reply"
    " direct_send_limit",
    "edit_user": "department_id roles rights disabled_at",
    "confirm_roster": "kind basis expires_on confirmed_at",
    "edit_area": "name level parent population",
    "edit_segment": "name rule",
    "edit_campaign": "name template_id template_version_id segment_id channels priority schedule"
    " max_tps over_cap period drill safety more_texts legs class state",
    "edit_channel": "name kind carriers tps window connections enabled destinations on_net_only"
    " operated_by rank signature signature_counts receipts send_validity daily_quota"
    " monthly_quota maintenance extension_digits",
    "edit_webhook": "events run_calls_back disabled_at",
    "set_rules": "rules",
    "set_sender": "signatures landlines links",
    "set_holidays": "official_until notices quiet without school_days",
    "set_send_hours": "classes audiences",
}
"""By operation, the members whose old and new value an entry says. None may hold a personal datum:
no name of a person, no number of one, no free text. Of others an entry says that they changed."""

_BOOKKEEPING = frozenset({"edited_at", "edited_by", "version", "history"})


def changes(op: Op, before: Out, after: Out) -> dict[str, object]:
    """What an edit has changed: `changes` has the old and the new value of what may be told,
    `changed` the names of all other members.
    """
    old = before.model_dump(mode="json", by_alias=True)
    new = after.model_dump(mode="json", by_alias=True)
    left_out = before.BY_THE_CLOCK | _BOOKKEEPING
    differing = [n for n in new if n in old and old[n] != new[n] and n not in left_out]
    may_be_told = _TOLD.get(op.name, "").split()
    told = {n: [_told(old[n]), _told(new[n])] for n in differing if n in may_be_told}
    others = [name for name in differing if name not in told]
    found: dict[str, object] = {"changes": told} if told else {}
    return found | ({"changed": others} if others else {})


def _told(value: object) -> object:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
    return value if len(text) <= MOST_OCTETS else {"sha256": sha256(text).hexdigest()}


def _collection(op: Op) -> str:
    return op.path.split("/")[1]


def _object_id(op: Op, found: Mapping[str, object], result: object) -> str | None:
    ids = [found[name] for name in op.parameters]
    candidates = [*ids, getattr(result, "id", None)]
    return next((str(value) for value in candidates if isinstance(value, UUID | int)), None)
