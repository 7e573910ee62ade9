"""A form that somebody leaves to make what it is to choose: taken along in the address of the page
on which that is made, and brought back with it.

It is sealed for one person. It lies in the address alone, so that two windows have two forms, and
each page may be loaded again.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from multidict import MultiDict, MultiDictProxy

from service.console.asking import KEY, Desk
from service.console.session import CSRF
from service.crypto import Undecipherable
from service.errors import Invalid
from service.words.phrase import phrase

CARRIED = "carried"
"""The part of an address with the form."""
FIELD = f"_{CARRIED}"
"""The field of a form in which another form is taken along."""
ACT = "act"
LONGEST = 6_000
"""Characters of a sealed form; the server takes an address of 8,190."""
_KIND = "carried_form"


@dataclass(frozen=True, slots=True)
class CarriedForm:
    """A form that is taken along. path: of its page. sealed: as it lies in an address."""

    path: str
    form: MultiDictProxy[str]
    sealed: str

    def back(self, chosen: Mapping[str, str]) -> str:
        """The address of its page, with what was made chosen in it."""
        return f"{self.path}?{urlencode({CARRIED: self.sealed, **chosen})}"


def carry(desk: Desk) -> str:
    """The form that was sent, sealed.

    Raises:
        Invalid: it is too long for an address.
    """
    own = {CSRF, KEY, ACT}
    fields = [(name, value) for name, value in desk.form.items() if name not in own and value]
    told = json.dumps([str(desk.user.id), desk.request.path, fields], ensure_ascii=False)
    cipher = desk.runtime.keyring.encrypt_bytes(_KIND, zlib.compress(told.encode(), 9))
    sealed = base64.urlsafe_b64encode(cipher).decode()
    if len(sealed) > LONGEST:
        raise Invalid(phrase("this form is too long to be taken along: save the draft first"))
    return sealed


def carried(desk: Desk) -> CarriedForm | None:
    """The form that the address, or the form that was sent, takes along; None: none of theirs."""
    sealed = desk.request.query.get(CARRIED, "") or desk.form.get(FIELD, "")
    if not sealed:
        return None
    try:
        cipher = base64.urlsafe_b64decode(sealed)
        told = desk.runtime.keyring.decrypt_bytes(_KIND, cipher)
    except (Undecipherable, binascii.Error, ValueError):
        return None
    user_id, path, fields = json.loads(zlib.decompress(told))
    if user_id != str(desk.user.id):
        return None
    form = MultiDict((str(name), str(value)) for name, value in fields)
    return CarriedForm(path, MultiDictProxy(form), sealed)
