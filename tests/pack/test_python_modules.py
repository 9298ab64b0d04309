"""Python classes and pickles with files, folders and modules of their own beside them."""

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands import Result, post, run, serving
from modelhost.bundle.bundle import read_bundle
from modelhost.models.model import Model
from modelhost.models.runtimes.modules import PREFIX, BundleModules, importable

Invoke = Callable[..., Result]
Command = Callable[..., Result]

# Imports its helper at the top, another one in `predict`, and a module of a package.
PRICES = """
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rates import tax


@dataclass(frozen=True)
class Price:
    net: float

    def gross(self) -> float:
        return self.net * tax()


class Model:
    def predict(self, inputs):
        import shop.rounding
        from late import extra

        prices = [Price(net).gross() + extra() for net in inputs["net"].tolist()]
        return {"gross": np.array([shop.rounding.cents(price) for price in prices])}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_module_is_left() -> Iterator[None]:
    names = {"rates", "late", "shop", "scaling", "words"}
    yield
    assert not names & set(sys.modules)


def write_shop(folder: Path, tax: float, extra: float) -> None:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop/__init__.py").write_text("")
    (folder / "shop/rounding.py").write_text("import rates\n\n\ndef cents(x):\n    return round(x, rates.DIGITS)\n")
    (folder / "rates.py").write_text(f"DIGITS = 2\n\n\ndef tax():\n    return {tax}\n")
    (folder / "late.py").write_text(f"from rates import tax\n\n\ndef extra():\n    return {extra} + tax() - tax()\n")
    (folder / "prices.py").write_text(PRICES)
    (folder / "net.csv").write_text("net\n1.5\n2.25\n10\n")


def pack_shop(command: Command, folder: Path, name: str, *options: object) -> Result:
    beside = [argument for part in ("rates.py", "late.py", "shop") for argument in ("--with", folder / part)]
    return command("pack", folder / "prices.py", "--name", name, "--sample", folder / "net.csv", *beside, *options)


def test_two_bundles_with_modules_of_the_same_names_each_use_their_own(here: Path, invoke: Invoke) -> None:
    for name, tax, extra in (("swiss", 1.081, 0.5), ("german", 1.19, 7)):
        write_shop(here / name, tax, extra)
        pack_shop(invoke, here / name, name).ok()
    swiss, german = (Model.load(read_bundle(here / "models" / name / "1")) for name in ("swiss", "german"))
    rows = {"net": np.array([100.0])}
    for _ in range(2):  # the imports in `predict` are found anew, or again
        assert swiss.predict(rows)["gross"].tolist() == [108.6]
        assert german.predict(rows)["gross"].tolist() == [126.0]


def test_a_server_keeps_the_modules_of_two_bundles_apart(here: Path, modelhost: Command) -> None:
    for name, tax, extra in (("swiss", 1.081, 0.5), ("german", 1.19, 7)):
        write_shop(here / name, tax, extra)
        pack_shop(modelhost, here / name, name).ok()
    with serving("models", cwd=here) as url:
        answers = [post(f"{url}/models/{name}/predict", {"net": 100}) for name in ("swiss", "german", "swiss")]
    assert [answer["gross"] for answer in answers] == [108.6, 126.0, 108.6]


def test_a_bundle_answers_alike_in_any_directory_and_whatever_the_path(here: Path, modelhost: Command) -> None:
    write_shop(here / "own", 1.5, 0)
    pack_shop(modelhost, here / "own", "own").ok()
    write_shop(here / "other", 99, 99)
    bundle = here / "models/own/1"
    for folder in (here / "own", here / "other", Path("/")):
        run("check", bundle, cwd=folder).ok()
        assert run("predict", bundle, "--data", '{"net": 2}', cwd=folder).ok().json == {"gross": 3.0}


def test_nothing_is_written_beside_a_bundles_modules(here: Path, invoke: Invoke) -> None:
    write_shop(here / "own", 1, 0)
    (here / "own/shop/__pycache__").mkdir()
    (here / "own/shop/__pycache__/rounding.cpython-311.pyc").write_bytes(b"old")
    pack_shop(invoke, here / "own", "own").ok()
    invoke("predict", "models/own/1").ok()
    files = {path.relative_to(here / "models/own/1").as_posix() for path in (here / "models/own/1").rglob("*.*")}
    assert files == {
        "golden.json", "late.py", "model.py", "model.yaml", "rates.py", "shop/__init__.py", "shop/rounding.py",
        "statistics.json",
    }  # fmt: skip
    listed = yaml.safe_load((here / "models/own/1/model.yaml").read_text())["files"]
    assert set(listed) == files - {"model.yaml"}


def test_a_changed_file_in_a_folder_is_noticed(here: Path, invoke: Invoke) -> None:
    write_shop(here / "own", 1, 0)
    pack_shop(invoke, here / "own", "own").ok()
    (here / "models/own/1/shop/rounding.py").write_text("")
    result = invoke("check", "models/own/1")
    assert result.code == 1
    assert "files[shop/rounding.py]" in result.err


def test_modules_are_forgotten_with_their_model(here: Path, invoke: Invoke) -> None:
    write_shop(here / "own", 1, 0)
    pack_shop(invoke, here / "own", "own").ok()
    before = {name for name in sys.modules if name.startswith(PREFIX)}
    model = Model.load(read_bundle(here / "models/own/1"))
    assert {name.rpartition(".")[2] for name in sys.modules if name.startswith(PREFIX)} >= {"rates", "late", "rounding"}
    del model
    assert {name for name in sys.modules if name.startswith(PREFIX)} == before


def test_a_missing_module_is_named_with_the_option_that_brings_it(here: Path, invoke: Invoke) -> None:
    write_shop(here / "own", 1, 0)
    result = invoke("pack", "own/prices.py", "--name", "own", "--sample", "own/net.csv")
    assert result.code == 1
    assert (
        f"No module named 'rates' (line 7): {here}/own/rates.py is there, so add --with {here}/own/rates.py"
        in result.err
    )
    assert not (here / "models").exists()


def test_an_error_in_a_helper_is_told_with_its_line(here: Path, invoke: Invoke) -> None:
    write_shop(here / "own", 1, 0)
    (here / "own/rates.py").write_text("DIGITS = 2\n1 / 0\n")
    assert "division by zero (rates.py, line 2)" in pack_shop(invoke, here / "own", "own").err


def test_what_is_imported_from_elsewhere_is_refused_with_what_to_add(here: Path, modelhost: Command) -> None:
    write_shop(here / "own", 1, 0)
    result = modelhost("pack", "own/prices.py", "--name", "own", "--sample", "own/net.csv", "--with", "own/late.py",
                       "--with", "own/shop", PYTHONPATH=os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(here / "own"), APP]))  # fmt: skip  # noqa: E501
    assert result.code == 1
    assert (
        f"here it is {here}/own/rates.py, which the server will not have: add --with {here}/own/rates.py" in result.err
    )


APP = str(Path(importlib.import_module("modelhost").__file__ or "").parents[1])

READS = """
class Model:
    def load(self, directory):
        self.words = (directory / {path!r}).read_text().split()

    def predict(self, inputs):
        return {{"known": [text in self.words for text in inputs["text"]]}}
