"""How the evidence of a run is checked by anybody, and the key that it takes."""

from service.accounts.people.model import Right
from service.api.sending import runs
from service.console.asking import Desk
from service.console.render import Shown

DIGITS_TOGETHER = 8


async def show_evidence_key(desk: Desk) -> Shown:
    """The public key, to be written down elsewhere, and what is done with it."""
    key = (await desk.get(runs.get_evidence_key)).public_key
    told = {
        "key": key,
        "groups": [key[at : at + DIGITS_TOGETHER] for at in range(0, len(key), DIGITS_TOGETHER)],
        "reads": desk.may(Right.READ),
        "audits": desk.may(Right.AUDIT),
    }
    return Shown("reports/evidence.html", told)
