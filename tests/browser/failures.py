"""What a failed test leaves: which pages were open, what their consoles said, and their pictures.

The pictures lie in `build/browser/`, which git ignores; a new run empties it.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Error

from tests.browser.visitor import Visitor

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "browser"
PICTURE_MS = 20_000
"""How long a page that may hang is waited for."""


def forget() -> None:
    """Delete what an earlier run has left."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def file_name(test: str) -> str:
    """A test's id as the name of a file."""
    return re.sub(r"[^\w.-]+", "_", test.removeprefix("tests/browser/")).strip("_")


async def told(visitors: Sequence[Visitor], test: str) -> str:
    """The open pages of a test as they stand: address, console, and where the picture is."""
    lines = []
    for number, visitor in enumerate(visitors, 1):
        lines.append(f"page {number}: {visitor.page.url}")
        lines.append(f"  {await _picture(visitor, FOLDER / f'{file_name(test)}.{number}.png')}")
        lines += [f"  console: {line}" for line in visitor.log or ["nothing"]]
    return "\n".join(lines)


async def _picture(visitor: Visitor, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        await visitor.page.screenshot(path=path, full_page=True, timeout=PICTURE_MS)
    except Error as error:
        return f"no picture: {error.message.splitlines()[0]}"
    return f"picture: {path.relative_to(ROOT)}"
