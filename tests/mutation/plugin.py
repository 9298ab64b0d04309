"""For pytest in the copy under test: run the tests that are asked for, in that order, and say how each went.

What to do is in the JSON file that MUTATION_ORDER names: `tests`, a list of [id, seconds until it counts as hanging],
or `record`, a folder. A line of JSON for each test that has ended goes to the file `ended`.
"""

import faulthandler
import json
import os
from pathlib import Path

import pytest

ORDER = json.loads(Path(os.environ["MUTATION_ORDER"]).read_text())
LIMITS = dict(ORDER.get("tests", []))
ENDED = Path(ORDER["ended"])
FOREVER = 120.0
DEVNULL = os.open(os.devnull, os.O_WRONLY)
_seconds: dict[str, float] = {}
_failed: set[str] = set()
_numbers: dict[str, int] = {}
_fixtures: dict[str, list[int]] = {}
_running: list[str] = []


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items) -> None:
    """Leave the tests that are wanted, in the order in which they are."""
    if LIMITS:
        rank = {name: number for number, name in enumerate(LIMITS)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in rank])
        items[:] = sorted((item for item in items if item.nodeid in rank), key=lambda item: rank[item.nodeid])


def pytest_runtest_logstart(nodeid) -> None:
    """Say who runs what is run from now on, and end all if it hangs."""
    with Path(f"{ENDED}.now").open("w") as file:
        file.write(nodeid)
    if "record" in ORDER:
        _running.append(nodeid)
        _now(_number(nodeid))
    faulthandler.dump_traceback_later(LIMITS.get(nodeid, FOREVER), exit=True, file=DEVNULL)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    """What a fixture runs that serves many tests is run for each of them, and not for the first alone."""
    if "record" not in ORDER or fixturedef.scope == "function":
        return (yield)
    _now(_number(_name(fixturedef)))
    try:
        return (yield)
    finally:
        _now(_number(_running[-1]))


def pytest_runtest_setup(item) -> None:
    shared = [one[-1] for one in item._fixtureinfo.name2fixturedefs.values() if one[-1].scope != "function"]
    _fixtures[item.nodeid] = [_number(_name(one)) for one in shared]


def _name(fixturedef) -> str:
    return f"{fixturedef.baseid} {fixturedef.argname}"


def _number(name: str) -> int:
    return _numbers.setdefault(name, len(_numbers) + 1)


def pytest_runtest_logreport(report) -> None:
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0) + report.duration
    if report.failed:
        _failed.add(report.nodeid)


def pytest_runtest_logfinish(nodeid) -> None:
    faulthandler.cancel_dump_traceback_later()
    if "record" in ORDER:
        _now(0)
    line = {
        "test": nodeid,
        "seconds": round(_seconds.get(nodeid, 0), 3),
        "failed": nodeid in _failed,
        "numbers": [_numbers.get(nodeid, 0), *_fixtures.get(nodeid, [])],
    }
    with ENDED.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _now(number: int) -> None:
    with (Path(ORDER["record"]) / "now").open("r+b") as file:
        file.write(number.to_bytes(4, "little"))
