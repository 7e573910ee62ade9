"""axe-core on a page: each violation as a line that says what, where and why."""

from functools import cache
from typing import Any

from playwright.async_api import Page

from tests.browser.install import AXE

RUN = """async (rules) => {
  const options = rules ? {runOnly: {type: 'rule', values: rules}} : {};
  const found = await axe.run(document, {resultTypes: ['violations'], ...options});
  return found.violations.map((one) => ({
    rule: one.id,
    nodes: one.nodes.map((node) => ({
      where: node.target.join(' '), why: node.failureSummary, html: node.html.slice(0, 200),
    })),
  }));
}"""


@cache
def source() -> str:
    """axe itself; evaluated in the page, which no policy of the page forbids."""
    return AXE.read_text("utf-8")


async def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds wrong, by all its rules or some."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(source())
    found: list[dict[str, Any]] = await page.evaluate(RUN, list(rules) or None)
    return [
        f"{one['rule']}: {node['where']}: {node['why']}\n    {node['html']}"
        for one in found
        for node in one["nodes"]
    ]
