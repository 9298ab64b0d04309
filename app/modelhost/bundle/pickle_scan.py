"""Pickles in a bundle that import what runs commands are refused; by picklescan's list of those, and a few more.

A scan is no proof: a list cannot have everything that can be put to use. It tells what is plainly made to harm.
"""

import bz2
import contextlib
import gzip
import io
import logging
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from .manifest import BundleError, label
from .pickle_imports import Import, UnreadableError, read_imports, reads_arrays
from .schema import Manifest

# What others than the entry of the format pickle are called, where their first bytes do not tell.
SUFFIXES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill", ".p")
STARTS = tuple(bytes([0x80, protocol]) for protocol in range(6))
DEEPEST = 3  # an archive in an archive in an archive
HEAD = 16
# What the libraries raise for a packed file that is not as it should be, or is packed in a way that they do not know.
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
)

# What picklescan lets pass, though it reaches code by a name that is data, or opens a pickle that no one has read.
# "*": all of a module, and of those below it.
MORE: dict[str, set[str]] = {
    "_compat_pickle": {"*"},
    "_io": {"open", "open_code"},
    "builtins": {"__import__", "delattr", "globals", "input", "locals", "setattr", "vars"},
    "cloudpickle": {"load", "loads"},
    "copyreg": {"_extension_cache", "_extension_registry", "_inverted_registry", "add_extension"},
    "dill": {"*"},
    "gc": {"*"},
    "importlib": {"*"},
    "io": {"FileIO", "open", "open_code"},
    "joblib": {"load"},
    "joblib.numpy_pickle": {"_unpickle", "load", "load_compatibility", "load_temporary_memmap"},
    "joblib.numpy_pickle_compat": {"load_compatibility"},
    "marshal": {"*"},
    "multiprocessing": {"*"},
    "numpy": {"load"},
    "pandas": {"eval", "read_pickle"},
    "pandas.io.pickle": {"read_pickle"},
    "torch": {"load"},
    "torch.jit": {"load"},
}
# What picklescan lists, though it runs nothing but what the pickle imports beside, which is judged by its own name.
# Pipelines have them in a FunctionTransformer.
# With those, what Python keeps behind such a name is within reach: all classes, or a module's builtins.
HIDDEN = re.compile(r"__\w+__")
MAKERS = {"__newobj__", "__newobj_ex__"}  # copyreg's, which are harmless
SPARED = {"functools": {"partial"}, "_operator": {"itemgetter"}, "operator": {"itemgetter"}}


class _Way(NamedTuple):
    """How a file is read."""

    is_model: bool
    plain: bool  # as pickle.load does, which knows no arrays


