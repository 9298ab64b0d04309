"""modelhost pack: models of every format become bundles that answer as their own library does."""

import json
import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from commands import ROOT, Result, post, serving
from modelhost.bundle.bundle import read_bundle
from modelhost.cli import main
from modelhost.models.model import Model
from modelhost.protocols import jsonschema
from trained import TRAINERS, Trained, train

Invoke = Callable[..., Result]
Packed = Callable[[str], tuple[Path, Any]]

# Third parties' words to one another, which a trainer cannot heed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:onnx"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:skl2onnx"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:onnxmltools"),
]


@pytest.fixture
def pack(invoke: Invoke, tmp_path: Path) -> Callable[..., Result]:
    """Packs one of the trained models as `m`."""

    def command(trained: Trained, *options: object) -> Result:
        model, sample = trained.write(tmp_path)
        return invoke("pack", model, "--name", "m", "--sample", sample, "--json", *options)

    return command


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """The bundle of a trained model and what packing it said; made once for all tests that only read it."""

    @cache
    def bundle(name: str) -> tuple[Path, Any]:
        directory = tmp_path_factory.mktemp(name)
        model, sample = train(name).write(directory)
        options = ["--name", "m", "--sample", str(sample), "--into", str(directory), "--json"]
        ended = CliRunner().invoke(main, ["pack", str(model), *options])
        assert ended.exit_code == 0, ended.output
        return directory / "m/1", json.loads(ended.stdout)

    return bundle


def manifest(bundle: Path) -> Any:
    return yaml.safe_load((bundle / "model.yaml").read_text())


def assert_answers_alike(predicted: list[dict[str, Any]], answers: dict[str, list[Any]]) -> None:
    """Every row of `predicted` is what the model's own library answered."""
    assert set(predicted[0]) == set(answers)
    for name, wanted in answers.items():
        got = [row[name] for row in predicted]
        if isinstance(wanted[0], str | int):
            assert got == wanted
        else:
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(TRAINERS) - {"catboost-counts", "catboost-mixed", "waves"}))
def test_a_model_is_converted_and_answers_the_whole_sample_alike(packed: Packed, invoke: Invoke, name: str) -> None:
    bundle, found = packed(name)
    assert (found["bundle"], found["format"]) == (str(bundle), "onnx")
    conversion = found["conversion"]
    assert conversion["converted"]
    assert conversion["labels_changed"] == conversion["rows_beyond_tolerance"] == 0
    assert conversion["largest_difference"] < 0.05
    assert conversion["times_faster"] > 0
    predicted = invoke("predict", bundle, "--file", bundle.parents[1] / "sample.csv", "--json").ok().json
    assert_answers_alike(predicted, train(name).answers)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("forest", "skops"), ("mixed", "skops"),
     ("lightgbm", "lightgbm"),
     ("xgboost", "xgboost"),
     ("catboost", "catboost"), ("catboost-counted", "catboost"), ("catboost-regression", "catboost")],
)  # fmt: skip
def test_a_model_in_its_native_form_answers_the_whole_sample_alike(
    pack: Invoke, invoke: Invoke, name: str, kept: str
) -> None:
    found = pack(train(name), "--no-convert").ok().json
    assert found["format"] == manifest(Path("models/m/1"))["format"] == kept
    assert found["conversion"] == {
        "converted": False, "reason": "--no-convert was given",
        "said": "kept native: --no-convert was given",
    }  # fmt: skip
    predicted = invoke("predict", "models/m/1", "--file", "sample.csv", "--json").ok().json
    assert_answers_alike(predicted, train(name).answers)


def test_the_order_of_probabilities_is_said(invoke: Invoke, packed: Packed, tmp_path: Path) -> None:
    bundle, found = packed("logistic")
    assert found["classes"] == ["setosa", "versicolor", "virginica"]
    documented = jsonschema.prediction(Model.load(read_bundle(bundle)))["properties"]["probabilities"]
    assert documented["description"] == "Of each class, in this order: setosa, versicolor, virginica"
    model, sample = train("logistic").write(tmp_path)
    said = invoke("pack", model, "--name", "m", "--sample", sample).ok().out
    assert "\n  probabilities are of setosa, versicolor and virginica, in this order\n" in said


