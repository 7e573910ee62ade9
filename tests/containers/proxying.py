"""The profile `proxy`: what comes over TLS, whom the API believes, and who is refused."""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientError, ClientResponse, ClientSession, CookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from twilio.request_validator import RequestValidator

from tests.containers.town import Town
from tests.harness.certificates import make
from tests.harness.waiting import until

HOST = "sms.example.gov.cn"
FORGED = "203.0.113.9"


class _Here(AbstractResolver):
    """Every name is this machine, as a name server of the county would say of the proxy's."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: Any = 0,  # noqa: ARG002  # the name is the library's
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)
        ]

    async def close(self) -> None:
        return None


class Outside:
    """Somebody who reaches the county by its name, over TLS."""

    def __init__(self, town: Town, authority: str) -> None:
        self.town = town
        self.url = f"https://{HOST}:{town.tls_port}"
        self._context = ssl.create_default_context(cadata=authority)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ClientSession]:
        """A browser of its own."""
        connector = TCPConnector(resolver=_Here(), ssl=self._context)
        async with ClientSession(connector=connector, cookie_jar=CookieJar()) as session:
            yield session

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer."""
        async with (
            self.session() as session,
            session.request(method, self.url + path, allow_redirects=False, **more) as answer,
        ):
            return await _read(answer)

    async def first_line(self, request: str) -> str:
        """The first line of the answer to a request that goes no further than its head."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.town.tls_port, ssl=self._context, server_hostname=HOST
        )
        try:
            writer.write(f"{request}\r\nHost: {HOST}\r\n\r\n".encode())
            return (await asyncio.wait_for(reader.readline(), 30)).decode()
        finally:
            writer.close()


async def _read(answer: ClientResponse) -> tuple[int, dict[str, str], str]:
    return answer.status, dict(answer.headers), await answer.text()


async def start(town: Town) -> Outside:
    """A certificate where the document says, and the profile."""
    made = make(town.folder, HOST)
    certificate, key = made.server.read_text().split("-----BEGIN PRIVATE KEY-----")
    secrets = town.folder / "deploy/secrets"
    (secrets / "tls_certificate").write_text(certificate)
    (secrets / "tls_key").write_text(f"-----BEGIN PRIVATE KEY-----{key}")
    await asyncio.to_thread(town.compose, "--profile", "proxy", "up", "--detach", "proxy")
    outside = Outside(town, made.authority)
    await until(lambda: town.compose.healthy("proxy"), 60, "the proxy is healthy", every=0.25)
    return outside


async def check_tls(outside: Outside) -> str:
    """TLS 1.2 and later, HSTS; whoever comes without TLS is sent on; a large body is refused."""
    status, headers, _ = await outside.ask("GET", "/readyz")
    assert status == 200, status
    assert "max-age=31536000" in headers.get("Strict-Transport-Security", ""), headers
    assert "nginx/" not in headers.get("Server", ""), headers["Server"]
    async with ClientSession() as session:
        url = f"http://127.0.0.1:{outside.town.plain_port}/login"
        async with session.get(url, headers={"Host": HOST}, allow_redirects=False) as answer:
            assert answer.status == 308, answer.status
            assert answer.headers["Location"] == f"https://{HOST}/login"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", outside.town.tls_port, ssl=old)
    except (ssl.SSLError, OSError):
        pass
    else:
        writer.close()
        raise AssertionError("TLS 1.1 is taken")
    told = await outside.first_line(f"POST /api/v1/imports HTTP/1.1\r\nContent-Length: {200 << 20}")
    assert " 413 " in told, f"200 MiB: {told}"
    return "HSTS, TLS 1.2 at least, http is sent to https, 200 MiB refused (413)"


class _Hidden(HTMLParser):
    """The hidden fields of a page's forms."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "input" and given.get("type") == "hidden":
            self.fields[given["name"]] = given.get("value", "")


async def check_console(outside: Outside) -> str:
    """Somebody logs in on the console's page; the same is refused past the proxy."""
    town = outside.town
    given = await asyncio.to_thread(
        town.compose,
        "exec",
        "-T",
        "api",
        "sh",
        "/usr/local/lib/tocsin/entrypoint.sh",
        "tocsin",
        "password",
        "operator",
    )
    who = {"login": "operator", "password": given.strip()}
    past = {"X-Forwarded-Proto": "https", "Host": HOST, "Origin": f"https://{HOST}"}
    async with ClientSession() as session:
        url = f"{town.url}/login"
        async with session.post(url, data=who, headers=past, allow_redirects=False) as answer:
            assert "__Host-tocsin" not in answer.cookies, "a header of a stranger opens a session"
            assert answer.status != 303, "a header of a stranger counts as TLS"
    async with outside.session() as session:
        async with session.get(f"{outside.url}/login") as answer:
            page = _Hidden()
            page.feed(await answer.text())
        sent = page.fields | who
        headers = {"Origin": outside.url}
        async with session.post(
            f"{outside.url}/login", data=sent, headers=headers, allow_redirects=False
        ) as answer:
            assert answer.status == 303, f"{answer.status}: {(await answer.text())[:500]}"
            cookie = answer.cookies["__Host-tocsin"]
            assert cookie["secure"], "the session's cookie is not for TLS alone"
        async with session.get(f"{outside.url}/") as answer:
            assert answer.status == 200, answer.status
            assert answer.url.path != "/login", "the session does not hold"
    return "a session over TLS; the published port refuses a forged X-Forwarded-Proto"


