"""Broken and odd bundles: each command ends in a sentence, and never in a traceback."""

import functools
import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import MODELS
from odd_inputs import NO_FILES, SEED, assert_sentence, command, no_file

pytestmark = pytest.mark.usefixtures("unmeasured")

VALUES = [
    None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**400, "", "x", "../x", "\0", "a" * 10_000, [], ["a"],
    [[]], {}, {"a": {}},
    "2024-01-01", "\U0001f600",
]  # fmt: skip


def fields(manifest: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value in a manifest."""
    items = (
        manifest.items() if isinstance(manifest, dict) else enumerate(manifest) if isinstance(manifest, list) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from fields(value, (*path, key))


@pytest.mark.parametrize("number", range(40))
@pytest.mark.parametrize("what", ["check", "predict", "serve"])
def test_an_odd_manifest(what: str, number: int) -> None:
    chosen = random.Random(SEED + number)
    shutil.copytree(MODELS / "colours/1", "colours/1")
    manifest = yaml.safe_load(Path("colours/1/model.yaml").read_text())
    *path, last = chosen.choice(list(fields(manifest)))
    holder = functools.reduce(lambda value, key: value[key], path, manifest)
    if chosen.random() < 0.2:
        del holder[last]
    else:
        holder[last] = chosen.choice(VALUES)
    Path("colours/1/model.yaml").write_text(yaml.safe_dump(manifest, allow_unicode=True))
    # What a server takes is not started here.
    if what == "serve" and command("check", "colours/1").code == 0:
        return
    assert_sentence(command(what, "colours/1"), (0, 1) if what != "serve" else (1,))


BROKEN: dict[str, tuple[str, bytes]] = {
    "nothing": ("model.yaml", b""),
    "a text": ("model.yaml", b"hello"),
    "a list": ("model.yaml", b"- 1\n- 2\n"),
    "tabs": ("model.yaml", b"a:\n\t- b"),
    "no UTF-8": ("model.yaml", b"name: \xff"),
    "objects": ("model.yaml", b"!!python/object/apply:os.getcwd []"),
    "an alias to itself": ("model.yaml", b"a: &a [*a]\n"),
    "a billion laughs": ("model.yaml", b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nname: *c\n"),
    "very deep": ("model.yaml", b"[" * 5000),
    "a date as a key": ("model.yaml", b"2024-01-01: 1\n[1]: 2\n"),
    "NUL": ("model.yaml", b"name: \0"),
    "no examples": ("golden.json", b"[]"),
    "no JSON": ("golden.json", b"["),
    "another type": ("golden.json", b"{}"),
    "an example without inputs": ("golden.json", b'[{"outputs": {}}]'),
    "an example of other inputs": ("golden.json", b'[{"inputs": {"x": 1}, "outputs": {"colour": "red"}}]'),
    "an example of other outputs": ("golden.json", b'[{"inputs": {"index": 1}, "outputs": {"x": "red"}}]'),
    "a huge example": ("golden.json", b'[{"inputs": {"index": 1' + b"0" * 400 + b'}, "outputs": {"colour": "red"}}]'),
    "very deep examples": ("golden.json", b"[" * 100_000),
    "no class": ("model.py", b"x = 1\n"),
    "a syntax error": ("model.py", b"class\n"),
    "an exit": ("model.py", b"raise SystemExit(0)\n"),
    "no UTF-8 in a class": ("model.py", b"# \xff\n"),
    "NUL in a class": ("model.py", b"class Model:\0\n"),
    "too deep": ("model.py", b"def f():\n    f()\n\n\nf()\n"),
    "an exit on predict": ("model.py", b"class Model:\n    def predict(self, inputs):\n        raise SystemExit(0)\n"),
    "no array": ("model.py", b"class Model:\n    def predict(self, inputs):\n        return {'colour': object()}\n"),
    "no Unicode": (
        "model.py",
        b"class Model:\n    def predict(self, inputs):\n        return {'colour': ['\\ud800']}\n",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("what", ["check", "predict"])
def test_a_broken_file_of_a_bundle(what: str, kind: str) -> None:
    file, content = BROKEN[kind]
    shutil.copytree(MODELS / "colours/1", "colours/1")
    Path("colours/1", file).write_bytes(content)
    if file != "model.yaml":
        manifest = yaml.safe_load(Path("colours/1/model.yaml").read_text())
        manifest["files"][file] = hashlib.sha256(content).hexdigest()
        Path("colours/1/model.yaml").write_text(yaml.safe_dump(manifest))
    assert_sentence(command(what, "colours/1"), (1,))


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("what", ["check", "predict", "serve"])
def test_a_bundle_that_is_none(what: str, kind: str) -> None:
    assert_sentence(command(what, no_file(kind, "")))