def test_the_bundle_tells_all_that_could_be_found_out(packed: Packed) -> None:
    bundle, _ = packed("logistic")
    said = manifest(bundle)
    assert said["description"] == "Pipeline(StandardScaler, LogisticRegression), packed from model.joblib"
    (features,) = said["inputs"]
    assert [feature["name"] for feature in features["features"]] == list(train("logistic").columns)
    label, probabilities = said["outputs"]
    assert (label["datatype"], label["shape"]) == ("BYTES", [])
    assert probabilities["description"] == "Of each class, in this order: setosa, versicolor, virginica"
    assert set(said["files"]) == {"model.onnx", "golden.json", "statistics.json"}
    assert said["origin"]["library"].startswith("scikit-learn ")
    assert said["origin"]["conversion"].startswith("converted to ONNX: 0 of 150 labels changed")
    assert set(said["objectives"]) == {"latency_ms", "memory_mb"}
    examples = json.loads((bundle / "golden.json").read_text())
    assert {example["outputs"]["label"] for example in examples} == {"setosa", "versicolor", "virginica"}


def test_the_statistics_describe_the_sample(packed: Packed) -> None:
    found = json.loads((packed("mixed")[0] / "statistics.json").read_text())
    columns = train("mixed").columns
    assert found["rows"] == 200
    assert found["inputs"]["age"]["mean"] == pytest.approx(np.mean(columns["age"]))
    assert found["inputs"]["income"]["deciles"][5] == pytest.approx(np.median(columns["income"]))
    assert found["inputs"]["city"]["values"]["Bern"] == columns["city"].count("Bern")
    assert sum(found["outputs"]["label"]["values"].values()) == 200


def test_columns_of_text_and_numbers_are_inputs_of_their_own(packed: Packed) -> None:
    inputs = {schema["name"]: schema for schema in manifest(packed("mixed")[0])["inputs"]}
    assert [inputs[name]["shape"] for name in ("age", "income", "city")] == [[], [], []]
    assert inputs["city"]["datatype"] == "BYTES"


def test_a_model_that_no_converter_knows_is_refused_with_the_type_and_kept_as_a_pickle_if_allowed(
    pack: Invoke, invoke: Invoke
) -> None:
    refused = pack(train("waves"))
    assert refused.code == 1
    assert "the model holds code of others (steps.Waves)" in refused.json["error"]
    assert not list(Path().glob("models/*")), "a failure leaves nothing behind"

    typed = refused.json["error"].rpartition(" of yours: ")[2]
    assert typed.startswith("modelhost pack ")
    again = invoke(*shlex.split(typed)[1:])
    assert again.json == pack(train("waves"), "--allow-pickle").json, typed

    alone = pack(train("waves"), "--allow-pickle")
    assert "add --with" in alone.json["error"]
    found = pack(train("waves"), "--allow-pickle", "--with", Path(__file__).with_name("steps.py")).ok().json
    assert found["format"] == "pickle"
    assert not found["conversion"]["converted"]
    assert "Waves" in found["conversion"]["reason"]
    assert manifest(Path("models/m/1"))["allow_pickle"] is True
    asked = ["predict", "models/m/1", "--file", "sample.csv", "--json"]
    predicted = invoke(*asked, "--allow-pickle").ok().json
    assert_answers_alike(predicted, train("waves").answers)