async def check_addresses(outside: Outside) -> str:
    """The API sees who asks, not what they wrote into X-Forwarded-For, nor the proxy."""
    town = outside.town
    async with town.client("admin") as admin, town.client("second_admin") as second:
        users = (await admin.get("/users?limit=100"))["items"]
        operator = next(user["id"] for user in users if user["login"] == "operator")
        key = await admin.post(
            "/keys", {"user_id": operator, "name": "from afar", "networks": [f"{FORGED}/32"]}
        )
        await second.post(f"/keys/{key['id']}/activate", {})
    headers = {"Authorization": f"Bearer {key['token']}", "X-Forwarded-For": FORGED}
    status, _, text = await outside.ask("GET", "/api/v1/me", headers=headers)
    assert "address_not_allowed" in text, f"{status}: {text[:300]}"
    return "a forged X-Forwarded-For counts for nothing"


async def _channel(town: Town, kind: str, config: dict[str, Any]) -> None:
    """A simulated channel that takes callbacks at its public address, and sends nothing."""
    async with town.client("admin") as admin:
        await admin.post(
            "/channels",
            {
                "name": kind,
                "kind": kind,
                "simulated": True,
                "enabled": False,
                "carriers": ["china_mobile"],
                "config": config,
                "rank": 9,
            },
        )


def _public(kind: str) -> str:
    """Where a provider calls: the county's address, not the API's own."""
    return f"https://{HOST}/api/v1/callbacks/{kind}"


async def _called(outside: Outside, kind: str, body: bytes, headers: dict[str, str]) -> int:
    status, _, text = await outside.ask(
        "POST", f"/api/v1/callbacks/{kind}", data=body, headers=headers
    )
    assert status in {200, 403}, f"{kind}: {status} {text[:300]}"
    return status


async def check_callbacks(outside: Outside) -> str:
    """Twilio's and an HTTP gateway's signatures hold, which are over the public address."""
    town = outside.town
    told = [await _twilio(outside, town), await _http(outside, town)]
    return ", ".join(told)


async def _twilio(outside: Outside, town: Town) -> str:
    token = "a token of nobody"
    account = f"AC{0:032x}"
    config = {"account_sid": account, "auth_token": token, "sender": "+8610690001234"}
    config |= {"api_url": "https://api.example.com", "public_url": _public("twilio")}
    await _channel(town, "twilio", config)
    fields = {"MessageSid": f"SM{1:032x}", "MessageStatus": "delivered", "To": "+8619790000001"}
    body = urlencode(fields).encode()
    signed = RequestValidator(token).compute_signature(_public("twilio"), fields)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    good = form | {"X-Twilio-Signature": signed}
    assert await _called(outside, "twilio", body, good) == 200, "Twilio's signature is refused"
    other = RequestValidator(token).compute_signature("http://api:8080/callback", fields)
    wrong = form | {"X-Twilio-Signature": other}
    assert await _called(outside, "twilio", body, wrong) == 403, "of another address, yet taken"
    return "Twilio's signature over the public address is taken, one over another refused"


async def _http(outside: Outside, town: Town) -> str:
    secret = "a secret of nobody"
    config = {
        "url": "https://provider.example.com/messages",
        "sender": "106900001234",
        "headers": "Authorization: Bearer simulated",
        "answer_id": "id",
        "body": '{"to": "{recipient}", "text": "{text}"}',
        "callback_id": "id",
        "callback_recipient": "to",
        "callback_status": "status",
        "callback_states": {"delivered": "delivered"},
        "callback_secret": secret,
        "signed": "{url} {timestamp} {body}",
        "timestamp_header": "X-Timestamp",
        "public_url": _public("http"),
    }
    await _channel(town, "http", config)
    receipt = {"type": "receipt", "id": "1", "to": "8619790000001", "status": "delivered"}
    body = json.dumps(receipt).encode()
    for address, wanted in ((_public("http"), 200), ("http://api:8080/callback", 403)):
        at = str(int(town.clock.now().timestamp()))
        over = f"{address} {at} ".encode() + body
        signature = hmac.new(secret.encode(), over, hashlib.sha256).hexdigest()
        headers = {"X-Signature": signature, "X-Timestamp": at, "Content-Type": "application/json"}
        status = await _called(outside, "http", body, headers)
        assert status == wanted, f"signed over {address}: {status}"
    return "the HTTP gateway's alike"


async def check_moved(outside: Outside) -> str:
    """The API's container is made anew, perhaps at another address, and the proxy finds it."""
    town = outside.town
    before = town.compose.address("api", "front")
    await asyncio.to_thread(town.compose, "up", "--detach", "--no-deps", "--force-recreate", "api")

    async def answers() -> bool:
        try:
            return (await outside.ask("GET", "/readyz"))[0] == 200
        except (ClientError, OSError):
            return False

    await until(answers, 60, "the proxy finds the API again", every=0.25)
    return f"from {before} to {town.compose.address('api', 'front')}"
