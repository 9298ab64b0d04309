"""Broken and odd models: `pack` ends in a sentence, and never in a traceback."""

import itertools
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelhost.packing.formats import FORMATS
from odd_inputs import CLASS, NO_FILES, SEED, VALID, Raises, assert_sentence, command, no_file, valid_models

# An archive that is not one stays open in numpy's hands until it is forgotten.
pytestmark = [
    pytest.mark.usefixtures("unmeasured"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ALIKE = [{".joblib", ".pkl"}, {".json", ".ubj"}]
MISNAMED = random.Random(SEED).sample([pair for pair in itertools.permutations(VALID, 2) if set(pair) not in ALIKE], 40)
BROKEN_AT = [0.02, 0.3, 0.6, 0.9, 0.999]
NOISE = {
    "empty": b"", "a text": b"hello\n", "zeros": b"\0" * 4096, "random": random.Random(SEED).randbytes(4096),
    "JSON": b'{"a": 1}', "a list": b"[1, 2]", "a deep list": b"[" * 100_000,
    "a page": b"<html><body>Not found</body></html>",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "UTF-16": "model".encode("utf-16"),
}  # fmt: skip


def cut(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share)]


@pytest.mark.parametrize(("suffix", "share"), list(itertools.product(VALID[:-1], BROKEN_AT)))
def test_a_cut_model(suffix: str, share: float) -> None:
    Path("m" + suffix).write_bytes(cut(valid_models()[suffix], share))
    # A booster's text may be whole before its end.
    codes = (0, 1) if suffix == ".txt" and share > 0.5 else (1,)
    assert_sentence(command("pack", "m" + suffix, "--name", "m", "--sample", "rows.csv"), codes)


@pytest.mark.parametrize(("true", "said"), MISNAMED)
def test_a_model_under_another_suffix(true: str, said: str) -> None:
    Path("m" + said).write_bytes(valid_models()[true])
    assert_sentence(command("pack", "m" + said, "--name", "m", "--sample", "rows.csv"), (1,))


@pytest.mark.parametrize(("suffix", "kind"), list(itertools.product(sorted(FORMATS), NOISE)))
def test_what_is_no_model(suffix: str, kind: str) -> None:
    Path("m" + suffix).write_bytes(NOISE[kind])
    assert_sentence(command("pack", "m" + suffix, "--name", "m", "--sample", "rows.csv"), (1,))


PICKLED: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a number": lambda: 1,
    "a text": lambda: "model",
    "a list": list,
    "a dictionary with a model": lambda: {"model": pickle.loads(valid_models()[".pkl"])},
    "a tuple with a model": lambda: (pickle.loads(valid_models()[".pkl"]), 1),
    "an array": lambda: np.zeros((3, 2)),
    "a function": lambda: len,
    "a class": lambda: type(pickle.loads(valid_models()[".pkl"])),
    "an unfitted model": lambda: type(pickle.loads(valid_models()[".pkl"]))(),
    "an exception": lambda: ValueError("no"),
    "a module": lambda: Raises("import nosuchmodule"),
    "an error": lambda: Raises("1 / 0"),
    "an error without a text": lambda: Raises("raise Exception"),
    "an error of several lines": lambda: Raises("raise ValueError('a\\nb\\nc')"),
    "an error of no Unicode": lambda: Raises("raise ValueError('\\ud800')"),
    "an error of a megabyte": lambda: Raises("raise ValueError('x' * 1_000_000)"),
    "an exit": lambda: Raises("raise SystemExit(0)"),
    "an exit with a text": lambda: Raises("raise SystemExit('bye')"),
    "too deep": lambda: Raises("f = lambda: f()\nf()"),
    "too large": lambda: Raises("raise MemoryError"),
    "a warning": lambda: Raises("import warnings\nwarnings.warn('old')"),
}
RAW_PICKLES = {
    "a missing module": b"cnosuchmodule\nThing\n.",
    "a missing class": b"csklearn.linear_model\nNoSuchModel\n.",
    "a class of the script": b"c__main__\nRatio\n.",
    "a wrong call": b"cbuiltins\nint\n(S'x'\ntR.",
    "a frame too long": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    "a later protocol": b"\x80\x63.",
    "a text too long": b"\x80\x04X\xff\xff\xff\x7fabc.",
    "nothing on the stack": b"\x80\x04.",
}


@pytest.mark.parametrize("kind", PICKLED)
@pytest.mark.parametrize("suffix", [".joblib", ".pkl"])
def test_a_pickle_of_something_else(suffix: str, kind: str) -> None:
    (joblib.dump if suffix == ".joblib" else dump)(PICKLED[kind](), Path("m" + suffix))
    assert_sentence(command("pack", "m" + suffix, "--name", "m", "--sample", "rows.csv", "--allow-pickle"), (1,))


def dump(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


@pytest.mark.parametrize("kind", RAW_PICKLES)
def test_a_pickle_that_cannot_be_read(kind: str) -> None:
    Path("m.pkl").write_bytes(RAW_PICKLES[kind])
    assert_sentence(command("pack", "m.pkl", "--name", "m", "--sample", "rows.csv"), (1,))


SOURCES = {
    "no class": "x = 1\n",
    "a function": "def Model():\n    return None\n",
    "a module": "import json as Model\n",
    "a number": "Model = 3\n",
    "no predict": "class Model:\n    pass\n",
    "arguments": "class Model:\n    def __init__(self, path):\n        pass\n",
    "no arguments": "class Model:\n    def predict(self):\n        pass\n",
    "predict is no verb": "class Model:\n    predict = 3\n",
    "load is no verb": CLASS + "    load = 3\n",
    "a syntax error": "class Model\n",
    "an exit": "import sys\nsys.exit(0)\n",
    "an exit on load": CLASS + "    def load(self, directory):\n        raise SystemExit('no')\n",
    "an exit on predict": CLASS.replace("return", "raise SystemExit;"),
    "an interrupt's look": CLASS.replace("return", "raise Exception;"),
    "too deep": "def f():\n    f()\n\n\nf()\n",
    "NUL": "class Model:\0\n",
    "Latin-1": "# caf\udce9\n" + CLASS,
    "another encoding": "# coding: nosuch\n" + CLASS,
    "tabs and spaces": "class Model:\n\tx = 1\n        y = 2\n",
    "a file that is missing": "open('/nosuch/file')\n",
    "an import of itself": "import model\n" + CLASS,
    "no Unicode in an error": "raise ValueError('\\ud800')\n",
    "an error that cannot be told": "class E(Exception):\n    def __str__(self):\n        return 1 / 0\n\n\nraise E\n",
    "a name that is no Unicode": CLASS.replace("'sum'", "'\\ud800'"),
    "a name of a megabyte": CLASS.replace("'sum'", "'s' * 10**6"),
    "no rows": CLASS.replace("sum(inputs.values())", "[]"),
    "changing": "import random\n" + CLASS.replace("sum(", "random.random() + sum("),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_an_odd_class(kind: str) -> None:
    Path("m.py").write_bytes(SOURCES[kind].encode(errors="surrogateescape"))
    may_pack = kind in ("an import of itself", "a name of a megabyte", "Latin-1")
    result = command("pack", "m.py", "--name", "m", "--sample", "rows.csv")
    assert_sentence(result, (0, 1) if may_pack else (1,))


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("suffix", [".joblib", ".onnx", ".py", ""])
def test_a_model_that_is_no_file(kind: str, suffix: str) -> None:
    assert_sentence(command("pack", no_file(kind, suffix), "--name", "m", "--sample", "rows.csv"))
