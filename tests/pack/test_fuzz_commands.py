"""Broken and odd models, samples, options and bundles: each command ends in a sentence, and never in a traceback."""

import functools
import importlib
import io
import itertools
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from commands import MODELS, Result, run
from modelhost.cli import main
from modelhost.packing.formats import FORMATS

# An archive that is not one stays open in numpy's hands until it is forgotten.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
SEED = 20240229
CLASS = "class Model:\n    def predict(self, inputs):\n        return {'sum': sum(inputs.values())}\n"
ROWS = "a,b\n1,2\n3,4\n5,6.5\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # What a case does pack is not run in a process of its own: that it is measured is shown elsewhere.
    pack = importlib.import_module("modelhost.packing.pack")
    costs = {
        "load_ms": 1.0,
        "memory_mb": 1.0,
        "shared_mb": 1.0,
        "latency_p50_ms": 1.0,
        "latency_p99_ms": 1.0,
        "call_ms": {1: 1.0, 2: 2.0},
        "image": {"differs": []},
    }
    monkeypatch.setattr(pack, "measure", lambda _directory: costs)
    Path("model.py").write_text(CLASS)
    Path("rows.csv").write_text(ROWS)
    return tmp_path


def command(*arguments: object) -> Result:
    """The command in this process: an exception that gets out of it is a failure."""
    ended = CliRunner().invoke(main, list(map(str, arguments)), prog_name="modelhost")
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Result(ended.exit_code, ended.stdout, ended.stderr)


def assert_sentence(result: Result, codes: tuple[int, ...] = (1, 2)) -> None:
    """It ended as it should, and said why in one line, as people say it."""
    said = result.err.strip().split("\n")
    assert result.code in codes, result
    assert "Traceback" not in result.out + result.err
    assert "fault of modelhost's own" not in result.out + result.err, result.err
    if result.code:
        (first,) = (number for number, line in enumerate(said) if line.lower().startswith("error: "))
        assert len("\n".join(said[first:])) < 13_000, "it quotes all of something endless"


# Models


