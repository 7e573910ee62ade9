"""A gateway that sends each text as one HTTP request: what Twilio and all the others share.

There is no link that could be lost, only a provider that can or cannot be reached. So a gateway
that finds it unreachable, or its credentials revoked, retires: it lets open requests end, gives
back the rest as never sent, and sets `lost`; opening anew then finds out, with the caller's
patience, when the provider is back.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, TypeVar

from service.channels.contract import address_check
from service.channels.contract.gateway import (
    CallbackConfig,
    CallbackGateway,
    Submission,
    SubmitResult,
    Unreachable,
)
from service.channels.contract.outcome import Outcome
from service.coding.parts import Part, decode, uncut
from service.logs import seldom
from service.protocols.http.client import HTTPClient, NotSent, Unanswered
from service.words.phrase import phrase

log = logging.getLogger(__name__)

ConfigT = TypeVar("ConfigT", bound=CallbackConfig)
Pending = asyncio.Future[SubmitResult]


class RequestGateway(CallbackGateway[ConfigT]):
    """One pool of connections to a provider; a kind says how to sign in and what to send."""

    guarded: ClassVar = frozenset(
        {"url", "api_url", "public_url", "method", "content", "body", "headers", "secret"}
        | {"account_sid", "auth_token", "callback_secret", "signature_header", "signed"}
        | {"signature_algorithm", "signature_encoding", "signature_prefix", "timestamp_header"}
    )
    """As the kinds call them: the address and the account there, and how callbacks are signed."""

    def __init__(self, *, timeout_seconds: float, most_characters: int) -> None:
        self.lost = asyncio.Event()
        self._timeout_seconds = timeout_seconds
        self._most_characters = most_characters
        self._client: HTTPClient | None = None
        self._flying: set[asyncio.Task[SubmitResult]] = set()
        self._held: list[Pending] = []
        self._retired = False
        self._why = ""
        self._opened_at = self._heard_at = 0.0

    @property
    def ended(self) -> str:
        """Why the gateway retired."""
        return self._why

    @property
    def heard_seconds(self) -> float:
        """From the opening to the last answer that could be read."""
        return max(0.0, self._heard_at - self._opened_at)

    @property
    def client(self) -> HTTPClient:
        """The pool of connections; there is one from the beginning of `open` on."""
        if self._client is None:
            raise RuntimeError("the gateway is not open")
        return self._client

    @abstractmethod
    async def sign_in(self) -> None:
        """Find out whether the provider is there and takes our credentials.

        Raises:
            NotSent, Unanswered: it is not there.
            GatewayError: it is, but will not have us.
        """

    @abstractmethod
    async def exchange(self, submission: Submission) -> SubmitResult:
        """Send one text and read the answer.

        Raises:
            NotSent: it never left. Unanswered: nobody knows.
        """

    async def open(self) -> None:
        """Make sure that the provider is there and takes our credentials.

        Raises:
            GatewayError: it cannot be reached, or refuses.
        """
        self._client = HTTPClient(self._timeout_seconds, await address_check.current().closed())
        try:
            await self.sign_in()
        except (NotSent, Unanswered) as error:
            await self._shut()
            raise Unreachable(
                phrase(
                    "the provider cannot be reached: {error}; check its address and the firewall",
                    error=error,
                )
            ) from error
        except BaseException:
            await self._shut()
            raise
        self._opened_at = asyncio.get_running_loop().time()

    def split(self, text: str) -> tuple[Part, ...]:
        """One part, whatever the length: the provider cuts the text, and reports on it as a whole.

        Raises:
            Invalid: it is longer than the provider takes.
        """
        return uncut(text, self._most_characters)

    def submit(self, batch: Sequence[Submission]) -> list[Pending]:
        """Begin a request for each submission and return a future for each answer."""
        return [self._begin(submission) for submission in batch]

    async def close(self, *, drain_seconds: float) -> None:
        """Wait for open answers, give up the rest, and close the connections."""
        self._retired = True
        if self._flying and drain_seconds > 0:
            await asyncio.wait(self._flying, timeout=drain_seconds)
        if self._flying:
            self.client.interrupt()
            for task in self._flying:
                task.cancel()
            await asyncio.wait(self._flying)
        await self._shut()

    def retire(self, why: str) -> None:
        """Begin no more requests; once the open ones have ended, the gateway is lost."""
        self._retired, self._why = True, why
        if not self._flying:
            self._lose()

    def _begin(self, submission: Submission) -> Pending:
        pending: Pending = asyncio.get_running_loop().create_future()
        if self._client is None or self.lost.is_set():
            pending.set_result(SubmitResult(Outcome.NOT_SENT))
        elif self._retired:
            self._held.append(pending)  # answered at once, the caller would try again at once
        else:
            task = asyncio.create_task(self.exchange(submission))
            self._flying.add(task)
            task.add_done_callback(partial(self._ended, pending))
        return pending

    def _ended(self, pending: Pending, task: asyncio.Task[SubmitResult]) -> None:
        self._flying.discard(task)
        result = self._result(task)
        if not pending.done():
            pending.set_result(result)
        if self._retired and not self._flying:
            self._lose()

    def _result(self, task: asyncio.Task[SubmitResult]) -> SubmitResult:
        if task.cancelled():  # before its request began: later, it ends as one of ours
            return SubmitResult(Outcome.NOT_SENT)
        error = task.exception()
        if error is None:
            self._heard_at = asyncio.get_running_loop().time()
            return task.result()
        if isinstance(error, NotSent):
            seldom(log, logging.WARNING, "a request had no connection", why=str(error))
            self._retired, self._why = True, f"the provider cannot be reached: {error}"
            return SubmitResult(Outcome.NOT_SENT)
        if isinstance(error, Unanswered):
            seldom(log, logging.WARNING, "a request has no answer", why=str(error))
        else:
            log.error("a request failed unexpectedly", exc_info=error)
        return SubmitResult(Outcome.UNANSWERED)

    def _lose(self) -> None:
        held, self._held = self._held, []
        for pending in held:
            if not pending.done():
                pending.set_result(SubmitResult(Outcome.NOT_SENT))
        self.lost.set()

    async def _shut(self) -> None:
        self._lose()
        if self._client is not None:
            await self._client.close()


def text_of(part: Part) -> str:
    """The text of a part that `split` made."""
    return decode(part.body, part.coding)
