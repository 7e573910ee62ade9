"""What carriers' codes mean here, over the tables that come with each kind of channel."""

from service.accounts.people.model import Right
from service.api.channels import channels
from service.api.channels.channels import CarrierCodeBody, CodeName
from service.console.asking import Desk
from service.console.channels import words as channel_words
from service.console.forms import body_of
from service.console.office import words
from service.console.render import Gone, Shown
from service.console.words import reason_word
from service.ledger.reasons import Place, Reason
from service.words.phrase import phrase

CODES = "/office/codes"


async def show_codes(desk: Desk) -> Shown:
    """The codes that were given a meaning, those of answers and those of reports apart."""
    found = (await desk.get(channels.list_codes)).items
    told = {
        "tables": [
            (applies, word, [code for code in found if code.applies_to == applies])
            for applies, word in channel_words.APPLIES.items()
        ],
        "outcomes": channel_words.OUTCOMES,
        "kind_word": channel_words.kind_word,
        "reason": lambda code: reason_word(code, desk.language) if code else "–",
        "may_manage": desk.may(Right.CHANNELS),
    }
    return Shown("channels/codes.html", told)


async def show_new(desk: Desk) -> Shown:
    """The form that says what a code means, also of one that has a meaning."""
    asked = desk.form if "applies_to" in desk.form else desk.request.query
    applies = asked.get("applies_to", "")
    if applies not in channel_words.APPLIES:
        applies = "receipt"
    name = (asked.get("kind", ""), applies, asked.get("code", ""))
    kept = [
        code
        for code in (await desk.get(channels.list_codes)).items
        if (code.kind, code.applies_to, code.code) == name
    ]
    say = desk.language.say
    kinds = (await desk.get(channels.list_kinds)).items
    told = {
        "applies": applies,
        "title": channel_words.APPLIES[applies],
        "kept": kept[0] if kept else None,
        "kinds": [(kind.name, say(channel_words.kind_word(kind.name))) for kind in kinds],
        "outcomes": words.options(channel_words.OUTCOMES[applies], desk.language),
        "reasons": [("", "–"), *((reason.value, reason_word(reason.value, desk.language))
                                 for reason in Reason.at(Place.CARRIER))],
    }  # fmt: skip
    return Shown("channels/code_new.html", told)


async def put(desk: Desk) -> Gone:
    """Say what a code means."""
    made = await desk.act(channels.put_code, body=body_of(CarrierCodeBody, desk.form))
    return Gone(CODES, phrase("The code {code} has its meaning from now on.", code=made.code))


async def delete(desk: Desk) -> Gone:
    """Let the kind's own table speak of a code again."""
    query = body_of(CodeName, desk.form)
    await desk.act(channels.delete_code, query=query)
    return Gone(CODES, phrase("The code {code} means again what its kind says.", code=query.code))
