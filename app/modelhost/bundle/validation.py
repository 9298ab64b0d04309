"""Rules of model.yaml that hold between fields, where types cannot say them."""

import math
from typing import Any

from msgspec import UNSET

from . import base64_text
from .manifest import SIGNATURE
from .schema import Feature, Input, Manifest, Output

LARGEST = {"FP16": 65504.0, "FP32": 3.4028234663852886e38, "FP64": 1.7976931348623157e308}  # finite ones

Violation = tuple[str, object, str]  # field, value found, what to write instead

OPTIONAL = {"requirements", "statistics"}  # files that a bundle may do without


def violations(manifest: Manifest) -> list[Violation]:
    """Rules across fields that `manifest` breaks: (field, value found, what to write instead)."""
    found: list[Violation] = []
    files = manifest.files
    named = {"entry": manifest.entry, "golden": manifest.golden, "statistics": manifest.statistics,
             "requirements": manifest.requirements}  # fmt: skip
    for field, file in named.items():
        if file not in files and (file or field not in OPTIONAL):
            found.append((field, file, "one of the names under files: " + ", ".join(files)))
    if SIGNATURE in files:
        found.append(("files", SIGNATURE, f"no {SIGNATURE}: a signature is no part of what it signs"))
    if manifest.allow_pickle != (manifest.format == "pickle"):
        instead = "true if whoever made the pickle may run code on the server; better, pack the model as onnx or skops"
        if manifest.allow_pickle:
            instead = f"false: nothing is unpickled for the format {manifest.format}"
        found.append(("allow_pickle", manifest.allow_pickle, instead))
    if manifest.rows == "one" and manifest.batching:
        found.append(("batching", manifest.batching.max_rows, "nothing: with rows: one, requests cannot share a call"))
    if manifest.varies and manifest.pure:
        found.append(("pure", True, "false, or leave it out: with varies, equal inputs may give other outputs"))
    sent = [name for tensor in manifest.inputs for name in names_sent(tensor)]
    for field, names in (("inputs", sent), ("outputs", [o.name for o in manifest.outputs])):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            found.append((field, twice, "each name only once"))
    for tensor in manifest.inputs:
        rules = [*_of_content(tensor, manifest.format), *_of_input(tensor)]
        found += [(f"inputs[{tensor.name}].{field}", value, instead) for field, value, instead in rules]
    for output in manifest.outputs:
        found += [(f"outputs[{output.name}].{field}", value, instead) for field, value, instead in _of_output(output)]
    return found


def names_sent(tensor: Input) -> list[str]:
    """The keys by which a client's record can give `tensor`: its name, then its features'."""
    return [tensor.name, *(feature.name for feature in tensor.features)]


def _of_output(output: Output) -> list[Violation]:
    found = _of_shape(output)
    if output.labels and output.datatype != "BYTES":
        found.append(("datatype", output.datatype, "BYTES, since labels are text"))
    if output.nullable and output.datatype not in LARGEST:
        found.append(
            ("nullable", True, f"false, or leave it out: of the datatypes, only {', '.join(LARGEST)} have a NaN")
        )
    return found


def _of_content(tensor: Input, form: str) -> list[Violation]:
    """Bytes and JSON values go to a model as they are: what is said of text or numbers does not apply."""
    if tensor.content == "text":
        return []
    if tensor.datatype != "BYTES" or form != "python":
        where = "an input of BYTES" if form == "python" else "a model of the format python"
        return [("content", tensor.content, f"text, or leave it out: only {where} has another")]
    if tensor.content == "json" and tensor.shape:
        return [("shape", list(tensor.shape), "[]: a JSON value may itself be a list, of any shape")]
    others = {"features": bool(tensor.features), "categories": bool(tensor.categories), "dtype": bool(tensor.dtype),
              "missing": tensor.missing is not UNSET}  # fmt: skip
    instead = f"nothing beside content: {tensor.content}"
    return [(field, getattr(tensor, field), instead) for field, said in others.items() if said]


def _of_input(tensor: Input) -> list[Violation]:
    found = _of_shape(tensor)
    if tensor.features and tensor.shape != (len(tensor.features),):
        wanted = f"[{len(tensor.features)}], one for each of its features"
        found.append(("shape", list(tensor.shape), wanted))
    if tensor.features and not (tensor.minimum is None and tensor.maximum is None):
        instead = "no minimum or maximum beside features: write them with each feature"
        found.append(("minimum or maximum", (tensor.minimum, tensor.maximum), instead))
    if tensor.features and tensor.nullable:
        found.append(("nullable", True, "false beside features: write nullable with each feature that may be null"))
    if tensor.features and tensor.default is not UNSET:
        found.append(("default", tensor.default, "no default beside features: write one with each feature"))
    found += _of_bounds(tensor, tensor)
    if tensor.categories:
        kind = str if tensor.datatype == "BYTES" else int
        if tensor.datatype.startswith("FP") or tensor.datatype == "BOOL":
            found.append(("categories", list(tensor.categories), "none: only text and integers"))
        elif not all(type(value) is kind for value in tensor.categories):
            wanted = "only text" if kind is str else "only integers"
            found.append(("categories", list(tensor.categories), wanted))
    if not tensor.features:
        found += _of_default(tensor, tensor)
    for feature in tensor.features:
        rules = [*_of_bounds(tensor, feature), *_of_boolean(tensor, feature), *_of_default(tensor, feature)]
        found += [(f"features[{feature.name}].{field}", value, instead) for field, value, instead in rules]
    return found