@pytest.mark.parametrize("command", ["predict", "check", "serve"])
def test_a_pickle_is_opened_by_no_command_that_was_not_told_to(
    pack: Invoke, invoke: Invoke, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(train("waves"), "--allow-pickle", "--with", Path(__file__).with_name("steps.py")).ok()
    refused = invoke(command, "models/m/1")
    assert refused.code == 1
    assert "m/1/model.yaml: format is pickle, which can run any code on this machine" in refused.err
    assert refused.err.rstrip().endswith(f"modelhost {command} models/m/1 --allow-pickle")
    monkeypatch.setenv("MODELHOST_ALLOW_PICKLE", "other")
    assert "format is pickle" in invoke(command, "models/m/1").err


def test_a_pickle_is_served_where_that_is_said(pack: Invoke, tmp_path: Path) -> None:
    found = pack(train("waves"), "--allow-pickle", "--with", Path(__file__).with_name("steps.py")).ok()
    assert found.json["format"] == "pickle"
    row = json.loads(Path("models/m/1/golden.json").read_text())[0]["inputs"]
    path = f"{ROOT / 'app'}:{ROOT / 'tests/pack'}"
    with serving("models/m/1", "--allow-pickle", cwd=tmp_path, PYTHONPATH=path) as url:
        post(f"{url}/models/m/predict", row)
    with serving("models/m/1", cwd=tmp_path, PYTHONPATH=path, MODELHOST_ALLOW_PICKLE="m") as url:
        post(f"{url}/models/m/predict", row)


def test_a_model_that_its_converter_fails_on_stays_native_and_the_reason_is_told(pack: Invoke) -> None:
    from sklearn.preprocessing import SplineTransformer

    found = pack(_fitted(SplineTransformer())).ok().json
    assert found["format"] == "skops"
    assert "ONNX with inputs of FP32: MissingShapeCalculator: " in found["conversion"]["reason"]
    assert found["conversion"]["said"] == (
        "kept native, since its ONNX form cannot be made: Unable to find a shape calculator for type SplineTransformer"
    )
    assert manifest(Path("models/m/1"))["origin"]["conversion"] == f"kept native: {found['conversion']['reason']}"


def _fitted(estimator: Any) -> Trained:
    rows = np.random.default_rng(2).normal(size=(60, 2)).round(3)
    return Trained(estimator.fit(rows), {"a": rows[:, 0].tolist(), "b": rows[:, 1].tolist()}, {})


@pytest.mark.parametrize(
    ("name", "reason"),
    [("catboost-mixed", "CatBoost's export takes one array of float32"),
     ("catboost-counts", "rows beyond the tolerance")],  # the export leaves out that they are exponents
)  # fmt: skip
def test_what_onnx_cannot_have_of_catboost_stays_native_and_answers_alike(
    pack: Invoke, invoke: Invoke, name: str, reason: str
) -> None:
    found = pack(train(name)).ok().json
    assert found["format"] == manifest(Path("models/m/1"))["format"] == "catboost"
    assert reason in found["conversion"]["reason"]
    predicted = invoke("predict", "models/m/1", "--file", "sample.csv", "--json").ok().json
    assert_answers_alike(predicted, train(name).answers)


def test_catboosts_own_file_is_read_with_its_names_and_categories(invoke: Invoke, tmp_path: Path) -> None:
    trained = train("catboost-mixed")
    trained.write(tmp_path)
    trained.model.save_model("model.cbm")
    invoke("pack", "model.cbm", "--name", "m", "--sample", "sample.csv").ok()
    said = manifest(Path("models/m/1"))
    datatypes = {schema["name"]: schema["datatype"] for schema in said["inputs"]}
    assert datatypes == {"age": "FP64", "city": "BYTES", "rooms": "INT64", "income": "FP64"}
    assert said["outputs"][0]["datatype"] == "BYTES"
    predicted = invoke("predict", "models/m/1", "--file", "sample.csv", "--json").ok().json
    assert_answers_alike(predicted, trained.answers)


def test_a_conversion_beyond_the_tolerance_is_not_taken_and_the_reason_told(pack: Invoke) -> None:
    found = pack(train("xgboost-regression"), "--tolerance", "0").ok().json
    assert found["format"] == "xgboost"
    assert "rows beyond the tolerance, largest difference" in found["conversion"]["reason"]
    said = r"kept native, since its ONNX form answers otherwise: \d+ of \d+ labels changed, \d+ rows beyond the "
    assert re.fullmatch(said + r"tolerance, largest difference \S+", found["conversion"]["said"])


def test_may_differ_takes_a_conversion_that_is_not_exact_and_its_golden_rows_agree(pack: Invoke) -> None:
    exact = pack(train("xgboost-regression"), "--tolerance", "6e-7").ok().json
    assert exact["format"] == "xgboost"
    assert "rows beyond the tolerance" in exact["conversion"]["reason"]
    near = pack(train("xgboost-regression"), "--tolerance", "6e-7", "--may-differ", "0.95").ok().json
    assert near["format"] == "onnx"
    assert 0 < near["conversion"]["rows_beyond_tolerance"] < 120


def test_numbers_beyond_float32_are_converted_in_float64(pack: Invoke) -> None:
    from sklearn.linear_model import LinearRegression

    rows = np.linspace(1e9, 1e9 + 100, 101).reshape(-1, 1)
    model = LinearRegression().fit(rows, rows[:, 0] - 1e9)
    pack(Trained(model, {"x": rows[:, 0].tolist()}, {})).ok()
    said = manifest(Path("models/m/1"))
    assert (said["format"], said["inputs"][0]["datatype"]) == ("onnx", "FP64")


def test_versions_count_up_and_never_change(pack: Invoke) -> None:
    assert pack(train("linear"), "--version", "4").ok().json["bundle"] == "models/m/4"
    assert pack(train("linear")).ok().json["bundle"] == "models/m/5"
    refused = pack(train("linear"), "--version", "4")
    assert refused.code == 1
    assert "models/m/4 exists, and a version never changes" in refused.json["error"]
    assert sorted(path.name for path in Path("models").rglob("*") if path.is_dir()) == ["4", "5", "m"]


def test_labels_name_what_the_model_counts(pack: Invoke, invoke: Invoke) -> None:
    pack(train("forest"), "--labels", "setosa,versicolor,virginica", "--description", "Species").ok()
    assert manifest(Path("models/m/1"))["description"] == "Species"
    predicted = invoke("predict", "models/m/1", "--json").ok().json
    assert predicted[0]["label"] == "setosa"
    few = pack(train("forest"), "--labels", "setosa,versicolor")
    assert few.code == 1
    assert "2 names cannot stand for the model's labels [0, 1, 2]" in few.json["error"]


def test_ranges_refuse_what_the_sample_never_came_near(pack: Invoke, invoke: Invoke) -> None:
    pack(train("mixed"), "--ranges").ok()
    row = {"age": 40, "income": 3000.0, "city": "Bern"}
    assert invoke("predict", "models/m/1", "--data", json.dumps(row)).code == 0
    for wrong, said in (
        ({"city": "Paris"}, "one of Bern, Genève, Zürich"),
        ({"age": 1000}, "age must be a number from 0"),
    ):
        result = invoke("predict", "models/m/1", "--data", json.dumps(row | wrong))
        assert result.code == 1
        assert said in result.err


def test_a_column_that_the_model_does_not_take_is_left_out_or_named(pack: Invoke) -> None:
    trained = train("linear")
    more = Trained(trained.model, trained.columns | {"target": [1] * 120}, trained.answers)
    refused = pack(more)
    assert refused.code == 1
    assert "the model takes 10 columns, but the sample has 11" in refused.json["error"]
    assert "--drop NAME" in refused.json["error"]
    pack(more, "--drop", "target").ok()
    unknown = pack(more, "--drop", "tarket")
    assert "--drop tarket: the sample has no such column" in unknown.json["error"]

    mixed = train("mixed")  # knows its columns' names
    found = pack(Trained(mixed.model, {"left": ["a"] * 200} | mixed.columns, {})).ok().json
    assert found["notes"] == ["left out of the sample: left (the model does not take it)"]


def test_rows_with_empty_cells_are_left_out_and_counted(pack: Invoke) -> None:
    trained = train("linear")
    first, *others = trained.columns.values()
    holes = dict(zip(trained.columns, [["", *first[1:]], *others], strict=True))
    assert pack(Trained(trained.model, holes, {})).ok().json["notes"] == [
        "1 rows were left out: they lack a value that the model needs"
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".npy", ".npz"])
def test_a_sample_may_be_of_other_kinds(invoke: Invoke, tmp_path: Path, suffix: str) -> None:
    trained = train("linear")
    trained.write(tmp_path)
    sample = Path("sample" + suffix)
    records = [dict(zip(trained.columns, row, strict=True)) for row in zip(*trained.columns.values(), strict=True)]
    if suffix == ".npy":
        np.save(sample, np.array(list(trained.columns.values())).T)
    elif suffix == ".npz":
        np.savez(sample, **{name: np.array(column) for name, column in trained.columns.items()})
    else:
        lines = [json.dumps(record) for record in records]
        sample.write_text("\n".join(lines) if suffix == ".jsonl" else f"[{','.join(lines)}]")
    invoke("pack", "model.joblib", "--name", "m", "--sample", sample).ok()
    predicted = invoke("predict", "models/m/1", "--json").ok().json
    assert predicted[0]["prediction"] == pytest.approx(trained.answers["prediction"][0], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.csv", "a,b\n1\n", "line 2 has another number of cells than the header's 2"),
        ("s.csv", "a,a\n1,2\n", "a line of names, each only once"),
        ("s.csv", "a,b\n", "holds no row"),
        ("s.csv", "", "holds no row"),
        ("s.jsonl", "{", "cannot be read as .jsonl"),
        ("s.json", "[1]", "must hold rows as JSON objects"),
        ("s.npy", "no", "cannot be read as .npy"),
        ("s.table", "", "use one of .csv, .json"),
    ],
)
def test_a_sample_that_cannot_be_read_is_told_of(
    invoke: Invoke, tmp_path: Path, name: str, text: str, said: str
) -> None:
    train("linear").write(tmp_path)
    (tmp_path / name).write_text(text)
    result = invoke("pack", "model.joblib", "--name", "m", "--sample", name)
    assert result.code == 1
    assert said in result.err