"""


@pytest.mark.parametrize(
    ("given", "path"), [("lists/en/words.txt", "words.txt"), ("lists", "lists/en/words.txt"),
     ("lists/en", "en/words.txt")],
)  # fmt: skip
def test_load_finds_files_and_folders_as_on_the_server(here: Path, invoke: Invoke, given: str, path: str) -> None:
    (here / "lists/en").mkdir(parents=True)
    (here / "lists/en/words.txt").write_text("good bad")
    (here / "known.py").write_text(READS.format(path=path))
    (here / "texts.csv").write_text("text\ngood\nugly\n")
    invoke("pack", "known.py", "--name", "known", "--sample", "texts.csv", "--with", given).ok()
    assert invoke("predict", "models/known/1", "--data", '{"text": "bad"}').ok().json == {"known": True}


OPENS = """
from pathlib import Path

class Model:
    def load(self, directory):
        {load}

    def predict(self, inputs):
        {predict}
        return {{"known": [text in self.words for text in inputs["text"]]}}
"""


@pytest.mark.parametrize("verb", ["load", "predict"])
@pytest.mark.parametrize("path", ["words.txt", "/gone/words.txt"])
def test_a_file_that_is_opened_elsewhere_than_in_the_bundle_is_said_to_be(
    here: Path, invoke: Invoke, verb: str, path: str
) -> None:
    """Also one that is there while the class is packed, since it will not be on the server."""
    (here / "words.txt").write_text("good bad")
    lines = {"load": "pass", "predict": "pass"} | {verb: f"self.words = Path({path!r}).read_text().split()"}
    source = OPENS.format(**lines)
    (here / "known.py").write_text(source)
    (here / "texts.csv").write_text("text\ngood\nugly\n")
    result = invoke("pack", "known.py", "--name", "known", "--sample", "texts.csv")
    assert result.code == 1
    assert (
        f"{path} does not lead into the bundle's directory: open directory / 'words.txt' in load(self, directory), "
        "and pack the file with --with" in result.err
    )


@pytest.mark.parametrize(
    ("options", "path", "said"),
    [
        (["--with", "lists"], "words.txt", ": the bundle has lists/en/words.txt"),
        ([], "lists/en/words.txt", "add --with {here}/lists"),
        (["--with", "lists", "--with", "other/lists"], "lists/en/words.txt", "--with lists has a lists already"),
        (["--with", "model.py"], "x", "the bundle has a model.py already"),
        (["--with", "loop"], "x", "loop cannot be copied into the bundle"),
    ],
)
def test_what_is_missing_or_there_twice_is_told(
    here: Path, invoke: Invoke, options: list[str], path: str, said: str
) -> None:
    for folder in ("lists/en", "other/lists", "loop"):
        (here / folder).mkdir(parents=True)
    (here / "lists/en/words.txt").write_text("good bad")
    (here / "loop/again").symlink_to(here / "loop")
    (here / "model.py").write_text("")
    (here / "known.py").write_text(READS.format(path=path))
    (here / "texts.csv").write_text("text\ngood\nugly\n")
    result = invoke("pack", "known.py", "--name", "known", "--sample", "texts.csv", *options)
    assert result.code == 1
    assert said.format(here=here) in result.err


def test_a_class_that_writes_into_its_bundle_is_refused(here: Path, invoke: Invoke) -> None:
    (here / "writes.py").write_text(
        "class Model:\n    def load(self, directory):\n        (directory / 'cache').write_text('x')\n\n"
        "    def predict(self, inputs):\n        return {'n': inputs['n']}\n"
    )
    (here / "n.csv").write_text("n\n1\n2\n")
    result = invoke("pack", "writes.py", "--name", "writes", "--sample", "n.csv")
    assert result.code == 1
    assert "wrote or removed cache in the bundle's folder" in result.err


def test_a_folder_of_data_does_not_hide_an_installed_package(here: Path) -> None:
    (here / "json").mkdir()
    (here / "json/data.txt").write_text("")
    (here / "own").mkdir()
    (here / "own/part.py").write_text("HERE = True\n")
    (here / "main.py").write_text("import json\nimport own.part\n")
    modules = BundleModules(here, "m")
    module = modules.run("main.py")
    assert module.json.dumps(module.own.part.HERE) == "true"
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'own\.other'$"):
        vars(module)["__builtins__"]["__import__"]("own.other")


# Pickles

STEP = """
from sklearn.base import BaseEstimator, TransformerMixin

