"""Numbers: which channel one takes and why, whose it is, and the table of number blocks."""

from typing import Any

from service.accounts.people.model import Right
from service.api.channels import channels, prefixes, routing
from service.api.channels.prefixes import PrefixTableForm
from service.api.channels.routing import (
    CarrierListForm,
    ExplainBody,
    OverrideBody,
    OverridePhoneBody,
)
from service.api.http.upload import Upload
from service.audience.vocabulary.choices import CARRIERS
from service.console.asking import Desk
from service.console.channels import words as channel_words
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.words import carrier_word
from service.errors import Invalid
from service.words.phrase import phrase

TABLE = "/office/numbers/table"


async def show_route(desk: Desk) -> Shown:
    """The form that asks which channel a number takes."""
    return await _route(desk, None)


async def explain(desk: Desk) -> Shown:
    """Which channel a number takes, and why each other one does not."""
    chosen = [int(one) for one in desk.form.getall("channels", []) if one.isdecimal()]
    body = body_of(ExplainBody, desk.form, but=("channels",), given={"channels": chosen or "auto"})
    found = await desk.act(routing.explain_route, body=body)
    async with desk.reading():
        return await _route(desk, found)


async def show_carrier(desk: Desk) -> Shown:
    """The forms about numbers of which another carrier is known than their block says."""
    return _carrier(desk)


async def ask_carrier(desk: Desk) -> Shown:
    """Whose a number is known to be; or enter it; or forget it."""
    act = desk.typed("act")
    if act == "forget":
        await desk.act(routing.delete_override, body=_phone(desk))
        return _carrier(desk, done=phrase("Its block decides again whose the number is."))
    if act == "set":
        body = body_of(OverrideBody, desk.form, but=("act",))
        known = await desk.act(routing.set_override, body=body)
        return _carrier(desk, known=known, done=phrase("It counts from the next run on."))
    return _carrier(desk, known=await desk.act(routing.look_up_override, body=_phone(desk)))


async def import_list(desk: Desk) -> Shown:
    """Take a list of numbers and their carriers."""
    file = _file(desk)
    body = body_of(CarrierListForm, desk.form, but=("file",))
    listed = await routing.read_list(body, file)
    result = await desk.act(routing.import_overrides, body=body, file=file, listed=listed)
    return _carrier(desk, result=result)


async def show_table(desk: Desk) -> Shown:
    """The table of number blocks in force."""
    return await _table(desk, None)


async def import_table(desk: Desk) -> Shown:
    """Take a table of number blocks in place of the one before."""
    file = _file(desk)
    body = body_of(PrefixTableForm, desk.form, but=("file",))
    listed = await prefixes.read_table(body, file)
    taken = await desk.act(prefixes.import_prefixes, body=body, file=file, listed=listed)
    async with desk.reading():
        return await _table(desk, taken)


async def ask_forget(desk: Desk) -> Shown:
    """What it means to forget the table of number blocks."""
    table = (await desk.get(prefixes.get_prefixes)).table
    return Shown("channels/numbers_forget.html", {"table": table})


async def forget_table(desk: Desk) -> Gone:
    """Forget the table of number blocks."""
    await desk.act(prefixes.delete_prefixes)
    return Gone(TABLE, phrase("The first three or four digits decide again."))


async def _route(desk: Desk, found: Any) -> Shown:
    listed = (await desk.get(channels.list_channels)).items
    told = {
        "found": found,
        "channels": [(channel.id, channel.name) for channel in listed],
        "names": {channel.id: channel.name for channel in listed},
    }
    return Shown("channels/numbers.html", told | _told(desk))


def _carrier(desk: Desk, **found: Any) -> Shown:
    told = {
        "known": None,
        "result": None,
        "done": "",
        "carriers": [("", "–"), *((code, carrier_word(code, desk.language)) for code in CARRIERS)],
    }
    return Shown("channels/numbers_carrier.html", told | found | _told(desk))


async def _table(desk: Desk, taken: Any) -> Shown:
    table = (await desk.get(prefixes.get_prefixes)).table
    names = await names_of(desk, [table.taken_by] if table is not None else [])
    told = {"table": table, "taken": taken, "names": names}
    return Shown("channels/numbers_table.html", told | _told(desk))


def _told(desk: Desk) -> dict[str, Any]:
    return {
        "carrier": lambda code: carrier_word(code, desk.language),
        "sources": channel_words.SOURCES,
        "may_manage": desk.may(Right.CHANNELS),
    }


def _phone(desk: Desk) -> OverridePhoneBody:
    return body_of(OverridePhoneBody, desk.form, but=("act", "carrier"))


def _file(desk: Desk) -> Upload:
    """The file that came with the form.

    Raises:
        Invalid: none did.
    """
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no file was chosen"), fields={"file": phrase("choose a file of yours")}
        )
    return desk.upload
