"""Bundles that must not be served are refused with a sentence that says what to change."""

import json
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from harness import MODELS, Bundles
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.models.registry import Registry
from modelhost.settings import Settings
from modelhost.web.app import create_app

Manifest = dict[str, Any]


def refusal(bundles: Bundles, default: str = "iris", allow_pickle: Collection[str] = ()) -> str:
    """The sentence with which the models directory is refused."""
    with pytest.raises(BundleError) as caught:
        Registry.load(bundles.directory, default, allow_pickle=allow_pickle)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def put(*path: str | int, value: object) -> Callable[[Manifest], None]:
    """A change of model.yaml: the value at a path."""

    def change(manifest: Any) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[Manifest], None]:
    """A change of model.yaml: the value at a path removed."""

    def change(manifest: Any) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        del manifest[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("format", value="tensorflow"), "format is 'tensorflow'"),
        (put("format", value="tensorflow"), "write one of onnx, skops"),
        (put("version", value="one"), "version is 'one'"),
        (put("version", value=0), "version is 0"),
        (put("version", value=2), "version is 2: write 1, as the directory is called"),
        (put("name", value="Iris!"), "name is 'Iris!'"),
        (put("name", value="lily"), "name is 'lily': write iris"),
        (put("entry", value="other.onnx"), "entry is 'other.onnx': write one of the names under"),
        (put("golden", value="none.json"), "golden is 'none.json'"),
        (put("tolerance", value=-1), "tolerance is -1"),
        (put("inputs", value=[]), "inputs is a list"),
        (put("inputs", 0, "shape", value=["4"]), "inputs[0].shape[0] is '4'"),
        (put("inputs", 0, "shape", value=[5]), "inputs[measurements].shape is [5]: write [4]"),
        (put("inputs", 0, "datatype", value="FLOAT"), "write one of BOOL, UINT8"),
        (put("inputs", 0, "minimum", value=0), "beside features"),
        (put("inputs", 0, "features", 0, "minimum", value=11), "at most the maximum, 10"),
        (put("inputs", 0, "features", 1, "name", value="sepal_length"), "each name only once"),
        (put("inputs", 0, "categories", value=["a"]), "only text and integers"),
        (put("inputs", 0, "tensor", value="Y"), "but model.onnx takes ['X']"),
        (put("outputs", 0, "datatype", value="INT64"), "BYTES, since labels are text"),
        (put("outputs", 0, "labels", value=["one"]), "outputs[species].labels has 1 names"),
        (put("outputs", 0, "tensor", value="Y"), "outputs[species].tensor is not among"),
        (put("outputs", 1, "shape", value=[2]), "outputs[probabilities].shape is [2]"),
        (put("outputs", 1, "datatype", value="FP64"), "datatype is FP64, but the model returned"),
        (put("outputs", 1, "name", value="p"), "outputs disagree about ['p', 'probabilities']"),
        (put("files", "model.onnx", value="0" * 64), "files[model.onnx] is '000"),
        (put("files", "model.onnx", value="abc"), "files"),
        (put("files", "../../secret", value="0" * 64), "a path below the bundle's directory"),
        (put("files", "/etc/passwd", value="0" * 64), "a path below the bundle's directory"),
        (put("files", "absent.bin", value="0" * 64), "this one is missing"),
        (drop("entry"), "entry is missing: write the file the format loads"),
        (drop("outputs", 0, "shape"), "outputs[0].shape is missing"),
        (put("entyr", value="x"), "entyr is unknown: did you mean entry?"),
        (put("zzz", value="x"), "zzz is unknown: remove it"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_write(
    bundles: Bundles, change: Callable[[Manifest], None], said: str
) -> None:
    bundles.edit(bundles.copy("iris"), change)
    sentence = refusal(bundles)
    assert sentence.startswith("iris/1/model.yaml: ")
    assert said in sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "is not YAML"),
        ("description: 2001-02-30", "is not YAML: day is out of range for month"),
        ("", "the file is None"),
        ("- 1", "the file is a list"),
    ],
)
def test_a_manifest_that_is_no_mapping_is_refused(bundles: Bundles, text: str, said: str) -> None:
    (bundles.copy("iris") / "model.yaml").write_text(text)
    assert said in refusal(bundles)


def test_a_bundle_without_manifest_is_refused(bundles: Bundles) -> None:
    (bundles.copy("iris") / "model.yaml").unlink()
    assert "iris/1/model.yaml cannot be read" in refusal(bundles)


