"""Documents as answers: files that are made whole before any of them is sent."""

from collections.abc import AsyncIterator
from typing import Literal

from service.api.http.call import Call, Download
from service.documents.document import MEDIA_TYPES, Column, Document, DocumentFormat
from service.documents.making import make
from service.words.phrase import Phrase, translated

DocumentLanguage = Literal["zh", "en"]


class DocumentWords:
    """Sentences and heads of tables in the language of a document."""

    def __init__(self, language: str) -> None:
        self.language = language

    def say(self, text: object) -> str:
        """A text in the language."""
        return translated(text, self.language)

    def columns(self, *labels: tuple[Phrase, int | None]) -> list[Column]:
        """Columns of a table: what each is called, and the decimals of its numbers."""
        return [Column(self.say(label), decimals) for label, decimals in labels]


async def downloaded(call: Call, document: Document, form: DocumentFormat, name: str) -> Download:
    """A document as an answer. name: of the file, in ASCII, without its ending.

    Raises:
        Invalid, CountyFileBad: it cannot be made in this form.
    """
    octets = await make(document, form, call.runtime.settings.document_folder)
    return Download(MEDIA_TYPES[form], f"{name}.{form}", _whole(octets))


async def _whole(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
