#!/usr/bin/env python3
"""Train the example models iris, digits and churn, and write their bundles.

iris and digits are converted and described here by hand, as any exporter's model could be; churn is a pipeline as
people have it, packed by `modelhost pack`. Deterministic: with the versions of tests/requirements.lock, a second run on
the same kind of processor writes the same bytes.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime as ort
import pandas as pd
import yaml
from onnx import TensorProto, compose, helper
from onnx.onnx_pb import ModelProto
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))
from modelhost.packing.options import PackOptions
from modelhost.packing.pack import pack

SEED = 7
OPSET = 18
GOLDEN = 6  # examples in a bundle, from data the model has not seen


@dataclass
class Trained:
    """A model file, its schema, and held-out rows: inputs (n, *shape) float32, labels (n,)."""

    model: ModelProto
    schema: dict[str, Any]
    rows: np.ndarray
    labels: np.ndarray


def train_iris() -> Trained:
    """Logistic regression on four measurements in centimetres."""
    data = load_iris()
    seen, held_out, labels, held_out_labels = split(data.data, data.target)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(seen, labels)
    model = to_onnx(classifier, seen[:1], options={"zipmap": False}, target_opset=OPSET)
    ranges = {"sepal_length": 10, "sepal_width": 6, "petal_length": 10, "petal_width": 4}
    schema = {
        "description": "Species of an iris from four measurements of its flower",
        "inputs": [
            {
                "name": "measurements",
                "tensor": "X",
                "datatype": "FP32",
                "shape": [4],
                "features": [
                    {
                        "name": name,
                        "description": name.replace("_", " ").capitalize(),
                        "unit": "cm",
                        "minimum": 0,
                        "maximum": maximum,
                    }
                    for name, maximum in ranges.items()
                ],
            }
        ],
        "outputs": [
            {
                "name": "species",
                "tensor": "label",
                "datatype": "BYTES",
                "shape": [],
                "labels": data.target_names.tolist(),
            },
            {"name": "probabilities", "datatype": "FP32", "shape": [3], "nullable": False},
        ],
    }
    return Trained(model, schema, held_out, held_out_labels)


def train_digits() -> Trained:
    """A small neural network on grey images of 8 by 8 pixels."""
    data = load_digits()
    seen, held_out, labels, held_out_labels = split(data.data, data.target)
    network = MLPClassifier(hidden_layer_sizes=(64,), max_iter=400, random_state=SEED)
    classifier = make_pipeline(MinMaxScaler(), network).fit(seen, labels)
    model = to_onnx(classifier, seen[:1], options={"zipmap": False}, target_opset=OPSET)
    schema = {
        "description": "The digit in a handwritten image of 8 by 8 pixels",
        "inputs": [
            {
                "name": "image",
                "datatype": "FP32",
                "shape": [8, 8],
                "minimum": 0,
                "maximum": 16,
                "description": "Rows of pixels from the top, 0 is paper and 16 is ink",
            }
        ],
        "outputs": [
            {"name": "digit", "tensor": "label", "datatype": "INT64", "shape": []},
            {"name": "probabilities", "datatype": "FP32", "shape": [10], "nullable": False},
        ],
    }
    return Trained(flatten_first(model), schema, held_out.reshape(-1, 8, 8), held_out_labels)


def split(data: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    """Rows to learn from, rows held out, and the labels of each."""
    parts = train_test_split(data.astype(np.float32), target, test_size=0.25, random_state=SEED, stratify=target)
    return list(parts)


def flatten_first(model: ModelProto) -> ModelProto:
    """`model` with an input `image` of (n, 8, 8) in place of its X of (n, 64)."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 8, 8])
    flat = helper.make_tensor_value_info("flat", TensorProto.FLOAT, [None, 64])
    node = helper.make_node("Flatten", ["image"], ["flat"], axis=1)
    opset = helper.make_opsetid("", OPSET)
    graph = helper.make_graph([node], "flatten", [image], [flat])
    flatten = helper.make_model(graph, opset_imports=[opset], ir_version=model.ir_version)
    return compose.merge_models(flatten, model, io_map=[("flat", "X")], name="digits")