def test_a_changed_file_is_refused_with_its_new_digest(bundles: Bundles) -> None:
    bundle = bundles.copy("iris")
    (bundle / "golden.json").write_text("[]")
    assert "4f53cda18c2baa0c" in refusal(bundles)  # sha256 of []


def test_a_file_that_is_not_listed_is_refused(bundles: Bundles) -> None:
    (bundles.copy("iris") / "notes.txt").write_text("hello")
    assert "files does not list notes.txt" in refusal(bundles)


def test_a_link_to_a_folder_that_is_not_listed_is_refused(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (bundles.copy("iris") / "more").symlink_to(tmp_path / "elsewhere")
    assert "files does not list more" in refusal(bundles)


def test_a_manifest_runs_nothing(bundles: Bundles, tmp_path: Path) -> None:
    bundle = bundles.copy("iris")
    text = (bundle / "model.yaml").read_text()
    (bundle / "model.yaml").write_text(f"description: !!python/object/apply:os.mkdir ['{tmp_path / 'ran'}']\n{text}")
    assert "is not YAML" in refusal(bundles)
    assert not (tmp_path / "ran").exists()


def test_a_link_out_of_the_bundle_is_refused_and_one_inside_is_not(bundles: Bundles) -> None:
    bundle = bundles.copy("iris")
    (bundle / "model.onnx").rename(bundle / "real.onnx")
    (bundle / "model.onnx").symlink_to("real.onnx")
    bundles.edit(bundle, lambda m: m["files"].update({"real.onnx": m["files"]["model.onnx"]}))
    read_bundle(bundle)
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").symlink_to(MODELS / "iris/1/model.onnx")
    assert "not a link out of it" in refusal(bundles)


def test_a_link_to_itself_is_refused(bundles: Bundles) -> None:
    bundle = bundles.copy("iris")
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").symlink_to("model.onnx")
    assert "model.onnx" in refusal(bundles)


def test_a_bundle_that_may_not_be_read_is_refused_with_the_user(bundles: Bundles) -> None:
    (bundles.copy("iris") / "model.onnx").chmod(0)
    user = os.geteuid() or 65534
    os.seteuid(user)  # root may read anything
    try:
        sentence = refusal(bundles)
    finally:
        os.seteuid(os.getuid())
    assert f"cannot be read (Permission denied): allow user {user} to read it" in sentence


def test_a_directory_that_is_no_version_is_refused(bundles: Bundles) -> None:
    bundles.copy("iris", "iris/v1")
    assert "iris/v1/model.yaml: version is 1: write v1" in refusal(bundles)


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        ("[]", "at least one example"),
        ("{}", "a JSON list of"),
        ("not json", "a JSON list of"),
        ('[{"inputs": {"index": 9}, "outputs": {"colour": "red"}}]', "index must be an integer"),
        ('[{"inputs": {"index": 0}, "outputs": {}}]', "disagree about ['colour']"),
        ('[{"inputs": {"index": 0}, "outputs": {"colour": "blue"}}]', "expects colour 'blue'"),
    ],
)
def test_golden_examples_that_the_model_does_not_answer_refuse_it(bundles: Bundles, golden: str, said: str) -> None:
    bundles.write(bundles.copy("colours"), "golden.json", golden)
    sentence = refusal(bundles, "colours")
    assert "golden" in sentence
    assert said in sentence


def test_a_golden_array_that_differs_is_told_by_its_first_place_and_difference(bundles: Bundles) -> None:
    bundle = bundles.copy("iris")
    examples = json.loads((bundle / "golden.json").read_text())
    right = examples[2]["outputs"]["probabilities"][1]
    examples[2]["outputs"]["probabilities"][1] = right + 0.25
    bundles.write(bundle, "golden.json", json.dumps(examples))
    sentence = refusal(bundles, "iris")
    assert f"example 2 expects probabilities[1] {right + 0.25}, but the model answers {right}" in sentence
    assert "(a difference of 0.25): record" in sentence
    examples[2]["outputs"]["probabilities"] = [0.1] * 1000
    bundles.write(bundle, "golden.json", json.dumps(examples))
    sentence = refusal(bundles, "iris")
    assert "example 2 expects probabilities a list of 1000, but the model answers a list of 3: record" in sentence


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def predict(): pass", "defines no class Model"),
        ("syntax error", "SyntaxError"),
        ("import nonexistent_module", "No module named 'nonexistent_module' (line 1)"),
        (
            "class Model:\n    def load(self, d):\n        raise OSError('no')",
            "OSError: no (line 3)",
        ),
        ("class Model:\n    def load(self, d):\n        raise SystemExit(0)", "SystemExit: 0"),
        (
            "class Model:\n    def predict(self, i):\n        return [1]",
            "returned list, not a dict",
        ),
        ("class Model:\n    def predict(self, i):\n        return {}", "is not among the model's"),
        (
            "class Model:\n    def predict(self, i):\n        return {'colour': ['blue'] * 7}",
            "outputs[colour].shape is [], but for 1 rows the model returned [7]",
        ),
        (
            "class Model:\n    def predict(self, i):\n        return {'colour': i['index']}",
            "outputs[colour].datatype is BYTES, but the model returned int64",
        ),
        (
            "class Model:\n    def predict(self, i):\n        return {'colour': i['index'].astype(object)}",
            "outputs[colour].datatype is BYTES, but the model returned int64",
        ),
        (
            "class Model:\n    def predict(self, i):\n        return {'colour': ['red', ['a']]}",
            "colour has rows of several lengths",
        ),
    ],
)
def test_a_python_model_that_breaks_the_contract_is_refused(bundles: Bundles, source: str, said: str) -> None:
    bundles.write(bundles.copy("colours"), "model.py", source)
    assert said in refusal(bundles, "colours")


