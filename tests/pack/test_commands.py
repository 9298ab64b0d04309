"""check, serve, predict and list, on the example bundles and on broken ones."""

import importlib
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from commands import MODELS, ROOT, Result, environment, serving
from echoes import write_bundle
from harness import Bundles
from modelhost.cli.command_line import RememberedCommand, command_with
from modelhost.cli.http import RemoteModel, TooLargeError

Command = Callable[..., Result]
PREDICT = importlib.import_module("modelhost.cli.predict")  # whose command has the same name


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(MODELS / "iris/1", MODELS / "digits", MODELS / "colours/1", cwd=tmp_path_factory.mktemp("s")) as url:
        yield url


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    shutil.copytree(MODELS / "iris/1", tmp_path / "iris/1")
    return tmp_path / "iris/1"


def edit(bundle: Path, **fields: object) -> None:
    manifest = yaml.safe_load((bundle / "model.yaml").read_text())
    (bundle / "model.yaml").write_text(yaml.safe_dump(manifest | fields))


@pytest.mark.parametrize("command", [[], ["check"], ["serve"], ["predict"], ["list"]])
def test_every_command_has_a_help_with_an_example_or_a_url(modelhost: Command, command: list[str]) -> None:
    said = modelhost(*command, "--help").ok().out
    assert "Usage: modelhost" in said
    assert "Example" in said or "http://" in said or "completion" in said.lower()


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["check"], ["check", "--no-such-option", "x"], ["list", "localhost"],
                  ["predict", MODELS / "iris/1", "--data", "{"],
                  ["predict", MODELS / "iris/1", "--data", "{}", "--file", __file__]],
)  # fmt: skip
def test_a_wrong_command_ends_with_2(modelhost: Command, arguments: list[object]) -> None:
    result = modelhost(*arguments)
    assert result.code == 2
    assert "Error: " in result.err


def test_completion_completes(modelhost: Command) -> None:
    variables = {"_MODELHOST_COMPLETE": "bash_complete", "COMP_WORDS": "modelhost pre", "COMP_CWORD": "1"}
    assert modelhost(**variables).out.strip() == "plain,predict"


def test_check_says_that_a_good_bundle_is_good_and_what_it_costs(modelhost: Command) -> None:
    result = modelhost("check", MODELS / "iris/1").ok()
    for said in ("schema", "digests", "golden", "load", "memory", "latency", "6 examples"):
        assert said in result.out
    found = modelhost("check", MODELS / "iris/1", MODELS / "colours/1", "--json").ok().json
    assert found["ok"]
    assert [bundle["name"] for bundle in found["bundles"]] == ["iris", "colours"]
    assert 0 < found["bundles"][0]["latency_p50_ms"] <= found["bundles"][0]["latency_p99_ms"] < 1000
    assert found["bundles"][0]["memory_mb"] < 100


@pytest.mark.parametrize("command", ["check", "predict"])
def test_of_a_models_directory_the_latest_version_is_taken_and_said(
    invoke: Command, tmp_path: Path, command: str
) -> None:
    for version in (2, 9, 10):
        shutil.copytree(MODELS / "colours/1", tmp_path / f"models/colours/{version}")
        edit(tmp_path / f"models/colours/{version}", version=version)
    result = invoke(command, "models/colours").ok()
    assert "models/colours has 3 versions: taking the latest, models/colours/10" in result.err
    assert command == "predict" or "colours version 10 (python)" in result.out
    several = invoke(command, "models")
    assert several.code == 1
    assert several.err == "error: models is a directory of models: name one of them, such as models/colours\n"
    (tmp_path / "empty").mkdir()
    assert "empty/model.yaml cannot be read" in invoke(command, "empty").err


def test_check_refuses_a_truncated_model_by_its_name(modelhost: Command, iris: Path) -> None:
    model = iris / "model.onnx"
    model.write_bytes(model.read_bytes()[:-100])
    result = modelhost("check", iris)
    assert result.code == 1
    assert "iris/1/model.yaml: files[model.onnx] is" in result.err
    assert "ok" not in result.out
    assert modelhost("check", iris, "--json").json["error"] in result.err


def test_check_refuses_a_bundle_that_reaches_outside(modelhost: Command, iris: Path) -> None:
    edit(iris, entry="../../secret.onnx", files={"../../secret.onnx": "0" * 64, "golden.json": "0" * 64})
    result = modelhost("check", iris)
    assert result.code == 1
    assert "files is '../../secret.onnx': write a path below the bundle's directory" in result.err


