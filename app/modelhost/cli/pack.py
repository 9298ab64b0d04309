"""modelhost pack: a model file and a sample of rows become a bundle."""

import importlib
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from modelhost.bundle.manifest import WRITE
from modelhost.bundle.schema import NAME_PATTERN
from modelhost.cli.command_line import RememberedCommand, command_with
from modelhost.cli.files import FILE, FILE_OR_FOLDER
from modelhost.cli.reports import CommandError, Report, progress, reporting
from modelhost.packing.errors import ConsentError


class Share(click.FloatRange):
    """A number within bounds; NaN, which is within any, is none."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See click."""
        found = super().convert(value, parameter, context)
        return self.fail("nan is not a number", parameter, context) if found != found else found


def _name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Checked first of all: it becomes a directory's."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise click.BadParameter(f"{name!r} is not {WRITE['name']}")
    return name


@click.command(cls=RememberedCommand, short_help="Make a bundle of a model file and a sample.")
@click.argument("model", type=FILE_OR_FOLDER)
@click.option("--name", required=True, callback=_name, help="The model's name: lower-case letters, digits, - and _.")
@click.option(
    "--sample",
    type=FILE_OR_FOLDER,
    help="Rows as the model takes them: .csv, .json, .jsonl, .npy or .npz; or a folder, each file of which is a row. "
    "A folder of MLflow's may bring its own.",
)
@click.option("--version", type=click.IntRange(min=1), help="Default: one more than the highest there is.")
@click.option("--into", default="models", show_default=True, type=click.Path(path_type=Path, file_okay=False),
              help="Where to write NAME/VERSION/.")  # fmt: skip
@click.option("--description", default="", help="One sentence for the people who send it requests.")
@click.option("--labels", default="", metavar="A,B,...", help="Names for the labels 0, 1, 2, ...")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column of the sample that the model does not take.")
@click.option("--header/--no-header", default=None,
              help="A .csv begins with names, or with rows. Without: numbers there are refused.")  # fmt: skip
@click.option("--with", "extra", multiple=True, type=FILE_OR_FOLDER, metavar="PATH",
              help="A file or folder to put beside the model, which it reads or imports.")  # fmt: skip
@click.option("--requirements", type=FILE, metavar="FILE",
              help="A requirements.txt or pyproject.toml, locked for the server's image.")  # fmt: skip
@click.option("--tolerance", default=1e-4, show_default=True, type=Share(0),
              help="How far a number may differ, absolute or relative.")  # fmt: skip
@click.option("--may-differ", default=0.0, show_default=True, type=Share(0, 1),
              help="The share of the sample that ONNX may answer otherwise.")  # fmt: skip
@click.option("--no-convert", is_flag=True, help="Keep the native form, though ONNX may be faster.")
@click.option("--ranges", is_flag=True, help="Refuse requests far outside of what the sample holds.")
@click.option(
    "--allow-pickle", is_flag=True, help="If it must stay native, as a pickle: it can run any code on the server."
)
@click.option("--batching/--no-batching", default=None,
              help="Whether requests that wait share a call of the model. Default: by its own timing.")  # fmt: skip
@click.option("--one-row", is_flag=True, help="It takes one row a call: each row of a request is a call of its own.")
@click.option(
    "--pure", is_flag=True, help="Promise of a Python class: equal inputs, equal outputs, so caches may answer."
)
@click.option(
    "--quick",
    is_flag=True,
    help="Promise of a Python class: no input takes long, so it may compute in the server's loop.",
)
@click.option(
    "--varies", is_flag=True, help="It draws at random: golden examples check names, shapes and datatypes alone."
)
@reporting
def pack(model: Path, no_convert: bool, labels: str, **options: Any) -> Report:
    """Make a bundle of MODEL, a file of ONNX, PyTorch, scikit-learn (joblib, pickle, skops), LightGBM,
    XGBoost, CatBoost, or Python with a class Model; or a model folder of MLflow's.

    The schema, golden examples and statistics come from the model and the sample. Where ONNX
    answers the sample alike, the bundle has the model as ONNX, which is smaller and faster.
    A pickle is opened here, so pack only what you trust.

    \b
    Example:
      modelhost pack churn.joblib --name churn --sample sample.csv
    """
    try:
        importlib.import_module("picklescan")  # not only once a bundle is nearly done
        from modelhost.packing.options import PackOptions
        from modelhost.packing.pack import pack as make
    except ModuleNotFoundError as error:
        raise CommandError(f"{error.name} is not installed: pip install './app[pack]'") from None
    if options["sample"] is None and model.is_file():
        raise click.UsageError("Missing option '--sample': only a folder of MLflow's may bring its own rows.")
    names = tuple(name.strip() for name in labels.split(",")) if labels else ()
    asked = PackOptions(model=model, convert=not no_convert, labels=names, **options)
    with _ended_as_by_ctrl_c():
        try:
            found = make(asked, progress)
        except ConsentError as error:
            raise CommandError(f"{error}: {command_with(error.option)}") from error
    return Report({"ok": True, **found}, _lines(found))


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Have other signals that end a process clean up as well."""
    signals = [found for name in ("SIGTERM", "SIGHUP") if (found := getattr(signal, name, None))]
    if threading.current_thread() is not threading.main_thread():
        signals = []  # Python allows no other to say so
    before = [signal.signal(each, signal.default_int_handler) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def _lines(found: dict[str, Any]) -> str:
    from modelhost.packing.batching import describe
    from modelhost.payload.messages import join_names

    costs = found["costs"]
    lines = [
        f"{found['bundle']}: {found['kind']} of {found['library']}, as {found['format']}",
        *([f"  {found['conversion']['said']}"] if found["conversion"] else []),
        *([f"  probabilities are of {join_names(found['classes'])}, in this order"] if found["classes"] else []),
        *(f"  {note}" for note in found["notes"]),
        f"  loads in {costs['load_ms']:.1f} ms, adds {costs['memory_mb']:.1f} MB"
        f"{_shared(costs['shared_mb'])}, "
        f"a row takes {costs['latency_p50_ms']:.3f} ms (p99 {costs['latency_p99_ms']:.3f} ms)",
        f"  {describe(costs['call_ms'])}{_asked(found['batching'], costs['call_ms'])}",
        _next(found),
    ]
    return "\n".join(lines)


def _next(found: dict[str, Any]) -> str:
    pickled = found["format"] == "pickle"
    here = f"modelhost serve {found['bundle']}{' --allow-pickle' if pickled else ''}"
    names = f"release_models and {found['name']} in release_allow_pickle" if pickled else "release_models"
    return f"Next: {here} (here), or name it in {names} and run: ansible-playbook site.yml"


def _shared(megabytes: float) -> str:
    return f" to each worker and {megabytes:.0f} MB of libraries to all of them" if megabytes >= 1 else ""


def _asked(shared: dict[str, Any] | None, timings: dict[int, float]) -> str:
    """What model.yaml says of batching, after what the timing says."""
    from modelhost.packing.batching import pays

    if shared and not pays(timings):
        return f"; but --batching was given: up to {shared['max_rows']} rows"
    if shared:
        return f"; a batch changes an answer by at most {shared['difference']:g}"
    return "; but --no-batching was given" if pays(timings) else ""
