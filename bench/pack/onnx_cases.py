"""The cases inside the PyPI package `onnx`, as shipped: packed, and asked through four protocols in this process.

    .cache/libraries/bin/python bench/pack/onnx_cases.py --limit 100 --jobs 1

Each case is a file with inputs and the outputs that the ONNX project expects. It is packed with its inputs as the
sample, by the function that the command calls; what our server answers is held against ONNX Runtime on the same file.
"""

import argparse
import io
import json
import os
import re
import struct
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.models.model import Model
from modelhost.packing.errors import PackError
from modelhost.packing.options import PackOptions
from modelhost.packing.pack import pack
from modelhost.payload.errors import ClientError, ModelError
from modelhost.payload.request import Request
from modelhost.protocols import native, tensorflow, v2_infer
from onnx import numpy_helper

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
PROTOCOLS = ("native", "v2", "v2 binary", "tensorflow")

Set = tuple[list[Any], list[Any]]  # inputs and expected outputs of a case


@dataclass
class Case:
    """A file with its data."""

    name: str
    kind: str
    model: bytes
    sets: list[Set]
    rtol: float
    atol: float


@dataclass
class Verdict:
    """What became of a case: `state` is one of packed, refused, crashed."""

    name: str
    kind: str
    answered: bool  # by ONNX Runtime, as the ONNX project expects
    state: str
    said: str = ""
    wrong: list[str] = field(default_factory=list)
    rows: str = ""


def cases(kinds: tuple[str, ...] = KINDS) -> Iterator[Case]:
    """Every case of `kinds`, in a fixed order."""
    from onnx.backend.test.loader import load_model_tests

    for kind in kinds:
        for case in sorted(load_model_tests(kind=kind), key=lambda case: case.name):
            if case.model is not None:
                model, sets = (
                    case.model.SerializeToString(),
                    [tuple(map(_arrays, pair)) for pair in case.data_sets or []],
                )
            elif case.model_dir is not None:
                directory = Path(case.model_dir)
                model = (directory / "model.onnx").read_bytes()
                sets = [_read_set(place) for place in sorted(directory.glob("test_data_set_*"))]
            else:
                continue
            yield Case(case.name, kind, model, sets, case.rtol, case.atol)


def _arrays(values: Any) -> list[Any]:
    """Numbers as arrays without dimensions; lists, which are sequences, as they are."""
    return [
        numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto)
        else value if isinstance(value, list) else np.asarray(value)
        for value in values
    ]  # fmt: skip


def _read_set(place: Path) -> Set:
    def read(kind: str) -> list[Any]:
        files = sorted(place.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.rpartition("_")[2]))
        return [_read_value(file.read_bytes()) for file in files]

    return read("input"), read("output")


def _read_value(content: bytes) -> Any:
    """A tensor of a file; None for a sequence, which no request can carry."""
    try:
        return numpy_helper.to_array(onnx.TensorProto.FromString(content))
    except Exception:
        return None


def examine(case: Case) -> Verdict:
    """Pack `case` and ask it; never raises."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as place:
        warnings.simplefilter("ignore")
        directory = Path(place)
        (directory / "model.onnx").write_bytes(case.model)
        session, answers = _by_onnx_runtime(directory / "model.onnx", case)
        verdict = Verdict(case.name, case.kind, _as_expected(case, answers), "crashed")
        try:
            names = [value.name for value in session.get_inputs()] if session else _names(case)
            sample = _write_sample(directory / "sample.npz", names, case)
            made = pack(_options(directory, sample), lambda _said: None)
            verdict.state = "packed"
            bundle = read_bundle(Path(made["bundle"]))
            verdict.rows = bundle.manifest.rows
            model = Model.load(bundle)
            for (inputs, _), wanted in zip(case.sets, answers, strict=True):
                inputs = dict(zip(names, inputs, strict=False))
                verdict.wrong += _differences(model, inputs, wanted)
        except (PackError, BundleError) as error:
            verdict.state, verdict.said = "refused", str(error).replace(str(directory), "")
        except Exception:
            verdict.state, verdict.said = "crashed", traceback.format_exc()
        return verdict


def _options(directory: Path, sample: Path) -> PackOptions:
    model = directory / "model.onnx"
    return PackOptions(model=model, name="case", sample=sample, into=directory / "models", measure=False)


def _names(case: Case) -> list[str]:
    graph = onnx.ModelProto.FromString(case.model).graph
    kept = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in kept]


def _write_sample(path: Path, names: list[str], case: Case) -> Path:
    """The case's inputs as a person would save them: one set as it is, several as rows."""
    sets = [dict(zip(names, map(_savable, inputs), strict=False)) for inputs, _ in case.sets]
    alike = len({tuple((name, np.shape(value)) for name, value in found.items()) for found in sets}) == 1
    if len(sets) > 1 and alike:
        np.savez(path, **{name: np.stack([found[name] for found in sets]) for name in sets[0]})
    else:
        np.savez(path, **sets[0])
    return path