class Raises:
    """A pickle that runs `code` when it is read."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        return (exec, (self.code,))


@functools.cache
def valid_models() -> dict[str, bytes]:
    """A good file of each suffix, on two columns."""
    import catboost
    import lightgbm
    import skl2onnx
    import skops.io
    import xgboost
    from sklearn.linear_model import LinearRegression

    rows = np.random.default_rng(0).normal(size=(60, 2))
    target = rows @ [1.0, 2.0]
    linear = LinearRegression().fit(rows, target)
    boosted = xgboost.XGBRegressor(n_estimators=2).fit(rows, target).get_booster()
    cat = catboost.CatBoostRegressor(iterations=2, verbose=False, allow_writing_files=False).fit(rows, target)
    light = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(rows, target).booster_
    dumped = io.BytesIO()
    joblib.dump(linear, dumped)
    cat.save_model("valid.cbm")
    return {
        ".onnx": skl2onnx.to_onnx(linear, rows[:1].astype(np.float32), target_opset=18).SerializeToString(),
        ".joblib": dumped.getvalue(),
        ".pkl": pickle.dumps(linear),
        ".skops": skops.io.dumps(linear),
        ".txt": light.model_to_string().encode(),
        ".json": bytes(boosted.save_raw("json")),
        ".ubj": bytes(boosted.save_raw("ubj")),
        ".cbm": Path("valid.cbm").read_bytes(),
        ".py": CLASS.encode(),
    }


VALID = [".onnx", ".joblib", ".pkl", ".skops", ".txt", ".json", ".ubj", ".cbm", ".py"]
ALIKE = [{".joblib", ".pkl"}, {".json", ".ubj"}]
MISNAMED = random.Random(SEED).sample([pair for pair in itertools.permutations(VALID, 2) if set(pair) not in ALIKE], 40)
BROKEN_AT = [0.02, 0.3, 0.6, 0.9, 0.999]
NOISE = {
    "empty": b"", "a text": b"hello\n", "zeros": b"\0" * 4096, "random": random.Random(SEED).randbytes(4096),
    "JSON": b'{"a": 1}', "a list": b"[1, 2]", "a deep list": b"[" * 100_000, "a page": b"<html><body>Not found</body></html>",  # noqa: E501
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "UTF-16": "model".encode("utf-16"),  # noqa: E501
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


def no_file(kind: str, suffix: str) -> Path:
    path = Path("odd" + suffix)
    if kind == "a folder":
        path.mkdir()
    elif kind == "a loop":
        path.symlink_to(path)
    elif kind == "a link to nowhere":
        path.symlink_to("nowhere")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a long name":
        path = Path("n" * (255 - len(suffix)) + suffix)
        path.write_bytes(b"x")
    elif kind == "a name too long":
        path = Path("n" * 4000 + suffix)
    elif kind == "a name of no Unicode":
        path = Path(os.fsdecode(b"\xff\xfe" + suffix.encode()))
        path.write_bytes(b"x")
    elif kind == "unreadable":
        path.write_bytes(b"x")
        path.chmod(0)
    return path


NO_FILES = [
    "a folder", "a loop", "a link to nowhere", "a pipe", "a long name", "a name too long", "a name of no Unicode", "unreadable",  # noqa: E501
    "missing",
]  # fmt: skip


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("suffix", [".joblib", ".onnx", ".py", ""])
def test_a_model_that_is_no_file(kind: str, suffix: str) -> None:
    assert_sentence(command("pack", no_file(kind, suffix), "--name", "m", "--sample", "rows.csv"))


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".npz"])
def test_a_sample_that_is_no_file(kind: str, suffix: str) -> None:
    result = command("pack", "model.py", "--name", "m", "--sample", no_file(kind, suffix))
    # One line without rows is a header; as root, everything can be read.
    assert_sentence(result)


# Samples


def saved(*arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    if named:
        np.savez(file, **named)
    else:
        np.save(file, arrays[0], allow_pickle=True)
    return file.getvalue()


def zipped(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


HUGE_HEADER = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }".ljust(117) + b"\n"  # fmt: skip  # noqa: E501
SAMPLES: dict[str, tuple[str, bytes]] = {
    name.replace("_", " "): (suffix, content)
    for name, suffix, content in [
        ("nothing", ".csv", b""),
        ("line_breaks", ".csv", b"\n\n\n"),
        ("a_header", ".csv", b"a,b\n"),
        ("a_header_without_an_end", ".csv", b"a,b"),
        ("a_short_row", ".csv", b"a,b\n1,2\n3\n"),
        ("a_long_row", ".csv", b"a,b\n1,2\n3,4,5\n"),
        ("NUL", ".csv", b"a,b\n1,\0\n2,3\n"),
        ("NUL_in_the_header", ".csv", b"a,\0\n1,2\n2,3\n"),
        ("no_UTF-8", ".csv", b"a,b\n1,caf\xe9\n"),
        ("UTF-16", ".csv", "a,b\n1,2\n".encode("utf-16")),
        ("a_binary_file", ".csv", random.Random(SEED).randbytes(1000)),
        ("names_twice", ".csv", b"a,a\n1,2\n"),
        ("an_empty_name", ".csv", b"a,\n1,2\n"),
        ("only_an_empty_name", ".csv", b'""\n1\n'),
        ("a_quote_without_its_end", ".csv", b'a,b\n1,"2\n3,4\n'),
        ("a_megabyte_in_a_cell", ".csv", b"a,b\n1," + b"x" * 1_000_000 + b"\n"),
        ("semicolons", ".csv", b"a;b\n1;2\n"),
        ("old_Mac_line_breaks", ".csv", b"a,b\r1,2\r3,4\r"),
        ("a_U+2028", ".csv", "a,b\n1,x\u2028y\n2,z\n".encode()),
        ("huge_integers", ".csv", b"a,b\n1,1" + b"0" * 400 + b"\n2,3\n"),
        ("an_integer_of_5000_digits", ".csv", b"a,b\n1,1" + b"0" * 5000 + b"\n2,3\n"),
        ("integers_beyond_64_bits", ".csv", b"a,b\n1,18446744073709551616\n2,3\n"),
        ("NaN_alone", ".csv", b"a,b\nNaN,NaN\n"),
        ("infinities", ".csv", b"a,b\ninf,-inf\n"),
        ("too_large_numbers", ".csv", b"a,b\n1e999,2\n3,4\n"),
        ("dates", ".csv", b"a,b\n2024-01-01,2024-13-45\n"),
        ("mixed_types", ".csv", b"a,b\n1,x\ny,2\ntrue,3.5\n"),
        ("empty_cells_alone", ".csv", b"a,b\n,\n,\n"),
        ("blank_cells", ".csv", b"a,b\n , \n"),
        ("digits_of_other_scripts", ".csv", "a,b\n\u0661,\u0662\n".encode()),
        ("underscores", ".csv", b"a,b\n1_000,2\n3,4\n"),
        ("a_name_of_a_path", ".csv", b"../../etc/passwd,b\n1,2\n"),
        ("a_name_of_100_kilobytes", ".csv", b"x" * 100_000 + b",b\n1,2\n"),
        ("5000_columns", ".csv", b",".join(b"c%d" % n for n in range(5000)) + b"\n" + b",".join([b"1"] * 5000) + b"\n"),
        ("nothing_as_JSON", ".json", b""),
        ("half_of_JSON", ".json", b'[{"a": 1, "b": '),
        ("null", ".json", b"null"),
        ("a_number", ".json", b"5"),
        ("a_text", ".json", b'"rows"'),
        ("an_object", ".json", b'{"a": 1, "b": 2}'),
        ("an_empty_list", ".json", b"[]"),
        ("lists", ".json", b"[[1, 2], [3, 4]]"),
        ("numbers", ".json", b"[1, 2]"),
        ("empty_objects", ".json", b"[{}, {}]"),
        ("an_object_in_a_field", ".json", b'[{"a": {"x": 1}, "b": 2}]'),
        ("objects_in_a_list", ".json", b'[{"a": [{"x": 1}], "b": 2}]'),
        ("lists_of_several_lengths", ".json", b'[{"a": [1, 2], "b": 1}, {"a": [1], "b": 1}]'),
        ("lists_of_several_depths", ".json", b'[{"a": [1, [2]], "b": 1}]'),
        ("an_empty_list_in_a_field", ".json", b'[{"a": [], "b": 1}]'),
        ("a_list_and_a_number", ".json", b'[{"a": [1], "b": 1}, {"a": 1, "b": 1}]'),
        ("nulls", ".json", b'[{"a": null, "b": null}]'),
        ("nulls_in_lists", ".json", b'[{"a": [1, null], "b": 1}]'),
        ("mixed_types_of_JSON", ".json", b'[{"a": 1, "b": "x"}, {"a": true, "b": 2}, {"a": "y", "b": 3}]'),
        ("other_fields_in_each_row", ".json", b'[{"a": 1}, {"b": 1}, {"c": 1}]'),
        ("NaN_in_JSON", ".json", b'[{"a": NaN, "b": Infinity}]'),
        ("huge_integers_in_JSON", ".json", b'[{"a": 1' + b"0" * 400 + b', "b": 1}]'),
        ("an_integer_of_5000_digits_in_JSON", ".json", b'[{"a": 1' + b"0" * 5000 + b', "b": 1}]'),
        ("very_deep_JSON", ".json", b"[" * 100_000),
        ("half_of_a_surrogate", ".json", b'[{"a": "\\ud800", "b": 1}, {"a": "x", "b": 1}]'),
        ("half_of_a_surrogate_in_a_name", ".json", b'[{"\\ud800": 1, "b": 1}, {"\\ud800": 2, "b": 1}]'),
        ("an_empty_name_in_JSON", ".json", b'[{"": 1, "b": 1}]'),
        ("NUL_in_JSON", ".json", b'[{"a": "\\u0000", "b": 1}]'),
        ("names_twice_in_JSON", ".json", b'[{"a": 1, "a": 2, "b": 1}]'),
        ("a_comma_too_many", ".json", b'[{"a": 1, "b": 2},]'),
        ("lines_of_JSON", ".json", b'{"a": 1, "b": 2}\n{"a": 1, "b": 2}\n'),
        ("nothing_as_lines", ".jsonl", b"\n\n"),
        ("a_broken_line", ".jsonl", b'{"a": 1, "b": 2}\n{"a": \n'),
        ("lines_of_numbers", ".jsonl", b"1\n2\n"),
        ("a_list_on_one_line", ".jsonl", b'[{"a": 1, "b": 2}]\n'),
        ("a_U+2028_in_a_line", ".jsonl", '{"a": "x\u2028y", "b": "z"}\n{"a": "x", "b": "z"}\n'.encode()),
        ("no_UTF-8_in_lines", ".jsonl", b'{"a": "\xff", "b": 1}\n'),
        ("no_array", ".npy", b"hello"),
        ("nothing_as_an_array", ".npy", b""),
        ("half_an_array", ".npy", saved(np.zeros((100, 2)))[:500]),
        ("a_huge_array", ".npy", HUGE_HEADER),
        ("pickled_objects", ".npy", saved(np.array([{"a": 1}], dtype=object))),
        ("a_number_as_an_array", ".npy", saved(np.float64(3))),
        ("no_rows", ".npy", saved(np.zeros((0, 2)))),
        ("no_columns", ".npy", saved(np.zeros((3, 0)))),
        ("complex_numbers", ".npy", saved(np.zeros((3, 2), complex))),
        ("dates_in_an_array", ".npy", saved(np.zeros(3, "M8[D]"))),
        ("durations_in_an_array", ".npy", saved(np.zeros(3, "m8[s]"))),
        ("records_in_an_array", ".npy", saved(np.zeros(3, "i4,f4"))),
        ("bytes_in_an_array", ".npy", saved(np.array([b"a", b"\xff"]))),
        ("long_doubles", ".npy", saved(np.zeros((3, 2), np.longdouble))),
        ("NaN_in_an_array", ".npy", saved(np.full((3, 2), np.nan))),
        ("no_archive", ".npz", b"hello"),
        ("an_empty_archive", ".npz", zipped()),
        ("an_archive_of_something_else", ".npz", zipped(a=b"hello")),
        ("an_archive_of_half_an_array", ".npz", zipped(**{"a.npy": saved(np.zeros(9))[:90]})),
        ("half_an_archive", ".npz", saved(a=np.zeros(99), b=np.zeros(99))[:500]),
        ("arrays_of_several_lengths", ".npz", saved(a=np.zeros(3), b=np.zeros(4))),
        ("objects_in_an_archive", ".npz", saved(a=np.array([None, {}], dtype=object))),
        ("numbers_in_an_archive", ".npz", saved(a=np.float64(1), b=np.float64(2))),
        ("arrays_without_rows", ".npz", saved(a=np.zeros(0), b=np.zeros(0))),
        ("dates_in_an_archive", ".npz", saved(a=np.zeros(3, "M8[D]"), b=np.zeros(3))),
        ("a_name_of_a_path_in_an_archive", ".npz", saved(**{"../a": np.zeros(3), "b": np.zeros(3)})),
        ("an_unknown_suffix", ".xlsx", b"PK"),
        ("Parquet", ".parquet", b"PAR1"),
        ("no_suffix", "", ROWS.encode()),
        ("capitals", ".CSV", ROWS.encode()),
        ("a_compressed_file", ".csv.gz", b"\x1f\x8b"),
    ]
}


@pytest.mark.parametrize("model", [".py", ".onnx", ".joblib"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_an_odd_sample(kind: str, model: str) -> None:
    suffix, content = SAMPLES[kind]
    Path("odd" + suffix).write_bytes(content)
    Path("m" + model).write_bytes(valid_models()[model])
    assert_sentence(command("pack", "m" + model, "--name", "m", "--sample", "odd" + suffix), (0, 1))


@pytest.mark.parametrize(
    "kind", [kind for kind, (suffix, _) in SAMPLES.items() if suffix in (".csv", ".json", ".jsonl")]
)
def test_predicting_an_odd_file(kind: str) -> None:
    suffix, content = SAMPLES[kind]
    Path("odd" + suffix).write_bytes(content)
    assert_sentence(command("predict", MODELS / "colours/1", "--file", "odd" + suffix), (0, 1))


# Options

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


# Bundles, and what they are asked

VALUES = [
    None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**400, "", "x", "../x", "\0", "a" * 10_000, [], ["a"], [[]], {}, {"a": {}},  # noqa: E501
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
    import hashlib

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


DATA = [
    "", " ", "{", "nul", "null", "[]", "[[]]", "{}", "3", '"x"', "NaN", "[null]", '{"index": null}', '{"index": NaN}', '{"index": 1e999}',  # noqa: E501
    '{"index": "\\ud800"}', '{"\\ud800": 1}', '{"index": []}', '{"index": {}}', '{"index": true}', '{"index": 1.5}', '{"index": -1}',  # noqa: E501
    '{"index": 99}', '{"index": 1' + "0" * 400 + "}", '{"index": 1' + "0" * 5000 + "}", "[" * 100_000, '{"index": 1, "x": 2}',  # noqa: E501
    '[{"index": 1}, {"index": "a"}]', '[{"index": 1}, 2]', '{"index": "' + "x" * 100_000 + '"}', "\udcff", "{'index': 1}",  # noqa: E501
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
def test_a_process_ends_alike(here: Path, number: int) -> None:
    Path("m.pkl").write_bytes(pickle.dumps(Raises("raise SystemExit(0)")))
    Path("odd.csv").write_bytes(b"a,b\n1," + b"x\0" * 1000 + b"\n3\n")
    assert_sentence(run(*COMMANDS[number], cwd=here))


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
