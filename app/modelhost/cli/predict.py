"""modelhost predict: rows in, predictions out, from a server or straight from a bundle."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from modelhost.cli.files import FILE
from modelhost.cli.http import TooLargeError, ask, is_url, model_url
from modelhost.cli.reports import CommandError, Report, progress, reporting

MOST_ROWS = 256  # in one request
QUICK = 1.0  # seconds: while requests take less, the next one has twice the rows
SECONDS = 2.0  # between two lines of progress

Row = dict[str, Any]
Rows = list[Row]


@click.command(short_help="Predict rows at a server's URL, or with a bundle.")
@click.argument("target", metavar="URL|BUNDLE")
@click.option("--data", metavar="JSON", help="A row as a JSON object, or a list of rows.")
@click.option("--file", metavar="FILE", type=FILE,
              help="Rows from a .csv, .json or .jsonl file.")  # fmt: skip
@reporting
def predict(target: str, data: str | None, file: Path | None) -> Report:
    """Predict rows at URL, or with the model of BUNDLE in this process.

    Without --data or --file, the model's own example is sent. Prints a line of JSON for each
    row, or with --json one list.

    \b
    Examples:
      modelhost predict http://127.0.0.1:8000/models/iris --data '{"sepal_length": 5.1, ...}'
      modelhost predict models/iris/1 --file rows.csv
    """
    if data is not None and file is not None:
        raise click.UsageError("Give --data or --file, not both.")
    given = _parsed(data) if data is not None else _read(file) if file is not None else None
    open_target = _server if is_url(target) else _bundle
    example, answer = open_target(target)
    rows = given if given is not None else [example()]
    answers: Rows = []
    told = time.monotonic()
    for batch in _answered(answer, rows):
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
            raise CommandError(f"{error} (its row 0 is row {start} of all)" if start else str(error)) from None
        if time.monotonic() - begun < QUICK:
            size = min(2 * size, most)
        start += len(batch)
        yield answers


def _server(url: str) -> tuple[Callable[[], Row], Callable[[Rows], Rows]]:
    described, predicted = model_url(url)

    def answer(rows: Rows) -> Rows:
        found: Rows = ask(predicted, rows)["predictions"]
        return found

    return lambda: ask(described)["example"], answer


def _bundle(directory: str) -> tuple[Callable[[], Row], Callable[[Rows], Rows]]:
    import orjson

    from modelhost.bundle.bundle import read_bundle
    from modelhost.models.model import Model
    from modelhost.payload.batches import read_batch
    from modelhost.payload.errors import ClientError, ModelError

    model = Model.load(read_bundle(Path(directory)))

    def answer(rows: Rows) -> Rows:
        try:
            outputs = model.rows(model.predict(read_batch(model.inputs, rows, "rows")))
        except ClientError as error:
            raise CommandError(error.message) from None
        except ModelError as error:
            raise CommandError(f"the model failed: {error}") from None
        found: Rows = orjson.loads(orjson.dumps(outputs, option=orjson.OPT_SERIALIZE_NUMPY))
        return found

    return lambda: model.example, answer


def _parsed(text: str) -> Rows:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            f"not JSON ({error}): write for example '{{\"index\": 2}}'", param_hint="--data"
        ) from None
    return value if isinstance(value, list) else [value]


def _read(file: Path) -> Rows:
    from modelhost.packing.samples import read_records

    return read_records(file)