def _savable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(str) if value.dtype.kind == "O" else value
    return np.ones(1, np.float32)  # of a type that no sample can have: the file is refused for it


def _by_onnx_runtime(path: Path, case: Case) -> tuple[Any, list[dict[str, Any]]]:
    """The session, and its outputs for each set; nothing where ONNX Runtime does not run the file."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs, outputs = session.get_inputs(), [value.name for value in session.get_outputs()]
        return session, [
            dict(zip(outputs, session.run(None, {v.name: g for v, g in zip(inputs, given, strict=False)}), strict=True))
            for given, _ in case.sets
        ]
    except Exception:
        return None, []


def _as_expected(case: Case, answers: list[dict[str, Any]]) -> bool:
    if len(answers) != len(case.sets):
        return False
    for (_, expected), got in zip(case.sets, answers, strict=True):
        for wanted, value in zip(expected, got.values(), strict=False):
            if not isinstance(wanted, np.ndarray) or not isinstance(value, np.ndarray) or wanted.shape != value.shape:
                return False
            if wanted.dtype.kind in "fc":
                if not np.allclose(value, wanted, rtol=case.rtol, atol=max(case.atol, 1e-7), equal_nan=True):
                    return False
            elif not np.array_equal(value.astype(object), wanted.astype(object)):
                return False
    return True


def _differences(model: Model, inputs: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """The protocols through which `model` does not answer `inputs` as ONNX Runtime does."""
    rows, wanted = _with_rows(model, inputs, wanted)
    found = []
    for protocol in PROTOCOLS:
        try:
            got = ASK[protocol](model, rows)
        except (ClientError, ModelError) as error:
            found.append(f"{protocol}: {error}")
            continue
        for name, array in wanted.items():
            if not _equal(got[name], array, exact=protocol == "v2 binary"):
                found.append(f"{protocol}: {name} is {str(got[name])[:60]}, not {str(array)[:60]}")
    return found


def _with_rows(model: Model, inputs: dict[str, Any], wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs with rows first, as model.yaml has them."""

    def rows(schema: Any, array: Any) -> Any:
        return array[np.newaxis] if np.ndim(array) == len(schema.shape) else array

    schemas = {i.name: i for i in model.manifest.inputs}, {o.name: o for o in model.manifest.outputs}
    return (
        {name: rows(schemas[0][name], np.asarray(array)) for name, array in inputs.items() if name in schemas[0]},
        {name: rows(schemas[1][name], np.asarray(array)) for name, array in wanted.items()},
    )


def _equal(got: Any, wanted: Any, exact: bool) -> bool:
    if wanted.dtype.kind == "f":
        values = np.array(got, np.float64) if not isinstance(got, np.ndarray) else got.astype(np.float64)
        expected = wanted.astype(np.float64)
        if not exact:  # JSON has no infinity and no NaN: null stands for both
            expected = np.where(np.isfinite(expected), expected, np.nan)
        values = values.reshape(expected.shape) if values.size == expected.size == 0 else values
        return values.shape == expected.shape and np.allclose(values, expected, rtol=1e-6, atol=1e-9, equal_nan=True)
    return bool(np.asarray(got).tolist() == wanted.tolist())


def _nested(array: Any) -> Any:
    """An array as JSON has it: NaN and infinity are null."""
    if array.dtype.kind == "f":
        nested = np.where(np.isfinite(array), array.astype(object), None)
        return np.vectorize(lambda value: None if value is None else float(value), otypes=[object])(nested).tolist()
    return array.tolist()


def _ask_native(model: Model, rows: dict[str, Any]) -> dict[str, Any]:
    columns = {name: _nested(array) for name, array in rows.items()}
    names = list(columns)
    records = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    answer = _predict(native.PREDICT, model, json.dumps({"records": records}).encode(), {})[0]
    predictions = json.loads(answer)["predictions"]
    return {output.name: [row[output.name] for row in predictions] for output in model.outputs}


def _ask_tensorflow(model: Model, rows: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"inputs": {name: _nested(array) for name, array in rows.items()}}).encode()
    outputs = json.loads(_predict(tensorflow.PREDICT, model, body, {})[0])["outputs"]
    return outputs if len(model.outputs) > 1 else {model.outputs[0].name: outputs}


def _ask_v2(model: Model, rows: dict[str, Any]) -> dict[str, Any]:
    inputs = [_tensor(model, name, array) | {"data": _nested(array.ravel())} for name, array in rows.items()]
    answer = json.loads(_predict(v2_infer.PREDICT, model, json.dumps({"inputs": inputs}).encode(), {})[0])
    return {
        output["name"]: np.array(output["data"], object).reshape(output["shape"]).tolist()
        for output in answer["outputs"]
    }