def test_a_model_that_answers_otherwise_in_a_batch_is_refused(bundles: Bundles) -> None:
    source = (MODELS / "colours/1/model.py").read_text()
    source = source.replace('inputs["index"]]', 'inputs["index"][::-1]]')
    bundles.write(bundles.copy("colours"), "model.py", source)
    assert "in a batch" in refusal(bundles, "colours")


def test_a_file_that_is_no_onnx_model_is_refused(bundles: Bundles) -> None:
    bundles.write(bundles.copy("iris"), "model.onnx", "nonsense")
    assert "entry model.onnx cannot be loaded" in refusal(bundles)


def test_the_default_model_must_be_named_where_there_are_several(bundles: Bundles) -> None:
    bundles.copy("iris")
    assert Registry.load(bundles.directory, "").default == "iris"
    bundles.copy("colours")
    assert "write one of colours, iris" in refusal(bundles, "")
    assert "'lily' is not" in refusal(bundles, "lily")


def test_a_pickle_is_refused_by_name_unless_the_server_allows_it(bundles: Bundles) -> None:
    bundles.copy("colours")
    bundles.pickled(bundles.copy("iris"))
    assert refusal(bundles) == (
        "iris/1/model.yaml: format is pickle, which can run any code in this server, and no one allowed that here: "
        "where you trust it, set MODELHOST_ALLOW_PICKLE=iris (release_allow_pickle: [iris] where it is deployed)"
    )
    assert "MODELHOST_ALLOW_PICKLE=colours,iris" in refusal(bundles, allow_pickle=["colours"])
    assert "MODELHOST_ALLOW_PICKLE" not in refusal(bundles, allow_pickle=["iris"]), "1 is no estimator"


def test_an_empty_or_absent_models_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no bundle"):
        create_app(Settings(models_dir=tmp_path))
    with pytest.raises(BundleError, match="is not a directory"):
        create_app(Settings(models_dir=tmp_path / "absent"))


def test_the_digest_changes_with_any_file_and_with_the_manifest(bundles: Bundles) -> None:
    bundle = bundles.copy("colours")
    digests = [read_bundle(MODELS / "colours/1").digest, read_bundle(bundle).digest]
    assert digests[0] == digests[1]
    bundles.write(bundle, "model.py", "# another")
    digests.append(read_bundle(bundle).digest)
    bundles.edit(bundle, put("description", value="another"))
    digests.append(read_bundle(bundle).digest)
    assert len(set(digests)) == 3


def test_a_signature_makes_another_bundle_and_is_in_no_list(bundles: Bundles, tmp_path: Path) -> None:
    bundle = bundles.copy("colours")
    unsigned = read_bundle(bundle).digest
    (bundle / "model.sig").write_text("{}")
    signed = read_bundle(bundle).digest
    (bundle / "model.sig").write_text("{ }")
    assert len({unsigned, signed, read_bundle(bundle).digest}) == 3
    assert Registry.load(bundles.directory, "colours").default == "colours", "the server serves it"
    (bundle / "model.sig").rename(tmp_path / "model.sig")
    assert read_bundle(bundle).digest == unsigned
    (bundle / "model.sig").symlink_to(tmp_path / "model.sig")
    assert "model.sig beside it is a link" in refusal(bundles)


def test_the_colours_bundle_needs_at_most_fifteen_lines_of_python() -> None:
    assert len((MODELS / "colours/1/model.py").read_text().splitlines()) <= 15
