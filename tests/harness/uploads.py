"""A file of people as a browser uploads it."""

from aiohttp import FormData

FILE = "手机号,姓名,身份\n19790000001,王小明,财务人员\n=1+2,李四,财务人员\n".encode()


def only(content: bytes) -> FormData:
    """The form of an upload with a file and nothing beside it."""
    form = FormData(quote_fields=False)
    form.add_field("file", content, filename="结果.csv", content_type="text/csv")
    return form


def upload(content: bytes = FILE, **fields: str) -> FormData:
    """The form of an upload; fields: those beside the file."""
    form = FormData(quote_fields=False)  # names in UTF-8, as browsers send them
    form.add_field("file", content, filename="名单.csv", content_type="text/csv")
    for name, value in {"roster": "财务人员", **fields}.items():
        form.add_field(name, value)
    return form
