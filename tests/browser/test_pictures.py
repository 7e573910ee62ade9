"""The pictures of the README and of the manual, taken from a running system.

Each run takes them anew, into a temporary folder; `make pictures` puts them into `docs/pictures/`.
A picture is of what anybody sees: a page with a fault fails here.
"""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.conftest import DESK, HASTE, PHONE, shared
from tests.browser.office import Office, staff
from tests.browser.scene import Scene, set_up
from tests.browser.visitor import Visitor
from tests.harness.live import MORNING, Live

LANGUAGES = {"zh": "zh-CN", "en": "en"}


@dataclass(frozen=True)
class Picture:
    """One picture. who: whose page; "": of nobody. path: with the ids of the scene in it.

    height: of the picture at most, in pixels.
    """

    name: str
    who: str
    path: str
    width: int = DESK
    height: int = 900


PICTURES = (
    Picture("login", "", "/login", height=640),
    Picture("today", "operator", "/today"),
    Picture("import", "operator", "/people/imports/{imported}", height=1100),
    Picture("group", "operator", "/people/groups/{group}"),
    Picture("text", "operator", "/texts/{text}/edit"),
    Picture("plan", "operator", "/plans/{draft}/edit", height=1100),
    Picture("calendar", "operator", "/plans/calendar", height=1000),
    Picture("sign", "approver", "/plans/{waiting}/sign", PHONE, 1500),
    Picture("run", "operator", "/runs/{going_run}", height=800),
    Picture("report", "operator", "/runs/{over_run}/report", height=1100),
    Picture("after", "operator", "/runs/{over_run}/after", height=800),
    Picture("duty", "duty", "/duty", height=700),
    Picture("reply", "duty", "/duty/replies/{reply}", height=800),
    Picture("stop", "duty", "/duty/stop", PHONE, 800),
    Picture("channels", "duty", "/duty/channels", height=900),
    Picture("reports", "head", "/reports/campaigns/{over}", height=800),
    Picture("trail", "admin", "/reports/audit", height=900),
    Picture("users", "admin", "/office/users", height=800),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go."""
    chosen = os.environ.get("PICTURES")
    return Path(chosen) if chosen else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="session")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A system of their own: what other tests leave behind is in no picture."""
    data = tmp_path_factory.mktemp("pictures") / "data"
    system = Live(data, "--clock", MORNING, "--max-delay", "3", "--tps", "40", **HASTE)
    system.start()
    yield system
    system.stop()


@shared
async def scene(morning: Live) -> Scene:
    return await set_up(await staff(morning))


@shared
async def entered(scene: Scene, today: Browser, chinese: None) -> AsyncIterator[dict[str, Any]]:
    """The cookies of everybody who is in a picture."""
    cookies: dict[str, Any] = {}
    office: Office = scene.office
    for who in sorted({picture.who for picture in PICTURES} - {""}):
        context = await today.new_context()
        visitor = await Visitor.come(context, office.url)
        await visitor.log_in(who)
        cookies[who] = [one for one in await context.cookies() if one["name"] == "tocsin"]
        await context.close()
    yield cookies


@pytest.mark.xdist_group("pictures")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
async def test_a_picture_is_taken(
    scene: Scene,
    entered: dict[str, Any],
    today: Browser,
    folder: Path,
    picture: Picture,
    language: str,
) -> None:
    size = {"width": picture.width, "height": 600}
    context = await today.new_context(viewport=size, locale=LANGUAGES[language])
    if picture.who:
        await context.add_cookies(entered[picture.who])
    visitor = await Visitor.come(context, scene.office.url)
    page = visitor.page
    await visitor.go(picture.path.format_map(vars(scene)))
    await page.wait_for_load_state("networkidle")
    tall = int(await page.evaluate("document.documentElement.scrollHeight"))
    await page.set_viewport_size({**size, "height": min(max(tall, 600), picture.height)})
    target = folder / language / f"{picture.name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=target, animations="disabled")
    await context.close()
    assert not visitor.faults
    assert target.stat().st_size > 10_000, "an empty page"
