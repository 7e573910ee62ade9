"""Somebody without a mouse: everything is reached by Tab and done by keys.

A thing that Tab does not reach fails the test, as a thing that is not on the page does.
"""

from pathlib import Path

from playwright.async_api import Locator, expect

from tests.browser.visitor import OLD, Visitor

MOST_TABS = 400
"""More than the things of any page that can be focused."""

HAS_FOCUS = "(it) => it === document.activeElement"
FOCUS_NEAR = """(it) => it === document.activeElement ||
  (it.type === 'radio' && document.activeElement.type === 'radio' &&
   it.name === document.activeElement.name && it.form === document.activeElement.form)"""
"""Tab reaches one radio button of a group; arrows reach the others."""

PAST_A_FULL_FIELD = """() => {
  const ways = 'a[href], button, input, select, textarea, summary, [tabindex]';
  const box = document.querySelector('dialog[open]') || document;
  const here = document.activeElement;
  const skipped = (one) => one.type === 'radio' && !one.checked &&
    box.querySelector(`[type=radio][name="${CSS.escape(one.name)}"]:checked`);
  const all = [...box.querySelectorAll(ways)].filter((one) => one.tabIndex >= 0 && !one.disabled
    && one.type !== 'hidden' && one.getClientRects().length && !skipped(one));
  const after = (one) =>
    here.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING;
  const next = all.find(after);
  const full = next && next.value && ['INPUT', 'TEXTAREA'].includes(next.tagName)
    && !['checkbox', 'radio', 'file', 'submit', 'button'].includes(next.type);
  if (full) next.focus();
  return Boolean(full);
}"""
"""Headless Chromium 90 dies when a key selects words, as Tab into a field that has some does: it
writes them to a clipboard that it has not. Such a field is given the focus by script there.
"""

FOCUS_SHOWS = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== 'none';
}"""


class KeyboardVisitor(Visitor):
    """Presses keys alone; an act on a thing counts as one press, however many Tabs lead there."""

    hands = "keys"

    @property
    def _old(self) -> bool:
        return self.chromium == OLD

    async def reach(self, thing: Locator) -> None:
        """Tab until the thing has the focus, which must be seen."""
        for _ in range(MOST_TABS):
            if await thing.evaluate(FOCUS_NEAR):
                assert await self.page.evaluate(FOCUS_SHOWS), f"{thing}: its focus is not seen"
                return
            if not (self._old and await self.page.evaluate(PAST_A_FULL_FIELD)):
                await self.page.keyboard.press("Tab")
        raise AssertionError(f"{self.page.url}: Tab does not reach {thing}")

    async def press(self, thing: Locator) -> None:
        """Press it: Enter for links and buttons, Space for ticks."""
        self.clicks += 1
        if self._old:  # it writes down as an error what was not answered before a page is left
            await self.page.wait_for_load_state()
            await expect(self.page.locator(".htmx-request")).to_have_count(0)
        await self.reach(thing)
        kind = await thing.evaluate("(it) => it.type || it.tagName.toLowerCase()")
        if kind == "radio":
            await self._turn_to(thing)
        else:
            await self.page.keyboard.press("Space" if kind == "checkbox" else "Enter")

    async def _turn_to(self, radio: Locator) -> None:
        if await radio.evaluate(HAS_FOCUS):
            await self.page.keyboard.press("Space")
        for _ in range(MOST_TABS):
            if await radio.is_checked():
                return
            await self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"arrows do not reach {radio}")

    async def choose(self, field: Locator, option: str) -> None:
        """Choose from a list with arrows."""
        self.clicks += 1
        await self.reach(field)
        options = await field.evaluate("(it) => [...it.options].map((one) => one.label)")
        await self.page.keyboard.press("Home")
        for _ in range(options.index(option)):
            await self.page.keyboard.press("ArrowDown")
        chosen = await field.evaluate("(it) => it.options[it.selectedIndex].label")
        assert chosen == option, f"the list stands at {chosen}"

    async def type(self, field: Locator, text: str) -> None:
        """Type into a field, in place of what it has."""
        await self.reach(field)
        kind = await field.get_attribute("type")
        if kind in ("date", "time", "datetime-local") or self._old:
            await field.fill(text)  # parts of a date come in the order of the machine's language
            return
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.press("Delete")
        await self.page.keyboard.insert_text(text)

    async def attach(self, field: Locator, file: Path) -> None:
        """Reach the field; the window in which a file is chosen is the system's."""
        await self.reach(field)
        await super().attach(field, file)
