"""Office files are zip archives: written so that the same parts make the same octets."""

import io
import zipfile

OLDEST = (1980, 1, 1, 0, 0, 0)
"""The earliest instant that an archive can hold."""
_LEVEL = 6
_UNIX = 3


def same_octets(archive: bytes) -> bytes:
    """The archive with the same parts in the same order, and no trace of when and where it was
    made.
    """
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as parts,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as out,
    ):
        for part in parts.infolist():
            entry = zipfile.ZipInfo(part.filename, OLDEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = 0o600 << 16
            out.writestr(entry, parts.read(part), compresslevel=_LEVEL)
    return made.getvalue()
