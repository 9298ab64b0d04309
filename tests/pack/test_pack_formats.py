"""ONNX of other makers, Python classes, and bundles made to harm."""

import hashlib
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import skops.io
import yaml
from commands import Result
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.models.model import Model
from modelhost.models.runtimes import skops as skops_runtime
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from trained import train

Invoke = Callable[..., Result]
SUM = "import numpy as np\n\n\nclass Model:\n    def predict(self, inputs):\n        return {'total': %s}\n"


def manifest(bundle: Path) -> Any:
    return yaml.safe_load((bundle / "model.yaml").read_text())


def graph(nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> Any:
    """An ONNX model of float tensors, each named with its shape."""
    infos = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values]
        for values in (inputs, outputs)
    ]
    return helper.make_model(
        helper.make_graph(nodes, "g", *infos), opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )


def pack(invoke: Invoke, model: Any, sample: Any, *options: object) -> Result:
    """Packs an ONNX model, or the source of a Python one, as `m`."""
    file = Path("model.py" if isinstance(model, str) else "model.onnx")
    if isinstance(model, str):
        file.write_text(model)
    else:
        onnx.save(model, file)
    if isinstance(sample, str):
        Path("sample.csv").write_text(sample)
        return invoke("pack", file, "--name", "m", "--sample", "sample.csv", "--json", *options)
    np.savez("sample.npz", **sample)
    return invoke("pack", file, "--name", "m", "--sample", "sample.npz", "--json", *options)


def test_dictionaries_of_probabilities_become_an_array(invoke: Invoke, tmp_path: Path) -> None:
    trained = train("logistic")
    _, sample = trained.write(tmp_path)
    model = to_onnx(trained.model, np.zeros((1, 4), np.float32), target_opset=18)  # ZipMap is its default
    found = pack(invoke, model, sample.read_text()).ok().json
    assert "arrays now, where a ZipMap gave dictionaries" in found["notes"][0]
    predicted = invoke("predict", "models/m/1", "--file", "sample.csv", "--json").ok().json
    assert [row["output_label"] for row in predicted] == trained.answers["label"]
    (probabilities,) = set(predicted[0]) - {"output_label"}
    np.testing.assert_allclose(
        [row[probabilities] for row in predicted], trained.answers["probabilities"], rtol=1e-4, atol=1e-4
    )


def test_columns_of_one_become_scalars(invoke: Invoke) -> None:
    model = graph(
        [helper.make_node("Add", ["a", "b"], ["sum"])], [("a", ["n", 1]), ("b", ["n", 1])], [("sum", ["n", 1])]
    )
    pack(invoke, model, "a,b\n1,2\n3,4.5\n").ok()
    assert [schema["shape"] for schema in manifest(Path("models/m/1"))["inputs"]] == [[], []]
    assert invoke("predict", "models/m/1", "--data", '{"a": 3, "b": 4.5}', "--json").ok().json == [{"sum": [7.5]}]


def test_a_model_for_one_row_only_is_asked_row_by_row(invoke: Invoke) -> None:
    model = graph([helper.make_node("Neg", ["a"], ["b"])], [("a", [1, 2])], [("b", [1, 2])])
    pack(invoke, model, "x,y\n1,2\n3,4\n").ok()
    assert manifest(Path("models/m/1"))["rows"] == "one"
    answers = invoke("predict", "models/m/1", "--file", "sample.csv", "--json").ok().json
    assert answers == [{"b": [-1, -2]}, {"b": [-3, -4]}]


def test_a_sample_of_another_shape_is_refused_in_the_models_terms(invoke: Invoke) -> None:
    model = graph([helper.make_node("Neg", ["a"], ["b"])], [("a", ["n", 2])], [("b", ["n", 2])])
    assert "the model takes a [2]; the sample has x []" in pack(invoke, model, "x\n1\n").json["error"]
    wide = pack(invoke, model, {"a": np.zeros((3, 5), np.float32)})
    assert "input a takes rows of [2], or one of [n, 2] a call, not of [5]" in wide.json["error"]


def test_weights_in_other_files_come_along(invoke: Invoke) -> None:
    model = graph([helper.make_node("Add", ["a", "w"], ["b"])], [("a", ["n", 300])], [("b", ["n", 300])])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(300, dtype=np.float32), "w"))
    onnx.save(model, "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    np.savez("sample.npz", a=np.ones((3, 300), np.float32))
    invoke("pack", "model.onnx", "--name", "m", "--sample", "sample.npz").ok()
    assert invoke("predict", "models/m/1", "--json").ok().json[0]["b"][:3] == [1, 2, 3]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("inputs['a'].sum(keepdims=True)", "its rows must come first"),
        ("inputs['a'] - inputs['a'].mean()", "the model's answer to a row depends on the rows sent with it"),
        (
            "(a for a in ()).throw(__import__('modelhost').InvalidInput('a is odd'))",
            "the model itself refuses a row of the sample: a is odd. Leave such rows out",
        ),
        ("1 / 0", "the model cannot predict the sample: ZeroDivisionError"),
        ("inputs['c']", "the model cannot predict the sample: KeyError: 'c' (line 6): its inputs are a and b"),
    ],
)
def test_a_python_model_that_breaks_the_contract_is_refused(invoke: Invoke, answer: str, said: str) -> None:
    result = pack(invoke, SUM % answer, "a,b\n1,2\n3,4\n")
    assert result.code == 1
    assert said in result.json["error"]