def _of_shape(tensor: Input | Output) -> list[Violation]:
    if 0 not in tensor.shape:
        return []
    return [("shape", list(tensor.shape), "sizes from 1, or -1 for a size that each request chooses")]


def _of_bounds(tensor: Input, bounded: Input | Feature) -> list[Violation]:
    low, high = bounded.minimum, bounded.maximum
    if tensor.datatype in ("BYTES", "BOOL") and (low is not None or high is not None):
        return [("minimum", low, f"no minimum or maximum: {tensor.datatype} has none")]
    if low is not None and high is not None and not low <= high:
        return [("minimum", low, f"at most the maximum, {high}")]
    if "INT" in tensor.datatype and not {type(low), type(high)} <= {int, type(None)}:
        return [("minimum or maximum", (low, high), f"integers, as for {tensor.datatype}")]
    return []


def _of_boolean(tensor: Input, feature: Feature) -> list[Violation]:
    if not feature.boolean:
        return []
    if tensor.datatype in ("BYTES", "BOOL"):
        return [("boolean", True, f"false: of an input of {tensor.datatype}, no feature is a number to be 1 or 0")]
    if feature.minimum is not None or feature.maximum is not None:
        bounds = (feature.minimum, feature.maximum)
        return [("minimum or maximum", bounds, "none: a boolean feature is true or false")]
    return []


def _of_default(tensor: Input, field: Input | Feature) -> list[Violation]:
    value = field.default
    if value is UNSET:
        return []
    if value is None and not field.nullable and (isinstance(field, Feature) or not tensor.shape):
        return [("default", None, "nullable: true beside it, or a value that is not null")]
    if not _fits(value, () if isinstance(field, Feature) else tensor.shape, tensor, field):
        return [("default", value, _wanted(tensor, field))]
    return []


def _fits(value: object, shape: tuple[int, ...], tensor: Input, field: Input | Feature) -> bool:
    """Whether a request may give `value` for `field`: lists of `shape` with legal elements."""
    if not shape:
        return _is_element(value, tensor, field)
    if not isinstance(value, list) or not value or (shape[0] != -1 and len(value) != shape[0]):
        return False
    if -1 in shape[1:] and len({_sizes(item) for item in value}) != 1:
        return False
    return all(_fits(item, shape[1:], tensor, field) for item in value)


def _sizes(value: object) -> tuple[int, ...]:
    return (len(value), *_sizes(value[0])) if isinstance(value, list) and value else ()


def _is_element(value: Any, tensor: Input, field: Input | Feature) -> bool:
    if value is None:
        return field.nullable
    if tensor.categories and value not in tensor.categories:
        return False
    if tensor.content != "text":
        return _is_bytes(value) if tensor.content == "bytes" else _is_json(value)
    if tensor.datatype == "BYTES":
        return isinstance(value, str)
    if tensor.datatype == "BOOL" or (isinstance(field, Feature) and field.boolean):
        return isinstance(value, bool | int | float) and value in (0, 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    low, high = _limits(tensor.datatype)
    if field.minimum is not None:
        low = max(low, field.minimum)
    if field.maximum is not None:
        high = min(high, field.maximum)
    return low <= value <= high and ("INT" not in tensor.datatype or value == int(value))


def _is_bytes(value: Any) -> bool:
    try:
        return base64_text.is_encoded(value) and base64_text.decode(value[base64_text.KEY]) is not None
    except ValueError:
        return False


def _is_json(value: Any) -> bool:
    """Whether JSON can hold `value`: YAML has dates and NaN too, and mappings with keys of any kind."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and (item is None or _is_json(item)) for key, item in value.items())
    if isinstance(value, list):
        return all(item is None or _is_json(item) for item in value)
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _limits(datatype: str) -> tuple[float, float]:
    if datatype in LARGEST:
        return -LARGEST[datatype], LARGEST[datatype]
    bits = int(datatype.rpartition("INT")[2])
    return (0, 2**bits - 1) if datatype.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _wanted(tensor: Input, field: Input | Feature) -> str:
    if isinstance(field, Input) and tensor.shape:
        return f"a value that a request may send: lists of the shape {list(tensor.shape)}"
    if tensor.categories:
        return "one of the categories: " + ", ".join(str(value) for value in tensor.categories)
    if tensor.content != "text":
        return 'b64: "<the bytes in base64>"' if tensor.content == "bytes" else "a value of JSON"
    if tensor.datatype == "BYTES":
        return "text, in quotes where YAML would read something else"
    if tensor.datatype == "BOOL" or (isinstance(field, Feature) and field.boolean):
        return "true or false"
    kind = "an integer" if "INT" in tensor.datatype else "a number"
    return f"{kind} of {tensor.datatype} from its minimum to its maximum"
