"""The reference page, `/api/docs`: three files of our own that draw openapi.json, and no CDN."""

from importlib.resources import files

from aiohttp import web

PATH = "/api/docs"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_TYPES = {"page.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}
_TEXTS = {name: (files(__name__) / name).read_text("utf-8") for name in _TYPES}


def add_routes(router: web.UrlDispatcher) -> None:
    """Serve the page, to everybody."""
    router.add_get(PATH, _page)
    router.add_get(PATH + r"/{name:page\.(?:js|css)}", _page)


async def _page(request: web.Request) -> web.Response:
    name = request.match_info.get("name", "page.html")
    return web.Response(
        text=_TEXTS[name], content_type=_TYPES[name], charset="utf-8", headers=HEADERS
    )