def test_check_refuses_a_bundle_that_lies_about_its_outputs(modelhost: Command, iris: Path) -> None:
    outputs = yaml.safe_load((iris / "model.yaml").read_text())["outputs"]
    outputs[1]["shape"] = [2]
    edit(iris, outputs=outputs)
    result = modelhost("check", iris)
    assert result.code == 1
    assert "outputs[probabilities].shape is [2]" in result.err


def test_check_ends_with_1_where_an_objective_is_missed(modelhost: Command, iris: Path) -> None:
    edit(iris, objectives={"latency_ms": 0.000001, "memory_mb": 1000})
    result = modelhost("check", iris, "--json")
    assert result.code == 1
    (found,) = result.json["bundles"]
    assert len(found["missed"]) == 1
    assert "objectives.latency_ms is 1e-06" in found["missed"][0]
    assert "BAD" in modelhost("check", iris).out


def test_a_model_that_kills_its_process_is_told_of(modelhost: Command, tmp_path: Path) -> None:
    shutil.copytree(MODELS / "colours/1", tmp_path / "colours/1")
    bundle = tmp_path / "colours/1"
    (bundle / "model.py").write_text("import os\nos._exit(7)\n")
    import hashlib

    digests = {file: hashlib.sha256((bundle / file).read_bytes()).hexdigest() for file in ("model.py", "golden.json")}
    edit(bundle, files=digests)
    result = modelhost("check", bundle)
    assert result.code == 1
    assert "ended its process with status 7" in result.err


def test_an_unknown_objective_is_named_with_a_suggestion(modelhost: Command, iris: Path) -> None:
    edit(iris, objectives={"latency": 3})
    assert "objectives.latency is unknown: did you mean latency_ms?" in modelhost("check", iris).err


def test_list_names_the_models_of_a_server(modelhost: Command, url: str) -> None:
    text = modelhost("list", url).ok().out
    assert text.splitlines()[0].split() == ["NAME", "VERSION", "PREDICT", "AT", "DESCRIPTION"]
    assert [model["name"] for model in modelhost("list", url, "--json").ok().json] == ["colours", "digits", "iris"]


def test_the_first_bundle_answers_at_the_root(modelhost: Command, url: str) -> None:
    assert "species" in modelhost("predict", url, "--json").ok().json[0]


def test_a_server_and_a_bundle_predict_the_same(invoke: Command, url: str) -> None:
    here = invoke("predict", MODELS / "iris/1", "--json").ok().json
    assert here[0]["species"] == "setosa"
    for ending in ("", "/", "/predict", "/versions/1", "/versions/1/predict"):
        assert invoke("predict", f"{url}/models/iris{ending}", "--json").ok().json == here


def test_predict_takes_rows_from_a_file(invoke: Command, url: str, tmp_path: Path) -> None:
    golden = json.loads((MODELS / "iris/1/golden.json").read_text())
    rows = [example["inputs"] for example in golden]
    (tmp_path / "rows.csv").write_text(
        "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]) + "\n"
    )
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    species = [example["outputs"]["species"] for example in golden]
    for file in ("rows.csv", "rows.jsonl", "rows.json"):
        lines = invoke("predict", f"{url}/models/iris", "--file", file).ok().out.splitlines()
        assert [json.loads(line)["species"] for line in lines] == species
    data = invoke("predict", MODELS / "iris/1", "--data", json.dumps(rows), "--json").ok().json
    assert [row["species"] for row in data] == species


def images(number: int) -> list[dict[str, list[list[int]]]]:
    return [{"image": [[(row * 7 + x * y) % 17 for x in range(8)] for y in range(8)]} for row in range(number)]


def test_many_rows_go_in_few_requests_of_a_size_that_the_server_takes(invoke: Command, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in images(1000)))
    alone = invoke("predict", MODELS / "digits/1", "--file", "rows.jsonl", "--json").ok().json
    with serving(MODELS / "digits/1", cwd=tmp_path, MODELHOST_BODY_LIMIT_MB="0.02") as url:
        served = invoke("predict", f"{url}/models/digits", "--file", "rows.jsonl", "--json").ok().json
        lines = invoke("predict", f"{url}/models/digits", "--file", "rows.jsonl").ok().out.splitlines()
        refused = invoke("predict", f"{url}/models/digits", "--data", json.dumps({"image": images(1) * 1000}))
    assert [row["digit"] for row in served] == [row["digit"] for row in alone]
    assert len({row["digit"] for row in served}) > 1
    assert [json.loads(line) for line in lines] == served
    assert refused.code == 1
    assert "answered 413: The body is larger than" in refused.err


