"""What the audit trail says of a request: by its operation, so that none can forget it."""

from collections.abc import Mapping
from uuid import UUID

from service.accounts.audit import Act
from service.api.call import Call
from service.api.op import Op


def act(
    op: Op,
    call: Call,
    found: Mapping[str, object],
    result: object,
    request_id: str,
    request_hash: bytes,
) -> Act:
    """The entry of a request that was carried out.

    The action is the operation's name. What it concerns is what the handler says (`Call.note`),
    else the first id in the address, else the id of what was made. The kind is as in the address.
    """
    kind, object_id = call.concerns or (_collection(op), _object_id(op, found, result))
    return Act(
        action=op.name,
        at=call.now,
        via="api",
        actor_id=call.user.id,
        department_id=call.user.department_id,
        object_kind=kind,
        object_id=object_id,
        request_id=request_id,
        request_hash=request_hash,
        details=call.noted,
    )


def _collection(op: Op) -> str:
    return op.path.split("/")[1]


def _object_id(op: Op, found: Mapping[str, object], result: object) -> str | None:
    ids = [found[name] for name in op.parameters]
    candidates = [*ids, getattr(result, "id", None)]
    return next((str(value) for value in candidates if isinstance(value, UUID | int)), None)