def test_a_python_model_gets_arrays_and_the_files_beside_it(invoke: Invoke) -> None:
    Path("offset.txt").write_text("100")
    source = SUM.replace("    def predict", "    def load(self, directory):\n        "
                         "self.offset = int((directory / 'offset.txt').read_text())\n\n    def predict")  # fmt: skip
    pack(invoke, source % "inputs['a'] + inputs['b'] + self.offset", "a,b\n1,2\n3,4\n", "--with", "offset.txt").ok()
    assert set(manifest(Path("models/m/1"))["files"]) == {"golden.json", "model.py", "offset.txt", "statistics.json"}
    assert invoke("predict", "models/m/1", "--data", '{"a": 5, "b": 6}', "--json").ok().json == [{"total": 111}]


def test_a_file_beside_a_model_does_not_take_the_place_of_the_bundles_own(invoke: Invoke) -> None:
    Path("golden.json").write_text("[]")
    result = pack(invoke, SUM % "inputs['a']", "a\n1\n2\n", "--with", "golden.json")
    assert result.code == 1
    assert "the bundle has a golden.json already" in result.json["error"]


class Trap:
    """Unpickled, it leaves a file."""

    def __reduce__(self) -> Any:
        return (open, ("sprung", "w"))


def forge(tmp_path: Path, kind: str, content: bytes, **fields: object) -> Path:
    """A bundle of the given format and content, with right digests."""
    bundle = tmp_path / "trap/1"
    bundle.mkdir(parents=True)
    (bundle / "model.bin").write_bytes(content)
    (bundle / "golden.json").write_text('[{"inputs": {"a": 1}, "outputs": {"label": 1}}]')
    files = {file: hashlib.sha256((bundle / file).read_bytes()).hexdigest() for file in ("model.bin", "golden.json")}
    said = {
        "name": "trap", "version": 1, "description": "", "format": kind, "entry": "model.bin", "files": files,
        "inputs": [{"name": "a", "datatype": "FP64", "shape": []}],
        "outputs": [{"name": "label", "datatype": "INT64", "shape": []}], "golden": "golden.json",
    }  # fmt: skip
    (bundle / "model.yaml").write_text(yaml.safe_dump(said | fields))
    return bundle


def test_a_pickle_is_not_opened_unless_the_bundle_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = forge(tmp_path, "pickle", pickle.dumps(Trap()))
    with pytest.raises(BundleError, match="allow_pickle is False: write true if whoever made the pickle"):
        Model.load(read_bundle(bundle))
    assert not Path("sprung").exists()


@pytest.mark.parametrize("kind", ["skops", "lightgbm", "xgboost", "catboost", "onnx"])
def test_a_pickle_under_another_formats_name_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = forge(tmp_path, kind, pickle.dumps(Trap()))
    with pytest.raises(BundleError, match=r"trap/1/model\.yaml: entry model\.bin cannot be loaded"):
        Model.load(read_bundle(bundle))
    assert not Path("sprung").exists()


def test_a_pickle_changed_since_it_was_checked_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = read_bundle(forge(tmp_path, "pickle", pickle.dumps(1), allow_pickle=True))
    (bundle.directory / "model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(BundleError, match=r"allow_pickle does not hold for model\.bin"):
        Model.load(bundle)
    assert not Path("sprung").exists()


def test_allow_pickle_is_refused_where_nothing_is_pickled(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="allow_pickle is True: write false: nothing is unpickled"):
        read_bundle(forge(tmp_path, "onnx", b"", allow_pickle=True))


def test_untrusted_types_are_named_and_not_made(tmp_path: Path) -> None:
    from steps import Waves

    bundle = read_bundle(forge(tmp_path, "skops", skops.io.dumps(Waves())))
    with pytest.raises(BundleError, match=r"holds types that are not trusted \(steps.Waves\)"):
        Model.load(bundle)


@pytest.mark.parametrize(
    "name",
    ["sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "numpy.dtype",
     "scipy.interpolate._bsplines.BSpline", "lightgbm.basic.Booster", "xgboost.sklearn.XGBClassifier", "numpy.log1p",
     "sklearn.metrics.pairwise.rbf_kernel", "sklearn.feature_selection._univariate_selection.f_classif"],
)  # fmt: skip
def test_what_only_holds_numbers_is_trusted(name: str) -> None:
    assert skops_runtime.is_trusted(name)


@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "joblib.memory.Memory", "numpy.load", "numpy.memmap", "scipy.io.loadmat",
     "numpy.testing._private.utils.runstring", "numpy.lib._npyio_impl.NpzFile", "operator.methodcaller",
     "sklearn.datasets._base.load_files", "sklearn.utils.parallel._FuncWrapper", "sklearn.externals.joblib.load",
     "sklearn.metrics.pairwise.Parallel", "sklearn.metrics._classification.warnings",
     "sklearn.tests.test_base.K", "sklearn.conftest.raccoon_face_fd", "lightgbm.basic.Dataset", "steps.Waves"],
)  # fmt: skip
def test_what_reads_files_or_runs_others_code_is_not_trusted(name: str) -> None:
    assert not skops_runtime.is_trusted(name)


@pytest.mark.parametrize(("kind", "library"), [(kind, kind) for kind in ("catboost", "lightgbm", "skops", "xgboost")])
def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    for module in [name for name in sys.modules if name == library or name.startswith(library + ".")]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"modelhost.models.runtimes.{kind}", raising=False)
    with pytest.raises(
        BundleError, match=rf"format is {kind}, which needs the library {library}.*: install modelhost\[{kind}\]"
    ):
        Model.load(read_bundle(forge(tmp_path, kind, b"")))
