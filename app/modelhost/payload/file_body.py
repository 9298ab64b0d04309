"""A file itself as the body: the one input of a model of bytes, such as an image."""

from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import is_text, media_type
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import describe, truncate

KINDS = ("image/", "audio/", "video/", "font/", "model/")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")  # the first is what curl calls everything
WANTED = "the file itself as the body, with its own Content-Type, such as image/png"


def takes_file(inputs: list[InputReader]) -> bool:
    """Whether a file is all that a model of these inputs takes."""
    return len(inputs) == 1 and inputs[0].schema.content == "bytes" and not inputs[0].schema.shape


def read_file(inputs: list[InputReader], body: bytes, content_type: str) -> Arrays | None:
    """The body as one row of an input of bytes, where its type says that it is a file; else None, and it may be JSON.

    `inputs` are of a model that takes a file. Raises ClientError where there is none in it, or it is in a form.
    """
    mimetype = media_type(content_type)
    if mimetype == "multipart/form-data":
        message = f"A form is not read here: send {WANTED}."
        raise ClientError(message, "Content-Type", truncate(mimetype), WANTED)
    (reader,) = inputs
    if not is_file(mimetype):
        if is_text(body):
            return None
        message = f"The body is no text, but {describe(body)}: send {WANTED}, or JSON, as in `example`."
        raise ClientError(message, reader.name, truncate(body), WANTED)
    if not body:
        raise ClientError(f"The body is empty: send {WANTED}.", reader.name, "0 bytes", WANTED)
    return {reader.name: reader.to_array([body])}


def is_file(mimetype: str) -> bool:
    """Whether a body of this type is a file, rather than JSON under whatever name clients give it."""
    return mimetype.startswith(KINDS) or (
        mimetype.startswith("application/") and mimetype not in FORMS and "json" not in mimetype
    )
