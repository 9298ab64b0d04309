"""Odd options, addresses and data: each command ends in a sentence, and never in a traceback."""

import importlib
import itertools
import json
import pickle
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import MODELS, run
from odd_inputs import SEED, Raises, assert_sentence, command

pytestmark = pytest.mark.usefixtures("unmeasured")

OPTIONS: dict[str, list[list[str]]] = {
    "--name": [["A"], [""], ["a/b"], [".."], ["a" * 65], ["\udcff"], ["ä"], ["a\nb"], ["-"]],
    "--version": [["0"], ["-1"], ["x"], ["1.5"], ["9" * 400], ["2"]],
    "--into": [["rows.csv"], ["rows.csv/x"], ["/proc/nosuch"], ["\udcff"], ["n" * 4000], [""]],
    "--sample": [["nosuch.csv"], [""], ["."]],
    "--labels": [["a,a"], [","], ["a"], ["\udcff,b"]],
    "--drop": [["nosuch"], [""], ["a", "--drop", "b"], ["a", "--drop", "a"]],
    "--with": [["nosuch"], [""], ["model.py"], ["model.yaml"], ["/proc/self/mem"]],
    "--tolerance": [["nan"], ["-1"], ["inf"], ["x"], [""]],
    "--may-differ": [["2"], ["-0.1"], ["nan"], ["x"]],
    "--description": [["\udcff"], ["x" * 100_000], ["a\nb\tc"], [""], ["'\"{}: [] # &*!|>%@`"]],
    "--nosuch": [["x"]],
    "--no-convert": [[], ["--no-convert"]],
    "--pure": [[], ["--pure"]],
    "--quick": [[], ["--quick"]],
    "--ranges": [[], ["--ranges"]],
    "--allow-pickle": [[], ["--allow-pickle"]],
    "--batching": [[], ["--no-batching"]],
}


def some_options() -> Iterator[list[str]]:
    """Each wrong value once, and then some of them together."""
    each = [[option, *values] for option, given in OPTIONS.items() for values in given]
    yield from each
    chosen = random.Random(SEED)
    for _ in range(40):
        yield [part for options in chosen.sample(each, 3) for part in options]


@pytest.mark.parametrize("number", range(len(list(some_options()))))
def test_odd_options(number: int) -> None:
    options = list(some_options())[number]
    Path("model.yaml").write_text("x")
    given = [[option, value] for option, value in (("--name", "m"), ("--sample", "rows.csv")) if option not in options]
    assert_sentence(command("pack", "model.py", *itertools.chain(*given), *options), (0, 1, 2))


DATA = [
    "", " ", "{", "nul", "null", "[]", "[[]]", "{}", "3", '"x"', "NaN", "[null]", '{"index": null}',
    '{"index": NaN}', '{"index": 1e999}',
    '{"index": "\\ud800"}', '{"\\ud800": 1}', '{"index": []}', '{"index": {}}', '{"index": true}',
    '{"index": 1.5}', '{"index": -1}',
    '{"index": 99}', '{"index": 1' + "0" * 400 + "}", '{"index": 1' + "0" * 5000 + "}", "[" * 100_000,
    '{"index": 1, "x": 2}',
    '[{"index": 1}, {"index": "a"}]', '[{"index": 1}, 2]', '{"index": "' + "x" * 100_000 + '"}', "\udcff",
    "{'index': 1}",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(DATA)))
def test_odd_data(number: int) -> None:
    assert_sentence(command("predict", MODELS / "colours/1", "--data", DATA[number]), (0, 1, 2))


URLS = [
    "http://", "https://", "http:///x", "http://[", "http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://127.0.0.1:1",
    "http://a b", "http://\udcff", "http://127.0.0.1:1/\n", "http://" + "a" * 300, "http://.", "http://\u2028", "http://user@:1",
    "http://xn--", "http://127.0.0.1:1/?#", "http://%",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(URLS)))
@pytest.mark.parametrize("what", ["predict", "list"])
def test_an_odd_address(what: str, number: int) -> None:
    assert_sentence(command(what, URLS[number]))


BINDS = [
    "",
    "x",
    ":",
    "127.0.0.1",
    "127.0.0.1:x",
    "127.0.0.1:0",
    "127.0.0.1:99999",
    "unix:",
    "[::1",
    "\udcff:1",
    "a" * 300 + ":1",
]


@pytest.mark.parametrize("number", range(len(BINDS)))
def test_an_odd_place_to_serve_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("modelhost.cli.serve")
    monkeypatch.setattr(module, "_run", lambda *_: 3)  # what is taken for a place is not tried
    assert_sentence(command("serve", MODELS / "colours/1", "--bind", BINDS[number]))


# In a process of its own, as people run it

COMMANDS = [
    ["pack", "m.pkl", "--name", "m", "--sample", "rows.csv"],
    ["pack", "model.py", "--name", "m", "--sample", "odd.csv"],
    ["pack", "model.py", "--name", "m", "--sample", "rows.csv", "--into", "rows.csv"],
    ["check", "rows.csv"],
    ["serve", "nosuch"],
    ["predict", "http://127.0.0.1:1"],
]


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_a_process_ends_alike(unmeasured: Path, number: int) -> None:
    Path("m.pkl").write_bytes(pickle.dumps(Raises("raise SystemExit(0)")))
    Path("odd.csv").write_bytes(b"a,b\n1," + b"x\0" * 1000 + b"\n3\n")
    assert_sentence(run(*COMMANDS[number], cwd=unmeasured))


def test_a_fault_of_our_own_is_a_sentence_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("modelhost.cli.check")

    def fails(_directory: Path) -> None:
        raise KeyError("x")

    monkeypatch.setattr(module, "read_bundle", fails)
    result = command("check", "x")
    assert result.code == 1
    assert result.err == (
        "error: this is a fault of modelhost's own: KeyError: 'x' (set MODELHOST_DEBUG=1 for the traceback, and report it)\n"  # noqa: E501
    )
    assert "fault of modelhost's own" in json.loads(command("check", "x", "--json").out)["error"]
    monkeypatch.setenv("MODELHOST_DEBUG", "1")
    assert "Traceback (most recent call last)" in command("check", "x").err