@pytest.mark.parametrize("name", ["Churn", "../churn", "", "a/b", "a" * 65, "a\n"])
def test_a_name_that_no_url_can_have_is_a_wrong_command(invoke: Invoke, tmp_path: Path, name: str) -> None:
    model, sample = train("linear").write(tmp_path)
    result = invoke("pack", model, "--name", name, "--sample", sample)
    assert result.code == 2
    assert "a name such as iris" in result.err
    assert not Path("models").exists()


def test_what_is_no_model_is_told_of(invoke: Invoke, tmp_path: Path) -> None:
    _, sample = train("linear").write(tmp_path)
    joblib.dump({"not": "a model"}, "dict.joblib")
    Path("cut.onnx").write_bytes(b"\x08\x07")
    Path("cut.txt").write_text("tree\n")
    Path("cut.ubj").write_text("{")
    Path("cut.cbm").write_text("CBM1")
    Path("model.model").write_text("")
    for file, said in (
        ("dict.joblib", "holds a dict, which can neither predict nor transform"),
        ("cut.onnx", "cut.onnx cannot be loaded"),
        ("cut.txt", "cut.txt is not a whole LightGBM model"),
        ("cut.ubj", "cut.ubj is not an XGBoost model"),
        ("cut.cbm", "cut.cbm is not a CatBoost model"),
        ("model.model", "has a suffix that is not known: use one of .onnx"),
    ):
        result = invoke("pack", file, "--name", "m", "--sample", sample)
        assert result.code == 1
        assert said in result.err


def test_a_packed_bundle_is_served_by_the_real_server(packed: Packed, tmp_path: Path) -> None:
    bundle, _ = packed("logistic")
    with serving(bundle, cwd=tmp_path) as url:
        for example in json.loads((bundle / "golden.json").read_text()):
            assert post(url + "/", example["inputs"])["label"] == example["outputs"]["label"]