def _ask_v2_binary(model: Model, rows: dict[str, Any]) -> dict[str, Any]:
    blobs = {name: _bytes(array) for name, array in rows.items()}
    inputs = [
        _tensor(model, name, array) | {"parameters": {"binary_data_size": len(blobs[name])}}
        for name, array in rows.items()
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    sent = {b"inference-header-content-length": str(len(head)).encode()}
    body, headers = _predict(v2_infer.PREDICT, model, head + b"".join(blobs.values()), sent)
    size = int(dict(headers).get(v2_infer.HEADER, len(body)))
    rest, found = io.BytesIO(body[size:]), {}
    for output in json.loads(body[:size])["outputs"]:
        blob = rest.read(output["parameters"]["binary_data_size"])
        found[output["name"]] = _array(blob, output["datatype"], output["shape"])
    return found


def _predict(protocol: Any, model: Model, body: bytes, headers: dict[bytes, bytes]) -> tuple[bytes, Any]:
    unread: Any = None  # the body is here
    request = Request("/", headers.items(), unread)
    inputs, wanted = protocol.parse(model, body, request)
    answer = protocol.encode(model, model.predict(inputs), wanted, request)
    return answer.body, answer.headers


def _tensor(model: Model, name: str, array: Any) -> dict[str, Any]:
    datatype = next(i.schema.datatype for i in model.inputs if i.name == name)
    return {"name": name, "datatype": datatype, "shape": list(array.shape)}


def _bytes(array: Any) -> bytes:
    if array.dtype.kind in "OU":
        texts = [str(text).encode() for text in array.ravel()]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return bytes(array.tobytes())


def _array(blob: bytes, datatype: str, shape: list[int]) -> Any:
    if datatype != "BYTES":
        from modelhost.payload.datatypes import DTYPES

        return np.frombuffer(blob, DTYPES[datatype]).reshape(shape)
    texts, at = [], 0
    while at < len(blob):
        (size,) = struct.unpack_from("<I", blob, at)
        texts.append(blob[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return np.array(texts, object).reshape(shape)


ASK = {"native": _ask_native, "v2": _ask_v2, "v2 binary": _ask_v2_binary, "tensorflow": _ask_tensorflow}


def sentence(said: str) -> str:
    """A refusal without what is of its case alone, to count those of one kind."""
    said = re.sub(r"(input|output) \S+ is a", r"\1 ... is a", said)
    said = re.sub(r"(input|output) \S+ (takes|has)", r"\1 ... \2", said)
    said = re.sub(r"\[[^\]]*\]", "[...]", said)
    said = re.sub(r"node[. ]*Name:.*|Node \(\S*\).*|for the operator .*|[a-zA-Z.]+\(\d+\) node.*", "...", said)
    return said[:150]


def summary(verdicts: list[Verdict]) -> dict[str, int]:
    """The counts."""
    answered = [v for v in verdicts if v.answered]
    packed = [v for v in verdicts if v.state == "packed"]
    return {
        "cases": len(verdicts),
        "answered by ONNX Runtime as expected": len(answered),
        "packed": len(packed),
        "refused in a sentence": sum(v.state == "refused" for v in verdicts),
        "neither": sum(v.state == "crashed" for v in verdicts),
        "packed of those answered": sum(v.state == "packed" for v in answered),
        "equal through all protocols, of those packed": sum(not v.wrong for v in packed),
        "wrong": sum(bool(v.wrong) for v in packed),
    }


def run(limit: int | None = None, jobs: int = 1, match: str = "") -> list[Verdict]:
    """The verdict of every case, or of `limit` spread over all."""
    chosen = [case for case in cases() if match in case.name]
    if limit is not None and limit < len(chosen):
        chosen = [chosen[int(place)] for place in np.linspace(0, len(chosen) - 1, limit)]
    if jobs == 1:
        return [examine(case) for case in chosen]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(examine, chosen, chunksize=16))


def main() -> int:
    """Print counts, refusals by sentence, and whatever is wrong; 1 where anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="this many cases, spread over all")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--match", default="", help="cases with this in their name")
    parser.add_argument("--json", type=Path, help="write the counts and refusals to this file")
    options = parser.parse_args()
    verdicts = run(options.limit, options.jobs, options.match)
    counts = summary(verdicts)
    refusals = Counter(sentence(v.said) for v in verdicts if v.state == "refused")
    lost = [v for v in verdicts if v.answered and v.state != "packed"]
    for name, number in counts.items():
        print(f"{number:6,} {name}")
    print("\nRefused, by sentence:")
    for said, number in refusals.most_common():
        print(f"{number:6,} {said}")
    print("\nRefused, though ONNX Runtime answers as expected:")
    for said, number in Counter(sentence(v.said) for v in lost).most_common():
        print(f"{number:6,} {said}   e.g. {next(v.name for v in lost if sentence(v.said) == said)}")
    for verdict in verdicts:
        if verdict.state == "crashed":
            print(f"\nNEITHER {verdict.name}:\n{verdict.said}")
        for wrong in verdict.wrong:
            print(f"WRONG {verdict.name}: {wrong}")
    if options.json:
        options.json.write_text(json.dumps({"counts": counts, "refused": refusals}, indent=2))
    return 1 if counts["neither"] or counts["wrong"] else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