import words


class Add(TransformerMixin, BaseEstimator):
    def fit(self, rows, target=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        from late import factor

        return rows * factor() + words.SUMMAND
"""


def write_steps(folder: Path, summand: int, factor: int) -> list[object]:
    """A pickle whose first step is in a module of its own; the options that bring this and its helpers."""
    folder.mkdir()
    (folder / "scaling.py").write_text(STEP)
    (folder / "words.py").write_text(f"SUMMAND = {summand}\n")
    (folder / "late.py").write_text(f"def factor():\n    return {factor}\n")
    train = (
        "import joblib, numpy as np\nfrom scaling import Add\nfrom sklearn.linear_model import LinearRegression\n"
        "from sklearn.pipeline import make_pipeline\nrows = np.random.default_rng(0).normal(size=(20, 2))\n"
        "joblib.dump(make_pipeline(Add(), LinearRegression()).fit(rows, rows.sum(axis=1)), 'm.joblib')\n"
        "np.savetxt('rows.csv', rows, delimiter=',', header='a,b', comments='')\n"
    )
    (folder / "train.py").write_text(train)
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True)
    beside = [argument for part in ("scaling", "words", "late") for argument in ("--with", folder / f"{part}.py")]
    return [folder / "m.joblib", "--sample", folder / "rows.csv", "--allow-pickle", *beside]


def predictions(model: Model) -> Any:
    (reader,) = model.inputs
    return model.predict({reader.name: np.array([[1.0, 2.0]])})["prediction"].round(6).tolist()


def test_pickles_find_their_own_modules_of_equal_names(here: Path, invoke: Invoke) -> None:
    for name, summand, factor in (("one", 0, 1), ("two", 5, 10)):
        options = write_steps(here / name, summand, factor)
        invoke("pack", "--name", name, *options).ok()
    one, two = (Model.load(read_bundle(here / "models" / name / "1")) for name in ("one", "two"))
    for _ in range(2):
        assert predictions(one) == [3.0]
        assert predictions(two) == [3.0]
    (step, _) = (each._runtime._estimator[0] for each in (one, two))
    assert type(step).__module__.startswith(PREFIX)
    run("check", here / "models/one/1", here / "models/two/1", "--allow-pickle", cwd=Path("/")).ok_if_not_slow()
    with serving("models", "--allow-pickle", cwd=here) as url:
        assert round(post(f"{url}/models/two/predict", {"a": 1, "b": 2})["prediction"], 6) == 3


def test_a_pickle_without_its_module_is_told_which(here: Path, invoke: Invoke) -> None:
    model, *options = write_steps(here / "one", 0, 1)
    result = invoke("pack", "--name", "one", model, *options[:3])
    assert result.code == 1
    assert "needs the module scaling" in result.err
    assert f"add --with {here}/one/scaling.py" in result.err


def test_unpickling_leaves_the_modules_of_others_as_they_were(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "scaling.py").write_text("class Add:\n    def __init__(self):\n        self.x = 1\n")
    with importable(here):
        sent = pickle.dumps(importlib.import_module("scaling").Add())
    other = type(sys)("scaling")
    monkeypatch.setitem(sys.modules, "scaling", other)
    modules = BundleModules(here, "m")
    with modules.unpickling():
        found = pickle.loads(sent)
    assert found.x == 1
    assert type(found).__module__ == f"{modules.package}.scaling"
    assert sys.modules["scaling"] is other
    assert pickle.loads(pickle.dumps(found)).x == 1, "later, by the name that no other bundle has"
    monkeypatch.delitem(sys.modules, "scaling")


def test_a_folders_files_are_beside_the_class_where_it_looks_for_them_there(invoke: Invoke, tmp_path: Path) -> None:
    """As on the trainer's machine, where the class lay in that folder or was given its path."""
    (tmp_path / "data" / "more").mkdir(parents=True)
    (tmp_path / "data" / "words.txt").write_text("a b")
    (tmp_path / "data" / "more" / "last.txt").write_text("c")
    (tmp_path / "m.py").write_text(
        "import numpy as np\n"
        "class Model:\n"
        "    def load(self, directory):\n"
        "        self.words = [(directory / p).read_text() for p in ('words.txt', 'more/last.txt')]\n"
        "    def predict(self, inputs):\n"
        "        return {'n': np.full(len(inputs['text']), len(self.words))}\n"
    )
    (tmp_path / "s.csv").write_text("text\na\nb\n")
    invoke("pack", "m.py", "--name", "m", "--sample", "s.csv", "--with", "data").ok()
    assert (tmp_path / "models/m/1/more/last.txt").read_text() == "c"
    assert invoke("predict", "models/m/1", "--data", '{"text": "x"}', "--json").ok().json == [{"n": 2}]
