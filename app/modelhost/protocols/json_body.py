"""A body that has to be JSON, from clients that may have sent CSV by mistake: the error says where CSV is read."""

from typing import Any

from modelhost.models.model import Model
from modelhost.payload.csv_rows import CSV, is_csv
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import parse_json
from modelhost.payload.messages import truncate
from modelhost.payload.request import Request

READS_CSV = "/invocations"  # how the URLs end that read CSV, behind a model's own (mlflow.py)


def read_json(model: Model, body: bytes, request: Request) -> Any:
    """The body parsed. Raises ClientError; of CSV it says the URL and the Content-Type to send it with."""
    try:
        return parse_json(body)
    except ClientError:
        sent_as = request.content_type
        if not is_csv(model.inputs, body, sent_as):
            raise
        version = f"/versions/{model.version}" if "/versions/" in request.path else ""
        message = (
            f"The body is CSV, not JSON: send it to /models/{model.name}{version}{READS_CSV} with Content-Type: {CSV} "
            "and all its lines (as curl's --data-binary @FILE does), or send JSON, as in `example`."
        )
        raise ClientError(message, "Content-Type", truncate(sent_as), CSV) from None
