"""What a Python class may return: alike when packed and when served, or refused in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import Result, run, serving
from modelhost.models.runtimes.returned import as_arrays
from modelhost.payload.errors import ModelError

Invoke = Callable[..., Result]

SOURCE = """
import datetime, decimal, enum, fractions, uuid
import numpy as np
import pandas as pd


class Colour(str, enum.Enum):
    RED = "red"


class Model:
    def predict(self, inputs):
        n = inputs["n"]
        return {"out": %s}
"""
DAY = "datetime.date(2024, 1, 1) + datetime.timedelta(days=int(k))"

# What is returned for n = 1, 2, 3; the datatype and shape that pack finds; the answer for n = 2.
RETURNED = {
    "days": ("np.datetime64('2024-01-01') + n.astype('m8[D]')", "BYTES", [], "2024-01-03"),
    "nanoseconds": ("pd.to_datetime(n, unit='s') + pd.Timedelta(250, 'ms')", "BYTES", [], "1970-01-01T00:00:02.25"),
    "whole seconds": ("pd.Series(pd.to_datetime(n, unit='s'))", "BYTES", [], "1970-01-01T00:00:02"),
    "with a zone": ("pd.to_datetime(n, unit='h', utc=True)", "BYTES", [], "1970-01-01T02:00:00+00:00"),
    "a list of dates": (f"[{DAY} for k in n]", "BYTES", [], "2024-01-03"),
    "times": ("[datetime.time(int(k)) for k in n]", "BYTES", [], "02:00:00"),
    "decimals": ("[decimal.Decimal(int(k)) / 8 for k in n]", "BYTES", [], "0.25"),
    "bytes of text": ("np.array([b'caf\\xc3\\xa9' for _ in n])", "BYTES", [], "caf\u00e9"),
    "enumerations": ("[Colour.RED for _ in n]", "BYTES", [], "red"),
    "a list of integers": ("[int(k) for k in n]", "INT64", [], 2),
    "a list that mixes integers and floats": ("[1 if k == 1 else k / 4 for k in n.tolist()]", "FP64", [], 0.5),
    "a list of numpy's": ("[np.float32(k) / 4 for k in n]", "FP32", [], 0.5),
    "booleans": ("[bool(k > 1) for k in n]", "BOOL", [], True),
    "a list of arrays": ("[np.full(2, k, np.float32) for k in n]", "FP32", [2], [2.0, 2.0]),
    "lists of lists": ("[[str(k), 'x'] for k in n]", "BYTES", [2], ["2", "x"]),
    "objects": ("np.array([int(k) for k in n], dtype=object)", "INT64", [], 2),
    "missing numbers": ("[None if k == 2 else 0.5 for k in n]", "FP64", [], None),
    "a series": ("pd.Series(n) / 2", "FP64", [], 1.0),
    "a series that may be missing": ("pd.array([None if k == 2 else k for k in n], dtype='Int64')", "FP64", [], None),
    "categories": ("pd.Categorical(['b' if k == 2 else 'a' for k in n])", "BYTES", [], "b"),
    "text of pandas": ("pd.Series([str(k) for k in n], dtype='string')", "BYTES", [], "2"),
    "a frame": ("pd.DataFrame({'a': n / 2, 'b': n / 4})", "FP64", [2], [1.0, 0.5]),
    "big-endian numbers": ("n.astype('>f4')", "FP32", [], 2.0),
    "text of fixed width": ("n.astype('U')", "BYTES", [], "2"),
}
# What cannot be sent, and a part of the sentence.
REFUSED = {
    "complex": ("n * 1j", "out is complex128, which no protocol carries: return its real and imaginary parts"),
    "complex in a list": ("[1j for _ in n]", "holds values of the type complex"),
    "longdouble": ("n.astype(np.longdouble)", "out is float128, which no protocol carries: return it as float64"),
    "durations": ("n.astype('m8[s]')", "return seconds"),
    "records": ("np.array([(1, 2.0)] * len(n), dtype='i4,f4')", "return each of its fields as an output"),
    "bytes": ("[b'\\x89PNG' for _ in n]", "holds bytes that are not text in UTF-8: return base64"),
    "bytes in an array": ("np.array([b'\\xff\\x01' for _ in n])", "holds bytes that are not text in UTF-8"),
    "no Unicode": ("['\\ud800' for _ in n]", "holds text that is no Unicode"),
    "ragged": ("[['a'] * int(k) for k in n]", "out has rows of several lengths, which are no array: pad them"),
    "ragged arrays": ("[np.zeros(int(k)) for k in n]", "out has rows of several lengths"),
    "ragged objects": ("np.fromiter((['a'] * int(k) for k in n), object, len(n))", "out has rows of several lengths"),
    "a list of a text and lists": ("['a', ['b'], ['c']]", "out has rows of several lengths"),
    "mixed": ("['a', 1, 2]", "out mixes integer and text: return values of one kind"),
    "missing text": ("['a', None, 'b']", "out mixes text and missing values"),
    "a missing date": ("np.array(['2024-01-01', 'NaT', 'NaT'], dtype='M8[D]')", "a missing date (NaT)"),
    "dictionaries": ("[{'a': 1} for _ in n]", "holds values of the type dict: return text, such as json.dumps(value)"),
    "fractions": ("[fractions.Fraction(1, 3) for _ in n]", "holds values of the type Fraction"),
    "objects of a class": ("[uuid.UUID(int=int(k)) for k in n]", "holds values of the type UUID"),
    "a set": ("set(n.tolist())", "out is a set, which has no rows in order"),
    "a generator": ("(k for k in n)", "out is a generator, which has no rows in order"),
    "one number": ("3", "out is a single value: return a list or an array with one for each row"),
    "one text": ("'abc'", "out is a single value"),
    "nothing": ("None", "out is a single value"),
    "an empty list": ("[]", "has no values"),
    "huge integers": ("[10**400 for _ in n]", "holds an integer (one of more than 30 digits) that INT64 cannot"),
    "an integer beyond a float's": ("[2**53 + 1, 0.5, 1]", "holds an integer (9007199254740993) that FP64 cannot"),
    "too few rows": ("n[:1]", "out has the shape (1,) for 3 rows: its rows must come first"),
    "rows last": ("np.zeros((2, len(n)))", "its rows must come first"),
    "an exit": ("exit(3)", "the model cannot predict the sample: SystemExit: 3 (line 14)"),
}


def pack(invoke: Invoke, returned: str) -> Result:
    Path("m.py").write_text(SOURCE % returned)
    Path("s.csv").write_text("n\n1\n2\n3\n")
    return invoke("pack", "m.py", "--name", "m", "--sample", "s.csv", "--no-batching")


@pytest.mark.parametrize("kind", RETURNED)
def test_what_a_class_returns_is_answered_as_it_is_packed(invoke: Invoke, kind: str) -> None:
    returned, datatype, shape, answer = RETURNED[kind]
    pack(invoke, returned).ok()
    (output,) = yaml.safe_load(Path("models/m/1/model.yaml").read_text())["outputs"]
    assert (output["datatype"], output["shape"]) == (datatype, shape)
    for rows in ([2], [3, 2]):  # the last alone, and with others
        (*_, last) = (
            invoke("predict", "models/m/1", "--data", json.dumps([{"n": n} for n in rows])).ok().out.split("\n")[:-1]
        )
        found = json.loads(last)["out"]
        assert type(found) is type(answer)
        assert found == answer


@pytest.mark.parametrize(
    ("returned", "nullable", "note"),
    [
        ("n / 2", False, ""),
        ("[None if k == 2 else 0.5 for k in n]", True, "output out: 1 of 3 values for the sample are NaN"),
        ("np.where(n == 2, np.inf, n)", None, "output out: 1 of 3 values for the sample are infinite"),
        ("np.where(n == 2, -np.inf, np.nan)", None, "output out: 1 of 3 values for the sample are infinite"),
        ("n.astype(str)", None, ""),
    ],
)
def test_an_output_may_be_null_where_it_is_missing_for_the_sample(
    invoke: Invoke, returned: str, nullable: bool | None, note: str
) -> None:
    packed = pack(invoke, returned).ok()
    (output,) = yaml.safe_load(Path("models/m/1/model.yaml").read_text())["outputs"]
    assert output.get("nullable") is nullable
    assert note in packed.out + packed.err
    assert ("values for the sample" in packed.out + packed.err) == bool(note)


def test_a_number_that_the_model_answers_with_nan_later_is_refused(invoke: Invoke) -> None:
    pack(invoke, "np.where(n > 3, np.nan, n)").ok()
    refused = invoke("predict", "models/m/1", "--data", '[{"n": 3}, {"n": 4}]')
    assert refused.code == 1
    assert "The model answers out with nan" in refused.err
    assert "write nullable: true with the output out" in refused.err


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_protocol_carries_is_refused_with_what_to_return(invoke: Invoke, kind: str) -> None:
    returned, said = REFUSED[kind]
    result = pack(invoke, returned)
    assert result.code == 1
    assert said in result.err
    assert not Path("models").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return inputs['n']", "returned ndarray, not a dict of arrays by their names"),
        ("return {}", "the model returned no output"),
        ("return {1: inputs['n']}", "an output called 1: call outputs by text"),
        ("return {'': inputs['n']}", "an output called ''"),
        ("return pd.DataFrame({0: inputs['n']})", "an output called 0"),
    ],
)
def test_outputs_without_names_are_refused(invoke: Invoke, body: str, said: str) -> None:
    Path("m.py").write_text(f"import pandas as pd\n\n\nclass Model:\n    def predict(self, inputs):\n        {body}\n")
    Path("s.csv").write_text("n\n1\n2\n3\n")
    result = invoke("pack", "m.py", "--name", "m", "--sample", "s.csv")
    assert result.code == 1
    assert said in result.err


def test_a_frame_is_an_output_for_each_column(invoke: Invoke) -> None:
    source = "import pandas as pd\n\n\nclass Model:\n    def predict(self, inputs):\n        "
    Path("m.py").write_text(source + "return pd.DataFrame({'half': inputs['n'] / 2, 'text': inputs['n'].astype(str)})")
    Path("s.csv").write_text("n\n1\n2\n3\n")
    invoke("pack", "m.py", "--name", "m", "--sample", "s.csv").ok()
    assert invoke("predict", "models/m/1", "--data", '{"n": 3}').ok().json == {"half": 1.5, "text": "3"}


def test_a_datatype_that_only_the_values_tell_is_the_schemas() -> None:
    """Packed with 0.5 and 1, the output is FP64; asked for the 1 alone, the class returns an integer."""
    wanted = {"x": "FP64", "small": "INT8", "y": "FP32"}
    found = as_arrays({"x": [1], "small": [7], "y": pd.Series([0.1])}, wanted)
    assert {name: str(array.dtype) for name, array in found.items()} == {
        "x": "float64",
        "small": "int8",
        "y": "float32",
    }
    assert as_arrays({"x": np.array([3])}, wanted)["x"].dtype == np.float64
    assert as_arrays({"small": [300]}, wanted)["small"].dtype == np.int64, "never cut: the schema refuses it"
    assert as_arrays({"small": np.array([0.5])}, wanted)["small"].dtype == np.float64
    assert as_arrays({"x": np.array([2**60 + 1])}, wanted)["x"].dtype == np.int64


def test_arrays_of_numbers_pass_as_they_are() -> None:
    array = np.zeros((1000, 1000), np.float32)
    assert as_arrays({"x": array}, {"x": "FP32"})["x"] is array


def test_an_array_that_its_library_does_not_give_is_told_in_its_words() -> None:
    class Tensor:
        def __array__(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("Can't call numpy() on a Tensor that requires grad.\nUse detach()")

    with pytest.raises(ModelError, match=r"x is a Tensor, not an array \(Can't call numpy.* requires grad\.\)$"):
        as_arrays({"x": Tensor()})


def test_a_server_answers_dates_and_lists_through_every_protocol(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(SOURCE % RETURNED["a list of dates"][0])
    (tmp_path / "s.csv").write_text("n\n1\n2\n3\n")
    run("pack", "m.py", "--name", "m", "--sample", "s.csv", cwd=tmp_path).ok()
    from urllib.request import Request, urlopen

    with serving("models", cwd=tmp_path) as url:

        def ask(path: str, body: Any) -> Any:
            request = Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
            with urlopen(request, timeout=20) as answer:
                return json.load(answer)

        assert ask("/", {"n": 2})["prediction"] == {"out": "2024-01-03"}
        tensor = {"name": "n", "datatype": "INT64", "shape": [2], "data": [1, 2]}
        assert ask("/v2/models/m/infer", {"inputs": [tensor]})["outputs"][0]["data"] == ["2024-01-02", "2024-01-03"]
        assert ask("/v1/models/m:predict", {"instances": [1, 2]})["predictions"] == ["2024-01-02", "2024-01-03"]
        assert ask("/invocations", {"dataframe_records": [{"n": 2}]})["predictions"] == ["2024-01-03"]


def test_a_class_of_one_row_a_call_may_answer_with_any_length(invoke: Invoke) -> None:
    Path("m.py").write_text(
        "class Model:\n    rows = 'one'\n\n    def predict(self, inputs):\n        (n,) = inputs['n']\n"
        "        return {'out': [list(range(n))]}\n"
    )
    Path("s.csv").write_text("n\n1\n2\n3\n")
    invoke("pack", "m.py", "--name", "m", "--sample", "s.csv").ok()
    manifest = yaml.safe_load(Path("models/m/1/model.yaml").read_text())
    assert (manifest["rows"], manifest["outputs"][0]["shape"]) == ("one", [-1])
    assert invoke("predict", "models/m/1", "--data", '{"n": 4}').ok().json == {"out": [0, 1, 2, 3]}


def test_a_class_that_draws_at_random_packs_as_one_that_varies(invoke: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "import numpy as np\n"
        "class Model:\n"
        "    def predict(self, inputs):\n"
        "        return {'drawn': np.random.default_rng().normal(inputs['mean'])}\n"
    )
    (tmp_path / "s.csv").write_text("mean\n1.5\n2.5\n")
    arguments = ("pack", "m.py", "--name", "m", "--sample", "s.csv")
    assert "depends on the rows sent with it" in invoke(*arguments).err
    assert "contradict each other" in invoke(*arguments, "--varies", "--pure").err
    invoke(*arguments, "--varies").ok()
    invoke("check", "models/m/1").ok()
    drawn = [invoke("predict", "models/m/1", "--data", '{"mean": 3}', "--json").ok().json for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_a_class_may_write_into_what_it_gets(tmp_path: Path, invoke: Invoke) -> None:
    lines = ("class Model:", "    def predict(self, inputs):", "        inputs['x'] *= 2", "        return inputs")
    Path("model.py").write_text("\n".join(lines))
    pd.DataFrame({"x": np.arange(40) / 4}).to_csv("sample.csv", index=False)
    invoke("pack", "model.py", "--name", "m", "--sample", "sample.csv").ok()
    invoke("check", "models/m/1").ok()
    assert json.loads(invoke("predict", "models/m/1", "--data", '{"x": 3.5}').out) == {"x": 7.0}


def write_class(*lines: str) -> None:
    Path("model.py").write_text("\n".join(["class Model:", *(f"    {line}" for line in lines)]))
    pd.DataFrame({"x": [1, 3, 2]}).to_csv("sample.csv", index=False)


def test_a_row_without_a_finding_is_an_empty_list(invoke: Invoke) -> None:
    write_class("rows = 'one'", "def predict(self, i):",
                "    return {'boxes': [[[float(k), 1.0] for k in range(i['x'][0])]]}")  # fmt: skip
    invoke("pack", "model.py", "--name", "m", "--sample", "sample.csv").ok()
    for count, boxes in ((2, [[0.0, 1.0], [1.0, 1.0]]), (0, [])):
        asked = invoke("predict", "models/m/1", "--data", json.dumps({"x": count})).ok()
        assert json.loads(asked.out) == {"boxes": boxes}
    pd.DataFrame({"x": [1, 0, 2]}).to_csv("sample.csv", index=False)
    invoke("pack", "model.py", "--name", "m", "--sample", "sample.csv").ok()
    manifest = yaml.safe_load(Path("models/m/2/model.yaml").read_text())
    assert manifest["outputs"][0]["shape"] == [-1, 2]


def test_an_answer_without_the_row_first_is_refused(invoke: Invoke) -> None:
    write_class("rows = 'one'", "def predict(self, i):", "    return {'box': [[1.0, 2.0], [3.0, 4.0]]}")
    refused = invoke("pack", "model.py", "--name", "m", "--sample", "sample.csv")
    assert refused.code == 1
    assert "output box has the shape [2, 2] for one row: return it with one row first" in refused.err


def test_a_model_of_one_thread_is_refused(invoke: Invoke) -> None:
    write_class(
        "def load(self, directory):",
        "    import sqlite3",
        "    self.base = sqlite3.connect(':memory:')",
        "def predict(self, i):",
        "    (one,) = self.base.execute('select 1').fetchone()",
        "    return {'y': i['x'] + one}",
    )
    refused = invoke("pack", "model.py", "--name", "m", "--sample", "sample.csv")
    assert refused.code == 1
    assert "answers only in the thread that loaded it" in refused.err


def test_what_a_model_prints_is_no_part_of_a_report(invoke: Invoke) -> None:
    write_class("def predict(self, i):", "    print('here'); return {'y': i['x'] * 2}")
    assert invoke("pack", "model.py", "--name", "m", "--sample", "sample.csv", "--json").ok().json["ok"]
    assert json.loads(invoke("predict", "models/m/1", "--data", '{"x": 2}').ok().out) == {"y": 4}


def test_a_model_may_change_the_working_directory(invoke: Invoke, tmp_path: Path) -> None:
    write_class("def load(self, directory):", "    import os; os.chdir('/')", "def predict(self, i):", "    return i")
    here = Path.cwd()
    try:
        run("pack", "model.py", "--name", "m", "--sample", "sample.csv", cwd=here).ok()
    finally:
        assert (here / "models/m/1/model.yaml").is_file()