def test_requests_have_ever_more_rows_up_to_256_or_until_the_server_refuses(
    invoke: Command, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    def predict(model: RemoteModel, rows: Any) -> Any:
        sent.append(len(rows))
        if len(rows) > 100:
            raise TooLargeError("too large", 1)
        return real(model, rows)

    real = RemoteModel.predict
    monkeypatch.setattr(RemoteModel, "predict", predict)
    rows = [{"index": row % 5} for row in range(600)]
    answers = invoke("predict", f"{url}/models/colours", "--data", json.dumps(rows), "--json").ok().json
    assert sent == [1, 2, 4, 8, 16, 32, 64, 128, *[64] * 7, 25]
    assert [answer["colour"] for answer in answers] == ["red", "green", "blue", "yellow", "black"] * 120


def test_a_wrong_row_among_many_is_told_with_its_place(invoke: Command, url: str) -> None:
    rows = json.dumps([{"index": 0}] * 300 + [{"index": 9}] + [{"index": 1}] * 10)
    for target in (f"{url}/models/colours", MODELS / "colours/1"):
        result = invoke("predict", target, "--data", rows)
        assert result.code == 1
        assert "index in row 45 must be an integer from 0 to 4, not 9. (its row 0 is row 255 of all)" in result.err


def test_long_work_tells_how_far_it_is(invoke: Command, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PREDICT, "SECONDS", 0)
    result = invoke("predict", f"{url}/models/colours", "--data", json.dumps([{"index": 0}] * 600)).ok()
    assert result.err.splitlines()[-2:] == ["255 of 600 rows are predicted ...", "511 of 600 rows are predicted ..."]


def test_a_slow_model_gets_few_rows_in_a_request(invoke: Command, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    real = RemoteModel.predict
    monkeypatch.setattr(RemoteModel, "predict", lambda model, rows: [sent.append(len(rows)), real(model, rows)][1])
    monkeypatch.setattr(PREDICT, "QUICK", 0)
    invoke("predict", f"{url}/models/colours", "--data", json.dumps([{"index": 0}] * 5)).ok()
    assert sent == [1, 1, 1, 1, 1]


def test_a_refused_row_ends_with_1_and_the_servers_own_words(modelhost: Command, url: str) -> None:
    for target in (f"{url}/models/colours", MODELS / "colours/1"):
        result = modelhost("predict", target, "--data", '{"index": 9}')
        assert result.code == 1
        assert "index must be an integer from 0 to 4, not 9." in result.err


def test_no_server_at_a_url_is_told_with_a_question(modelhost: Command) -> None:
    for command in ("list", "predict"):
        result = modelhost(command, "http://127.0.0.1:9")
        assert result.code == 1
        assert "no server answers at http://127.0.0.1:9" in result.err
    assert modelhost("list", "http://127.0.0.1:9", "--json").json["ok"] is False


def test_serve_refuses_a_bad_bundle_before_it_starts(modelhost: Command, iris: Path) -> None:
    edit(iris, tolerance=-1)
    result = modelhost("serve", iris)
    assert result.code == 1
    assert "tolerance is -1" in result.err
    assert "Starting gunicorn" not in result.err


def test_serve_refuses_a_bundle_given_twice_and_a_wrong_address(modelhost: Command) -> None:
    twice = modelhost("serve", MODELS / "iris/1", MODELS / "iris")
    assert (twice.code, "iris version 1 is given twice" in twice.err) == (1, True)
    wrong = modelhost("serve", MODELS / "iris/1", "--bind", "8000")
    assert (wrong.code, "MODELHOST_BIND cannot be '8000'" in wrong.err) == (1, True)


def test_a_taken_address_ends_the_server_and_the_command(modelhost: Command, url: str) -> None:
    result = modelhost("serve", MODELS / "colours/1", "--bind", url.removeprefix("http://"))
    assert result.code == 1
    assert "another server answers at 127.0.0.1" in result.err


def test_the_help_imports_neither_numpy_nor_flask() -> None:
    code = "import sys, modelhost.cli; print(*{'numpy', 'flask', 'onnxruntime', 'orjson'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_rows_of_csv_are_read_as_the_server_reads_them(invoke: Command, tmp_path: Path) -> None:
    """Text stays text, an empty cell of it too; in a column that may be missing, an empty cell is null."""
    inputs = [
        {"name": "code", "datatype": "BYTES", "shape": []},
        {"name": "size", "datatype": "FP64", "shape": [], "nullable": True, "default": None},
        {"name": "sold", "datatype": "BOOL", "shape": []},
    ]
    bundles = Bundles(tmp_path / "models")
    row = {"code": "007", "size": 1.5, "sold": True}
    write_bundle(bundles, inputs, [row], answers=[{"seen": json.dumps(row)}])
    (tmp_path / "rows.csv").write_text('code,size,sold\n007,,True\n,1,0\n"a\nb",NA,false\n')
    wanted = [
        {"code": "007", "size": "NaN", "sold": True},
        {"code": "", "size": 1.0, "sold": False},
        {"code": "a\nb", "size": "NaN", "sold": False},
    ]
    with serving(bundles.directory / "echo/1", cwd=tmp_path) as url:
        for target in (bundles.directory / "echo/1", url, f"{url}/models/echo"):
            answers = invoke("predict", target, "--file", tmp_path / "rows.csv", "--json").ok().json
            assert [json.loads(answer["seen"]) for answer in answers] == wanted
            gap = invoke("predict", target, "--data", '[{"code": "x", "size": NaN, "sold": 1}]', "--json").ok().json
            assert json.loads(gap[0]["seen"]) == {"code": "x", "size": "NaN", "sold": True}
    (tmp_path / "rows.csv").write_text("code,size,sold\nx,1,\n")
    refused = invoke("predict", bundles.directory / "echo/1", "--file", tmp_path / "rows.csv")
    assert 'sold must be true or false, not "": this model takes no missing value here.' in refused.err
    (tmp_path / "rows.csv").write_text("kode,size\nx,1\n")
    refused = invoke("predict", bundles.directory / "echo/1", "--file", tmp_path / "rows.csv")
    assert "rows.csv has kode (did you mean code?), and the fields of the model are code, size and sold" in refused.err


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
def test_columns_that_the_model_does_not_take_are_named_and_can_be_left_out(
    invoke: Command, url: str, tmp_path: Path, suffix: str
) -> None:
    rows = [{"customer id": 7, "index": 2, "target": "blue"}, {"customer id": 8, "index": 0, "target": "red"}]
    texts = {
        "csv": "customer id,index,target\n7,2,blue\n8,0,red\n",
        "json": json.dumps(rows),
        "jsonl": "\n".join(map(json.dumps, rows)),
    }
    file = tmp_path / f"rows.{suffix}"
    file.write_text(texts[suffix])
    for target in (MODELS / "colours/1", f"{url}/models/colours"):
        refused = invoke("predict", target, "--file", file)
        assert refused.code == 1
        options = "--drop 'customer id' --drop target"
        assert refused.err == (
            f"error: {file} has customer id and target, and the fields of the model are index: rename a column that "
            f"is one of them, and leave the others out with {options}\n"
        )
        answers = invoke("predict", target, "--file", file, *shlex.split(options), "--json").ok().json
        assert answers == [{"colour": "blue"}, {"colour": "red"}]
    wrong = invoke("predict", MODELS / "colours/1", "--file", file, "--drop", "nope")
    assert f"--drop nope: {file} has no such column, but customer id, index and target" in wrong.err
    unused = invoke("predict", MODELS / "colours/1", "--data", "{}", "--drop", "target")
    assert unused.code == 2
    assert "give it with --file" in unused.err


@pytest.mark.parametrize("typed", ["modelhost pack m.joblib --name 'a b'", "modelhost pack --name m -- -m.joblib"])
def test_what_is_typed_is_repeated_with_an_option_more(typed: str) -> None:
    parameters = [click.Argument(["model"]), click.Option(["--name"]), click.Option(["--x"])]
    command = RememberedCommand("pack", params=parameters)

    @click.pass_context
    def repeat(_context: click.Context, **_options: str) -> None:
        click.echo(command_with("--x=1"))

    command.callback = repeat
    group = click.Group("modelhost", commands={"pack": command})
    again = CliRunner().invoke(group, shlex.split(typed)[1:], prog_name="modelhost").output.strip()
    assert sorted(shlex.split(again)) == sorted([*shlex.split(typed), "--x=1"])
    assert CliRunner().invoke(group, shlex.split(again)[1:], prog_name="modelhost").exit_code == 0
