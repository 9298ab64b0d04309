"""PyTorch's exported programs (.pt2) and TorchScript (.pt), converted to ONNX where torch is installed.

The reference is the program itself: each call that packing makes is made of both, and must be answered alike.
"""

import contextlib
import io
import logging
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modelhost.bundle.short_text import shorten_text
from modelhost.packing import graph, onnx_file, ragged
from modelhost.packing.columns import matrix_input
from modelhost.packing.errors import PackError
from modelhost.packing.formats import onnx
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Source
from modelhost.payload.datatypes import Array, Arrays

INSTALL = "install them (pip install torch onnxscript), or export the model where it was trained:\n    "
PROGRAM = """program = torch.export.load("{name}")
    torch.onnx.export(program, dynamo=True).save("{stem}.onnx")
    modelhost pack {stem}.onnx ..."""
SCRIPT = """script = torch.jit.load("{name}").eval()
    torch.onnx.export(script, (torch.randn(2, 4),), "{stem}.onnx", dynamo=False, input_names=["x"],
                      dynamic_axes={{"x": {{0: "rows"}}}})  # with a batch as the model takes it"""

Call = Callable[[Arrays], list[Array]]


def inspect(path: Path, sample: Sample, allow_pickle: bool, one_row: bool = False) -> Source:
    """The program in `path` as ONNX; raises PackError where it is none, or where its ONNX form answers differently."""
    torch = _torch(path)
    directory = Path(tempfile.mkdtemp(prefix="modelhost-"))
    try:
        source = _converted(torch, path, sample, allow_pickle, one_row, directory / "model.onnx")
    except BaseException:
        shutil.rmtree(directory)
        raise
    weakref.finalize(source, shutil.rmtree, directory, ignore_errors=True)  # until then it copies from there
    return source


def _converted(torch: Any, path: Path, sample: Sample, allow_pickle: bool, one_row: bool, target: Path) -> Source:
    with _quiet():
        opened = _open_script if path.suffix == ".pt" else _open_program
        try:
            call, sample = opened(torch, path, sample, target)
        except PackError:
            raise
        except Exception as error:  # torch raises whatever it comes upon
            reason = shorten_text(str(error), 300)
            raise PackError(f"{path} cannot be converted to ONNX: {type(error).__name__}: {reason}") from error
    source = onnx.inspect(target, sample, allow_pickle, call, one_row)
    kind = "TorchScript" if path.suffix == ".pt" else "an exported program"
    notes = ["converted to ONNX: every call that packing made was answered alike by both", *source.notes]
    return replace(source, library=f"PyTorch {torch.__version__}", kind=kind, notes=notes)


def _torch(path: Path) -> Any:
    try:
        import onnxscript  # noqa: F401  the exporter's
        import torch
    except ImportError as error:
        lines = (PROGRAM if path.suffix == ".pt2" else SCRIPT).format(name=path.name, stem=path.stem)
        missing = f"{path} needs torch and onnxscript, and {error.name} is not installed: "
        raise PackError(missing + INSTALL + lines) from error
    return torch


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's own reports, which are about its steps and not the model."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _open_program(torch: Any, path: Path, sample: Sample, target: Path) -> tuple[Call, Sample]:
    """The program as a function of tensors by name, after its ONNX form is written to `target`."""
    tree = torch.utils._pytree
    program = torch.export.load(path)
    names = list(program.graph_signature.user_inputs)
    if not all(isinstance(name, str) for name in names):
        raise PackError(f"{path} was exported with an input that is not a tensor: export it with tensors alone")
    spec = program.call_spec
    outputs = tree.tree_unflatten(list(range(spec.out_spec.num_leaves)), spec.out_spec)
    torch.onnx.export(program, dynamo=True, verbose=False).save(target)
    model = onnx_file.load(target)
    graph.with_output_names(model, _output_names(tree, outputs))  # its own output_names meet those of nodes inside
    target.write_bytes(model.SerializeToString())
    module = program.module()

    def call(feeds: Arrays) -> list[Array]:
        given = [torch.from_numpy(np.array(feeds[name])) for name in names]
        args, kwargs = tree.tree_unflatten(given, spec.in_spec)
        with torch.no_grad():
            return [_to_numpy(leaf) for leaf in tree.tree_leaves(module(*args, **kwargs))]

    return call, sample


def _open_script(torch: Any, path: Path, sample: Sample, target: Path) -> tuple[Call, Sample]:
    """Likewise of TorchScript, which does not say what it takes: its example is the sample's rows."""
    script = torch.jit.load(path, map_location="cpu").eval()
    names = [argument.name for argument in script.forward.schema.arguments[1:] if not argument.has_default_value()]
    columns = _columns(path, names, sample)
    rows = {name: array[:2] for name, array in ragged.by_size(columns)[0][1].items()}
    given = tuple(torch.from_numpy(np.array(rows[name])) for name in names)
    axes = {name: {axis: f"{name}_{axis}" if axis else "rows" for axis in range(rows[name].ndim)} for name in names}
    tree = torch.utils._pytree
    outputs = _output_names(tree, script(*given))
    torch.onnx.export(script, given, target, dynamo=False, input_names=names, output_names=outputs, dynamic_axes=axes)

    def call(feeds: Arrays) -> list[Array]:
        with torch.no_grad():
            answer = script(*[torch.from_numpy(np.array(feeds[name])) for name in names])
        return [_to_numpy(leaf) for leaf in tree.tree_leaves(answer)]

    return call, replace(sample, columns=columns, named=True)


def _columns(path: Path, names: list[str], sample: Sample) -> Arrays:
    """The sample's columns by the script's arguments; numbers with a fraction are float32, as in PyTorch."""
    columns = dict(sample.columns)
    if len(names) == 1 and names[0] not in columns:
        only = next(iter(columns.values()))
        if len(columns) == 1 and (only.ndim > 1 or ragged.is_ragged(only)):
            columns = {names[0]: only}
        else:
            columns = {names[0]: next(iter(matrix_input(sample, "FP32")[1].values()))}
    if missing := [name for name in names if name not in columns]:
        raise PackError(f"{path} takes {', '.join(names)}; the sample has {', '.join(columns)}: it lacks {missing[0]}")
    return {name: _single(columns[name]) for name in names}


def _single(array: Array) -> Array:
    if ragged.is_ragged(array):
        return ragged.of_rows([_single(row) for row in array])
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _output_names(tree: Any, outputs: Any) -> list[str]:
    """A name for each leaf: its keys where it is in a dictionary or a class, its place in a tuple, or "output"."""
    names = []
    for where, _ in tree.tree_flatten_with_path(outputs)[0]:
        keys = [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", "")))) for key in where]
        names.append("_".join(keys if keys and not keys[0].isdigit() else ["output", *keys]))
    return names


def _to_numpy(leaf: Any) -> Array:
    array: Array = leaf.detach().cpu().numpy()
    return array
