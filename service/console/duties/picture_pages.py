"""Pictures of a report on pages: sent, seen, masked, deleted."""

from service.accounts.people.model import Right
from service.api.duties import duties, pictures
from service.api.duties.pictures import MaskBody, PictureForm, PictureOut, SideQuery, WaitingQuery
from service.api.http.downloads import MadeFile
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

BOXES = "boxes"
_FIGURES = 4


async def show_pictures(desk: Desk) -> Shown:
    """The pictures for the report of a duty that were not handed in yet."""
    duty_id = desk.uuid("duty_id")
    found = await desk.get(duties.get_duty, duty_id=duty_id)
    query = WaitingQuery(limit=100, duty_id=duty_id)
    waiting = await desk.get(pictures.list_waiting_pictures, query=query)
    told = {"found": found, "pictures": waiting.items}
    return Shown("duties/pictures.html", told)


async def send_picture(desk: Desk) -> Gone:
    """Send a picture for the report of a duty."""
    duty_id = desk.uuid("duty_id")
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no picture was chosen"), fields={"file": phrase("choose or take a picture")}
        )
    listed = await pictures.read_file(PictureForm(), desk.upload)
    await desk.act(
        pictures.send_picture,
        body=PictureForm(duty_id=duty_id),
        file=desk.upload,
        listed=listed,
    )
    return Gone(
        f"/duties/{duty_id}/pictures",
        phrase("The picture is kept. Mask faces of minors and numbers before you hand it in."),
    )


async def show_picture(desk: Desk) -> Shown:
    """One: large, what is known of it, and where it is masked."""
    found = await desk.get(pictures.get_picture, picture_id=desk.uuid("picture_id"))
    own = found.department_id == desk.user.department_id and desk.may(Right.REPORT)
    told = {"found": found, "own": own, "names": await names_of(desk, [found.uploaded_by])}
    return Shown("duties/picture.html", told)


async def show_jpeg(desk: Desk) -> MadeFile:
    """The pixels, for a page; the trail says who looked at them."""
    query = body_of(SideQuery, desk.request.query, but=["masked"])  # so that it is fetched anew
    return await desk.take(
        pictures.get_picture_jpeg, picture_id=desk.uuid("picture_id"), query=query
    )


async def show_thumbnail(desk: Desk) -> MadeFile:
    """The small picture of a list."""
    found = await desk.get(pictures.get_picture_thumbnail, picture_id=desk.uuid("picture_id"))
    return await desk.made(found)


async def mask(desk: Desk) -> Gone:
    """Make parts of a picture unreadable for good."""
    picture_id = desk.uuid("picture_id")
    body = body_of(MaskBody, desk.form, but=[BOXES], given={BOXES: _boxes(desk.typed(BOXES))})
    await desk.act(pictures.mask_picture, picture_id=picture_id, body=body)
    return Gone(f"/pictures/{picture_id}", phrase("It is masked, for good."))


def _boxes(typed: str) -> list[list[int]]:
    """Boxes as they are typed or drawn: four figures a line."""
    found = []
    for line in typed.splitlines():
        figures = line.replace(",", " ").replace("，", " ").split()
        if not figures:
            continue
        if len(figures) != _FIGURES or not all(figure.isdecimal() for figure in figures):
            raise Invalid(
                phrase("a box is not written as one"),
                fields={BOXES: phrase("give left, top, width and height in pixels, a box a line")},
            )
        found.append([int(figure) for figure in figures])
    if not found:
        raise Invalid(
            phrase("no box was drawn"), fields={BOXES: phrase("draw a box over what is to go")}
        )
    return found


async def delete(desk: Desk) -> Gone:
    """Delete a picture that was not handed in."""
    picture_id = desk.uuid("picture_id")
    await desk.act(pictures.delete_picture, picture_id=picture_id)
    back = desk.typed("duty_id")
    return Gone(f"/duties/{back}/pictures" if back else "/duties", phrase("Deleted."))


async def waiting_for(desk: Desk, found: duties.DutyDetail) -> list[PictureOut]:
    """The pictures that whoever hands in may add to a report, the latest first: those that wait,
    and those of the report that was returned.
    """
    if not found.may_hand_in:
        return []
    query = WaitingQuery(limit=100, duty_id=found.id)
    waiting = (await desk.get(pictures.list_waiting_pictures, query=query)).items
    before = found.reports[-1].pictures if found.reports else []
    return [*waiting, *reversed(before)]
