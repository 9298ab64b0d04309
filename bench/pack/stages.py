"""The four steps of a case, each in a process of its own: train, pack, serve. They meet in a directory."""

import json
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .answers import ask_user, judge
from .case import BATCH, ApartError, records

NAME = "case"


def in_process(stage: str, directory: Path, *arguments: Any) -> None:
    """What a child runs: the stage's result, or how it failed, goes to <directory>/<stage>.json."""
    os.setsid()  # its own children end with it
    with (directory / f"{stage}.log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115 - as long as the process
    os.chdir(directory)
    try:
        found = STAGES[stage](directory, *arguments)
    except ApartError as error:
        found = {"apart": str(error)}
    except Exception as error:
        traceback.print_exc()
        found = {"raised": f"{type(error).__name__}: {str(error).strip()[:600]}"}
    (directory / f"{stage}.json").write_text(json.dumps(found, default=str))


def train(directory: Path, module: str, case: str) -> dict[str, Any]:
    """Build the case, write its files, and keep what the user's own calls answer to the fresh rows."""
    warnings.simplefilter("ignore")
    built = import_module(module).build(case)
    model = built.write(directory)
    expected = ask_user(built)
    with (directory / "expected.pickle").open("wb") as file:
        pickle.dump((records(built.rows), expected), file)
    built.rows.to_pickle(directory / "rows.pickle")
    return {"description": built.description, "model": model.name, "options": list(built.options)}


def pack(directory: Path, model: str, options: list[str]) -> dict[str, Any]:
    """The command, in this process: its exit code, what it printed, and what it raised."""
    from click.testing import CliRunner
    from modelhost.cli import main

    command = ["pack", model, "--name", NAME, "--sample", "sample.csv", "--into", "models", "--json", *options]
    ended = CliRunner().invoke(main, command, prog_name="modelhost")
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return {"code": ended.exit_code, "out": ended.stdout, "err": ended.stderr}


def serve(directory: Path) -> dict[str, Any]:
    """The bundle in the application; every fresh row is asked, and compared."""
    from a2wsgi import ASGIMiddleware
    from modelhost.settings import Settings
    from modelhost.web.app import create_app
    from werkzeug.test import Client

    with (directory / "expected.pickle").open("rb") as file:
        rows, expected = pickle.load(file)
    settings = Settings(
        models_dir=directory / "models", default_model=NAME, body_limit_mb=256, timeout_seconds=300, threads=1
    )
    client = Client(ASGIMiddleware(create_app(settings)))

    def post(batch: list[dict[str, Any]]) -> tuple[int, Any]:
        body = json.dumps(batch, allow_nan=False)
        answer = client.post(f"/models/{NAME}/predict", data=body, content_type="application/json")
        return answer.status_code, answer.get_json(silent=True) or answer.get_data(as_text=True)

    return asdict(judge(post, rows, expected, BATCH))


def alone(directory: Path, module: str, case: str) -> dict[str, Any]:
    """A case of a set that packs and asks by itself: its result."""
    found: dict[str, Any] = import_module(module).run(case, directory)
    return found


STAGES: dict[str, Callable[..., dict[str, Any]]] = {"train": train, "pack": pack, "serve": serve, "alone": alone}