class _Inflated(io.RawIOBase):
    """What a file of zlib holds, piece by piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            packed = self._inflate.unconsumed_tail or self._inflate.unused_data or self._file.read(2**16)
            if self._inflate.eof:  # joblib goes on to what is packed behind it
                self._inflate = zlib.decompressobj()
            piece = self._inflate.decompress(packed, len(buffer))
            if piece or not packed:
                buffer[: len(piece)] = piece
                return len(piece)


# How joblib packs, by a file's first bytes.
PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZ": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
    b"]\x00": lzma.LZMAFile,
    **dict.fromkeys((b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"), _Inflated),
}


def refuse_dangerous_pickles(directory: Path, manifest: Manifest) -> None:
    """Raise BundleError for a pickle that imports what runs commands, or whose imports are not known.

    Raises ModuleNotFoundError where a pickle is there and picklescan is not installed.
    """
    for file in manifest.files:
        if manifest.format == "skops" and file == manifest.entry:
            continue  # which makes types that the server trusts, and opens no pickle
        is_model = manifest.format == "pickle" and file == manifest.entry
        try:
            dangers = dangerous_imports(directory / file, is_model)
        except UnreadableError as error:
            problem = f"{file} is no pickle that can be read to its end ({error}), so what it imports is not known"
            field, what = ("entry", "the model") if is_model else ("files", "it")
            raise BundleError(f"{label(directory)}: {field}: {problem}: store {what} again, by joblib.dump") from None
        for where, names in dangers.items():
            raise BundleError(f"{label(directory)}: files: {file}{where} {danger(names)}")


def danger(names: list[str]) -> str:
    """What is wrong with a pickle that imports these, and what to do: the end of a sentence."""
    return (
        f"imports {', '.join(names)}, which can run commands, or reach what does, as soon as it is opened: do not use "
        "it; if it is your own, store the model without that, best as onnx or skops"
    )


def dangerous_imports(path: Path, is_model: bool) -> dict[str, list[str]]:
    """What pickles in a file import that runs commands, by their places in it; empty where that is nothing.

    `is_model`: joblib.load opens it, whatever it looks like; raises UnreadableError where it cannot be read to its end.
    What opens another file is not known: it is read as joblib.load does, and as pickle.load does where they differ.
    Raises UnreadableError also for such a file where it imports something, and then cannot be read.
    """
    found: dict[str, set[str]] = {}
    arrays = False
    for plain in (False, True):
        if plain and (is_model or not arrays):
            break
        with path.open("rb") as file:
            for where, imports in _pickles(file, path.suffix.lower(), _Way(is_model, plain), 0):
                arrays |= any(reads_arrays(*each) for each in imports)
                if names := {f"{module}.{name}" for module, name in imports if is_dangerous(module, name)}:
                    found.setdefault(where, set()).update(names)
    return {where: sorted(names) for where, names in found.items()}


def is_dangerous(module: str, name: str) -> bool:
    """Whether a pickle that imports this can run commands, or reach what does."""
    if HIDDEN.search(name) and name not in MAKERS:
        return True
    parts = [*module.split("."), *name.split(".")]
    # A name with dots walks from a module to another that it has imported: logging, and os.system of it.
    ways = [(module, name)]
    if "." in name:
        ways += [
            (".".join(parts[first:last]), ".".join(parts[last:]))
            for first in range(len(parts))
            for last in range(first + 1, len(parts))
        ]
    return any(_is_listed(*way) for way in ways)


def _is_listed(module: str, name: str) -> bool:
    from picklescan.scanner import scan_pickle_bytes

    if name in SPARED.get(module, ()):
        return False
    parents = module.split(".")
    above = [".".join(parents[:depth]) for depth in range(1, len(parents) + 1)]
    if name in MORE.get(module, ()) or any("*" in MORE.get(parent, ()) for parent in above):
        return True
    logging.getLogger("picklescan").setLevel(logging.CRITICAL + 1)  # the refusal says it
    # It takes the word for its own sign of a name that it cannot read.
    asked = tuple(text.replace("unknown", "unknwn") for text in (module, name))
    return bool(scan_pickle_bytes(io.BytesIO(_importing(*asked)), "").issues_count)


def _importing(module: str, name: str) -> bytes:
    """A pickle that imports this, and nothing else."""
    texts = [text.encode("utf-8", "surrogatepass") for text in (module, name)]
    written = b"".join(b"X" + len(text).to_bytes(4, "little") + text for text in texts)
    return b"\x80\x04" + written + b"\x93."


def _pickles(file: BinaryIO, suffix: str, way: _Way, depth: int) -> Iterator[tuple[str, set[Import]]]:
    """Each pickle in a file: its place, empty for the file itself, and what it imports."""
    opened = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file))
    head = opened.peek(HEAD)[:HEAD]
    unpack = next((unpack for start, unpack in PACKED.items() if head.startswith(start)), None)
    # joblib unpacks once; BZ can begin a pickle too.
    if unpack and not (way.is_model and depth and head.startswith(b"BZ")):
        yield from _unpacked(unpack(opened), suffix, way, depth)
    elif head.startswith(b"PK\x03\x04") and not way.is_model:
        yield from _in_archive(opened, way, depth)
    elif head.startswith(b"\x93NUMPY") and not way.is_model:
        if _holds_objects(opened):
            yield from _read(opened, way)
    elif way.is_model or head.startswith(STARTS) or suffix in SUFFIXES:
        yield from _read(opened, way)


def _read(file: BinaryIO, way: _Way) -> Iterator[tuple[str, set[Import]]]:
    found: set[Import] = set()
    try:
        read_imports(file, found, way.plain)
    except UnreadableError:
        known = way.plain or any(is_dangerous(*each) for each in found)
        if not known and (way.is_model or found):
            raise
    yield "", found


def _unpacked(file: Any, suffix: str, way: _Way, depth: int) -> Iterator[tuple[str, set[Import]]]:
    """What is in a compressed file. One that is packed too often, or wrongly, holds no pickle that anything opens."""
    try:
        if depth < DEEPEST:
            yield from _pickles(file, suffix, way, depth + 1)
    except DAMAGED as error:
        if way.is_model:
            raise UnreadableError(f"{error}") from None


def _in_archive(file: BinaryIO, way: _Way, depth: int) -> Iterator[tuple[str, set[Import]]]:
    """What is in a zip file, which may be wrong in ways that PyTorch overlooks."""
    from picklescan.relaxed_zipfile import RelaxedZipFile

    try:
        with RelaxedZipFile(file) as archive:
            for member in archive.infolist() if depth < DEEPEST else []:
                with contextlib.suppress(*DAMAGED), archive.open(member) as opened:
                    suffix = Path(member.filename).suffix.lower()
                    for where, imports in _pickles(cast(BinaryIO, opened), suffix, way, depth + 1):
                        yield f":{member.filename}{where}", imports
    except DAMAGED:
        return


def _holds_objects(file: BinaryIO) -> bool:
    """Step over the header of an array of numpy's; whether a pickle of its elements follows."""
    start = file.read(8)
    length = int.from_bytes(file.read(2 if start[6:7] == b"\x01" else 4), "little")
    header = file.read(min(length, 2**20))
    if length > len(header):
        raise UnreadableError("the header of numpy's in it has no end")
    return b"O" in header or b"object" in header or b"\\" in header  # by which an O can be written too
