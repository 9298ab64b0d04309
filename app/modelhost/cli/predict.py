"""modelhost predict: rows in, predictions out, from a server or straight from a bundle."""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from modelhost.cli.bundles import latest_bundle
from modelhost.cli.command_line import RememberedCommand
from modelhost.cli.files import FILE_OR_FOLDER
from modelhost.cli.http import RemoteModel, TooLargeError, is_url
from modelhost.cli.pickles import refuse_pickles, takes_pickles
from modelhost.cli.reports import CommandError, Report, progress, reporting
from modelhost.cli.rows import Rows, parse_rows, read_rows, without_nan
from modelhost.cli.server_access import Access, reaches_servers

MOST_ROWS = 256  # in one request
QUICK = 1.0  # seconds: while requests take less, the next one has twice the rows
SECONDS = 2.0  # between two lines of progress


@click.command(cls=RememberedCommand, short_help="Predict rows at a server's URL, or with a bundle.")
@click.argument("target", metavar="URL|BUNDLE")
@click.option("--data", metavar="JSON", help="A row as a JSON object, or a list of rows.")
@click.option("--file", metavar="FILE", type=FILE_OR_FOLDER,
              help="Rows from a .csv, .json or .jsonl file; or, for a model that takes bytes, the one row, such as an "
                   "image, or a folder of such files.")  # fmt: skip
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column of the file that the model does not take.")
@takes_pickles
@reporting
@reaches_servers
def predict(
    target: str, data: str | None, file: Path | None, drop: tuple[str, ...], allow_pickle: bool, access: Access
) -> Report:
    """Predict rows at URL, or with the model of BUNDLE in this process.

    BUNDLE is a bundle's directory, or a model's, of whose versions the latest is taken.

    Without --data or --file, the model's own example is sent. Prints a line of JSON for each
    row, or with --json one list.

    \b
    Examples:
      modelhost predict http://127.0.0.1:8000/models/iris --data '{"sepal_length": 5.1, ...}'
      modelhost predict models/iris/1 --file rows.csv
      modelhost predict models/shape/1 --file circle.png
      modelhost predict https://203.0.113.10/models/iris --ca modelhost.pem --key-file alice.key
    """
    if data is not None and file is not None:
        raise click.UsageError("Give --data or --file, not both.")
    if drop and file is None:
        raise click.UsageError("--drop leaves out columns of a file: give it with --file.")
    if not is_url(target) and access.given_by_options:
        raise click.UsageError("--ca and --key-file are for a server: give its URL, such as https://203.0.113.10/.")
    given = parse_rows(data) if data is not None else None
    model: Any = RemoteModel(target, access) if is_url(target) else _BundleModel(target, allow_pickle)
    if file is not None:
        given = read_rows(file, model, drop)
    rows = [without_nan(row) for row in given] if given is not None else [model.example()]
    answers: Rows = []
    told = time.monotonic()
    for batch in _answered(model.predict, rows):
        answers += batch
        if time.monotonic() - told > SECONDS and len(answers) < len(rows):
            told = time.monotonic()
            progress(f"{len(answers):,} of {len(rows):,} rows are predicted ...")
    return Report(answers, "\n".join(json.dumps(row, ensure_ascii=False) for row in answers))


def _answered(answer: Callable[[Rows], Rows], rows: Rows) -> Iterator[Rows]:
    """The answers to `rows` in batches, of one row at first: a slow model must be done before the server gives up.

    Where a batch is too large for the server, it and all later ones have half as many rows.
    """
    start, size, most = 0, 1, MOST_ROWS
    while start < len(rows):
        batch = rows[start : start + size]
        begun = time.monotonic()
        try:
            answers = answer(batch)
        except CommandError as error:
            if isinstance(error, TooLargeError) and len(batch) > 1:
                size = most = len(batch) // 2
                continue
            # Each request's rows are counted from 0.
            where = f" (its row 0 is row {start} of all)" if start else ""
            raise CommandError(f"{error}{_what_one_row_needs(error)}{where}") from None
        if time.monotonic() - begun < QUICK:
            size = min(2 * size, most)
        start += len(batch)
        yield answers


def _what_one_row_needs(error: CommandError) -> str:
    """Of a single row that is too large for the server, what to set."""
    if not isinstance(error, TooLargeError):
        return ""
    megabytes = math.ceil(error.size / 2**20)
    return (
        f" This one row has {error.size:,} bytes: set release_body_limit_mb, or the server's "
        f"MODELHOST_BODY_LIMIT_MB, to {megabytes} or more."
    )


class _BundleModel:
    """The model of a bundle, in this process."""

    def __init__(self, directory: str, allow_pickle: bool) -> None:
        from modelhost.bundle.bundle import read_bundle
        from modelhost.models.model import Model

        bundle = read_bundle(latest_bundle(Path(directory)))
        refuse_pickles([bundle], allow_pickle)
        self._model = Model.load(bundle)

    def example(self) -> Any:
        """See RemoteModel."""
        return self._model.example

    def inputs(self) -> Any:
        """See RemoteModel."""
        return [msgspec.to_builtins(reader.schema) for reader in self._model.inputs]

    def predict(self, rows: Rows) -> Rows:
        """See RemoteModel."""
        import orjson

        from modelhost.payload.batches import read_batch
        from modelhost.payload.errors import ClientError, ModelError

        model = self._model
        try:
            outputs = model.predict(read_batch(model.inputs, rows, "rows"))
            model.refuse_not_finite(outputs)
        except ClientError as error:
            raise CommandError(error.message) from None
        except ModelError as error:
            raise CommandError(f"the model failed: {error}") from None
        found: Rows = orjson.loads(orjson.dumps(model.rows(outputs), option=orjson.OPT_SERIALIZE_NUMPY))
        return found