def customers(rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers of a telephone company as a table has them: texts, booleans, gaps; and whether each left (rows,)."""
    random = np.random.default_rng(SEED)
    table = pd.DataFrame({
        "months": random.integers(1, 72, rows),
        "monthly_charge": random.normal(65, 25, rows).clip(15).round(2),
        "support_calls": random.poisson(1.5, rows).astype(float),
        "plan": random.choice(["basic", "family", "unlimited"], rows),
        "payment": random.choice(["card", "transfer", "invoice"], rows),
        "paperless": random.random(rows) < 0.6,
    })  # fmt: skip
    leans = table.support_calls - table.months / 12 + (table.plan == "basic") + table.monthly_charge / 40
    left = (leans + random.normal(0, 0.7, rows) > 1.0).to_numpy()
    # Not everybody was asked how they pay, and calls are only counted since last year.
    table.loc[random.random(rows) < 0.12, "payment"] = None
    table.loc[random.random(rows) < 0.2, "support_calls"] = np.nan
    return table, left


def write_churn(directory: Path) -> float:
    """Train a pipeline on `customers`, pack it as version `directory.name`; returns its accuracy on others."""
    table, left = customers(1600)
    seen, others = slice(None, 1200), slice(1200, None)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = make_column_transformer(
        (numbers, ["months", "monthly_charge", "support_calls"]), (texts, ["plan", "payment"]), remainder="passthrough"
    )
    model = make_pipeline(columns, LogisticRegression()).fit(table[seen], left[seen])
    with tempfile.TemporaryDirectory() as scratch:
        joblib.dump(model, Path(scratch, "churn.joblib"))
        table[others].to_csv(Path(scratch, "customers.csv"), index=False)
        options = PackOptions(
            model=Path(scratch, "churn.joblib"), name="churn", sample=Path(scratch, "customers.csv"),
            into=Path(scratch), version=int(directory.name), measure=False,
            description="Whether a customer of a telephone company will leave",
        )  # fmt: skip
        packed = pack(options, lambda _: None)["bundle"]
        shutil.copytree(packed, directory, dirs_exist_ok=True)
    manifest = yaml.safe_load((directory / "model.yaml").read_text())
    del manifest["origin"]["conversion"]  # it has the times of this machine
    (directory / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    return float((model.predict(table[others]) == left[others]).mean())


def write_bundle(directory: Path, trained: Trained) -> float:
    """Write the bundle of version `directory.name`; returns the accuracy on the held-out rows."""
    directory.mkdir(parents=True, exist_ok=True)
    source = trained.model.SerializeToString(deterministic=True)
    (directory / "model.onnx").write_bytes(source)

    session = ort.InferenceSession(source, providers=["CPUExecutionProvider"])
    tensor = trained.schema["inputs"][0]
    answers = session.run(None, {tensor.get("tensor", tensor["name"]): trained.rows})
    examples = [example(trained, answers, row) for row in range(GOLDEN)]
    lines = ",\n".join(json.dumps(row) for row in examples)
    (directory / "golden.json").write_text(f"[\n{lines}\n]\n")

    manifest = {
        "name": directory.parent.name,
        "version": int(directory.name),
        "description": trained.schema["description"],
        "format": "onnx",
        "entry": "model.onnx",
        "files": {
            file: hashlib.sha256((directory / file).read_bytes()).hexdigest() for file in ("golden.json", "model.onnx")
        },
        "inputs": trained.schema["inputs"],
        "outputs": trained.schema["outputs"],
        "golden": "golden.json",
        "tolerance": 1.0e-4,  # other processors round float32 otherwise
    }
    (directory / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    return float((answers[0] == trained.labels).mean())


def example(trained: Trained, answers: list[np.ndarray], row: int) -> dict[str, Any]:
    """A golden example: the held-out row as a client sends it, and the model's answer to it."""
    (tensor,) = trained.schema["inputs"]
    values = [[round(float(x), 4) for x in line] for line in np.atleast_2d(trained.rows[row])]
    columns = [feature["name"] for feature in tensor.get("features", [])]
    inputs = dict(zip(columns, values[0], strict=True)) if columns else {tensor["name"]: values}
    label, *others = trained.schema["outputs"]
    index = int(answers[0][row])
    outputs = {label["name"]: label["labels"][index] if "labels" in label else index}
    for output, answer in zip(others, answers[1:], strict=True):
        outputs[output["name"]] = [round(float(x), 6) for x in answer[row]]
    return {"inputs": inputs, "outputs": outputs}


def main() -> None:
    """Train and write what the command line names."""
    trainers = {"iris": train_iris, "digits": train_digits}
    names = [*trainers, "churn"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="iris, digits or churn (default: all)")
    parser.add_argument("--version", type=int, default=1, help="the version to write (default 1)")
    into = "where to write NAME/VERSION/ (default: beside this script)"
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, help=into)
    arguments = parser.parse_args()
    for name in arguments.names or names:
        if name not in names:
            parser.error(f"{name} is not one of {', '.join(names)}")
        directory = arguments.into / name / str(arguments.version)
        # One thread: sums in another order would round otherwise, and change the digests.
        with threadpool_limits(limits=1):
            accuracy = write_churn(directory) if name == "churn" else write_bundle(directory, trainers[name]())
        size = (directory / "model.onnx").stat().st_size
        print(f"{name}: wrote {directory}, model.onnx of {size:,} bytes, accuracy {accuracy:.1%} on held-out rows")


if __name__ == "__main__":
    main()
