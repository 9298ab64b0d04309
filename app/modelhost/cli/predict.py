"""modelhost predict: rows in, predictions out, from a server or straight from a bundle."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from modelhost.cli.http import ask, is_url, model_url
from modelhost.cli.reports import CommandError, Report, reporting

Row = dict[str, Any]


@click.command(short_help="Predict rows at a server's URL, or with a bundle.")
@click.argument("target", metavar="URL|BUNDLE")
@click.option("--data", metavar="JSON", help="A row as a JSON object, or a list of rows.")
@click.option("--file", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
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
    answers = [answer(row) for row in (given if given is not None else [example()])]
    return Report(answers, "\n".join(json.dumps(row, ensure_ascii=False) for row in answers))


def _server(url: str) -> tuple[Callable[[], Row], Callable[[Row], Row]]:
    described, predicted = model_url(url)
    return lambda: ask(described)["example"], lambda row: ask(predicted, row)["prediction"]


def _bundle(directory: str) -> tuple[Callable[[], Row], Callable[[Row], Row]]:
    import orjson

    from modelhost.bundle import read_bundle
    from modelhost.errors import ClientError, ModelError
    from modelhost.model import Model
    from modelhost.records import read_record

    model = Model.load(read_bundle(Path(directory)))

    def answer(row: Row) -> Row:
        try:
            outputs = model.rows(model.predict(read_record(model.inputs, row)))
        except ClientError as error:
            raise CommandError(error.message) from None
        except ModelError as error:
            raise CommandError(f"the model failed: {error}") from None
        found: list[Row] = orjson.loads(orjson.dumps(outputs, option=orjson.OPT_SERIALIZE_NUMPY))
        return found[0]

    return lambda: model.example, answer


def _parsed(text: str) -> list[Row]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            f"not JSON ({error}): write for example '{{\"index\": 2}}'", param_hint="--data"
        ) from None
    return value if isinstance(value, list) else [value]


def _read(file: Path) -> list[Row]:
    from modelhost.packing.samples import read_records

    return read_records(file)
