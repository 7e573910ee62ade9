"""Documents as answers: files that are made whole before any of them is sent."""

from collections.abc import AsyncIterator

from service.api.http.call import Call, Download
from service.documents.document import MEDIA_TYPES, Document, DocumentFormat
from service.documents.making import make


async def downloaded(call: Call, document: Document, form: DocumentFormat, name: str) -> Download:
    """A document as an answer. name: of the file, in ASCII, without its ending.

    Raises:
        Invalid, CountyFileBad: it cannot be made in this form.
    """
    octets = await make(document, form, call.runtime.settings.document_folder)
    return Download(MEDIA_TYPES[form], f"{name}.{form}", _whole(octets))


async def _whole(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
