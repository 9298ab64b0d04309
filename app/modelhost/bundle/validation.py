"""Rules of model.yaml that hold between fields, where types cannot say them."""

from typing import Any

from modelhost.bundle.schema import Feature, Input, Manifest

OPTIONAL = {"requirements", "statistics"}  # files that a bundle may do without


def contradictions(manifest: Manifest) -> list[tuple[str, object, str]]:
    """Rules across fields that `manifest` breaks: (field, value found, what to write instead)."""
    found: list[tuple[str, object, str]] = []
    files = manifest.files
    named = {"entry": manifest.entry, "golden": manifest.golden, "statistics": manifest.statistics,
             "requirements": manifest.requirements}  # fmt: skip
    for field, file in named.items():
        if file not in files and (file or field not in OPTIONAL):
            found.append((field, file, "one of the names under files: " + ", ".join(files)))
    if manifest.allow_pickle != (manifest.format == "pickle"):
        instead = "true if whoever made the pickle may run code on the server; better, pack the model as onnx or skops"
        if manifest.allow_pickle:
            instead = f"false: nothing is unpickled for the format {manifest.format}"
        found.append(("allow_pickle", manifest.allow_pickle, instead))
    sent = [name for tensor in manifest.inputs for name in names_sent(tensor)]
    for field, names in (("inputs", sent), ("outputs", [o.name for o in manifest.outputs])):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            found.append((field, twice, "each name only once"))
    for tensor in manifest.inputs:
        found += [(f"inputs[{tensor.name}].{field}", *rest) for field, *rest in _of_input(tensor)]
    for output in manifest.outputs:
        if output.labels and output.datatype != "BYTES":
            field = f"outputs[{output.name}].datatype"
            found.append((field, output.datatype, "BYTES, since labels are text"))
    return found


def names_sent(tensor: Input) -> list[str]:
    """The keys by which a client's record can give `tensor`: its name, then its features'."""
    return [tensor.name, *(feature.name for feature in tensor.features)]


def _of_input(tensor: Input) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    if tensor.features and tensor.shape != (len(tensor.features),):
        wanted = f"[{len(tensor.features)}], one for each of its features"
        found.append(("shape", list(tensor.shape), wanted))
    if tensor.features and not (tensor.minimum is None and tensor.maximum is None):
        instead = "no minimum or maximum beside features: write them with each feature"
        found.append(("minimum or maximum", (tensor.minimum, tensor.maximum), instead))
    text = tensor.datatype in ("BYTES", "BOOL")
    whole = "INT" in tensor.datatype
    bounds: list[Input | Feature] = [tensor, *tensor.features]
    for bounded in bounds:
        low, high = bounded.minimum, bounded.maximum
        if text and (low is not None or high is not None):
            found.append(("minimum", low, f"no minimum or maximum: {tensor.datatype} has none"))
        elif low is not None and high is not None and not low <= high:
            found.append(("minimum", low, f"at most the maximum, {high}"))
        elif whole and not {type(low), type(high)} <= {int, type(None)}:
            found.append(("minimum or maximum", (low, high), f"integers, as for {tensor.datatype}"))
    if tensor.categories:
        kind = str if tensor.datatype == "BYTES" else int
        if tensor.datatype.startswith("FP") or tensor.datatype == "BOOL":
            found.append(("categories", list(tensor.categories), "none: only text and integers"))
        elif not all(type(value) is kind for value in tensor.categories):
            wanted = "only text" if kind is str else "only integers"
            found.append(("categories", list(tensor.categories), wanted))
    return found
