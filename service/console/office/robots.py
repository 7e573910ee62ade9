"""Robots of work groups on pages: set up, tried, taken away."""

from service.api.webhooks import robots
from service.api.webhooks.robots import RobotBody, RobotKindsBody
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.errors import NotFound
from service.words.phrase import Phrase, phrase

ROBOTS = "/office/robots"
KINDS: dict[str, Phrase] = {"wecom": phrase("WeCom"), "dingtalk": phrase("DingTalk")}
TOLD: dict[str, Phrase] = {
    "approval": phrase("a campaign waits for approval"),
    "returned": phrase("a campaign was returned or rejected"),
    "paused": phrase("a campaign was paused by its guard"),
    "leg": phrase("a joint plan asks for our part"),
    "reminder": phrase("something is to be handed in soon"),
    "late": phrase("something was not handed in in time"),
    "late_list": phrase("others are late with what we ask for"),
    "relay": phrase("a text begins to be passed on"),
}
STATES: dict[str, tuple[str, Phrase]] = {
    "waiting": ("warn", phrase("waits to be posted")),
    "leaving": ("run", phrase("is being posted")),
    "sent": ("done", phrase("posted")),
    "uncertain": ("unsure", phrase("may have been posted")),
    "given_up": ("bad", phrase("was not taken")),
}


async def show_robots(desk: Desk) -> Shown:
    """The robots of the department, and the form for another one."""
    found = await desk.get(robots.list_robots)
    return Shown("office/robots.html", {"found": found, **_words(desk)})


async def show_new(desk: Desk) -> Shown:
    """The form for a robot."""
    return Shown("office/robot_new.html", _words(desk))


async def add(desk: Desk) -> Gone:
    """Set a robot up."""
    kinds = desk.form.getall("kinds", [])
    body = body_of(RobotBody, desk.form, but=["kinds"], given={"kinds": kinds})
    await desk.act(robots.add_robot, body=body)
    return Gone(ROBOTS, phrase("It is set up. Send a test message to see that it arrives."))


async def show_kinds(desk: Desk) -> Shown:
    """The form for what a group is told of.

    Raises:
        NotFound: the department has no such robot.
    """
    robot_id = desk.uuid("robot_id")
    found = await desk.get(robots.list_robots)
    robot = next((one for one in found.items if one.id == robot_id), None)
    if robot is None:
        raise NotFound(phrase("there is no robot {id}", id=robot_id))
    return Shown("office/robot_kinds.html", {"robot": robot, **_words(desk)})


async def set_kinds(desk: Desk) -> Gone:
    """Choose what a group is told of."""
    body = body_of(RobotKindsBody, desk.form)
    await desk.act(robots.set_robot_kinds, robot_id=desk.uuid("robot_id"), body=body)
    return Gone(ROBOTS, phrase("It is told of these from now on."))


async def send_test(desk: Desk) -> Gone:
    """Post a test message."""
    await desk.act(robots.test_robot, robot_id=desk.uuid("robot_id"))
    return Gone(ROBOTS, phrase("A test message is on its way. Open the page again in a moment."))


async def delete(desk: Desk) -> Gone:
    """Tell a group nothing more."""
    await desk.act(robots.delete_robot, robot_id=desk.uuid("robot_id"))
    return Gone(ROBOTS, phrase("It is told nothing more, and its address is forgotten."))


def _words(desk: Desk) -> dict[str, object]:
    say = desk.language.say
    return {
        "robot_kinds": {code: say(word) for code, word in KINDS.items()},
        "kind_options": [(code, say(word)) for code, word in KINDS.items()],
        "told_options": [(code, say(word)) for code, word in TOLD.items()],
        "told": {code: say(word) for code, word in TOLD.items()},
        "states": {code: (tone, say(word)) for code, (tone, word) in STATES.items()},
    }
