"""A carrier that takes lists and sends by itself: texts stand on a list, which a person fetches.

Nothing is connected. A text that this gateway accepts stands on the list that is being drawn, under
a reference of ours; `delivery.list_files` makes the archive of it, encrypted to the certificate
here, and reads the results that the carrier gives back. See docs/list-files.md and decision 0398.
"""

import asyncio
import secrets
from collections.abc import Sequence

from pydantic import BaseModel, Field, field_validator

from service.channels.contract.gateway import DeliveryHandler, Gateway, Submission, SubmitResult
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.coding.parts import Part, uncut
from service.envelope import check_certificate
from service.words.phrase import phrase

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of references: a spreadsheet takes them for no number, and they spell no word."""

REFERENCE_LETTERS = 12


class ListFileConfig(BaseModel):
    """Settings of a carrier that takes lists of numbers and sends them by itself."""

    certificate: str = Field(
        max_length=20_000,
        description=phrase(
            "X.509 certificate of the carrier in PEM, with an RSA key of 2,048 bits or"
            " more: lists are encrypted to it"
        ),
    )
    most_characters: int = Field(
        default=500, ge=70, le=10_000, description=phrase("Longest text that the carrier takes")
    )

    @field_validator("certificate")
    @classmethod
    def _readable(cls, certificate: str) -> str:
        check_certificate(certificate)
        return certificate


class ListFileGateway(Gateway):
    """The list that is being drawn."""

    kind = "list_file"
    about = phrase("Settings of a carrier that takes lists of numbers and sends them by itself.")
    logs_in = False
    config_model = ListFileConfig
    guarded = frozenset({"certificate"})

    def __init__(
        self,
        config: ListFileConfig,
        deliver: DeliveryHandler,  # noqa: ARG002  # results come as a file, which a person gives
        clock: Clock,  # noqa: ARG002
    ) -> None:
        self.lost = asyncio.Event()
        self._config = config

    async def open(self) -> None:
        """There is nobody to connect to."""

    def split(self, text: str) -> tuple[Part, ...]:
        """One part, whatever the length: the carrier cuts the text.

        Raises:
            Invalid: it is longer than the carrier takes.
        """
        return uncut(text, self._config.most_characters)

    def submit(self, batch: Sequence[Submission]) -> list["asyncio.Future[SubmitResult]"]:
        """Put each text on the list, under a reference of its own."""
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in batch]
        for future in futures:
            reference = "".join(secrets.choice(LETTERS) for _ in range(REFERENCE_LETTERS))
            future.set_result(SubmitResult(Outcome.ACCEPTED, refs=(reference.encode(),)))
        return futures

    async def close(self, *, drain_seconds: float) -> None:  # noqa: ARG002  # nothing is open
        """End the drawing."""
        self.lost.set()
