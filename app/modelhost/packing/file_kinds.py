"""What a file that is no pickle is instead, by its first bytes."""

import re
from pathlib import Path

from modelhost.payload.http_body import is_text

HEAD = 512
# By what they begin with, and what to do about it.
KINDS = {
    b"PK\x03\x04": "a zip archive: if skops wrote it, call it .skops; if it is a download, unpack it",
    b"\x93NUMPY": "an array of numpy.save, and so no model, but perhaps its sample",
    b"PAR1": "a table in Parquet, and so no model, but perhaps its sample",
    b"\x89HDF": "HDF5, as Keras writes it: call it .h5, and pack says how to export it",
    b"GGUF": "a language model of llama.cpp: call it .gguf, and pack says how to serve it",
    b"SQLite format 3": "a database of SQLite",
    b"%PDF": "a PDF",
    b"\x7fELF": "a program",
    b"version https://git-lfs": "a pointer of Git LFS, which stands for the file: git lfs pull gets that",
    b"tree\n": "a model of LightGBM's own format: call it .txt",
}
# Of text, without blanks before it, in any case.
TEXTS = {
    b"{": "JSON: if it is a model of XGBoost's, call it .json",
    b"[": "JSON, and so no model, but perhaps its sample",
    b"<!doctype html": "an HTML page, as a login or an error is: download the model again",
    b"<html": "an HTML page, as a login or an error is: download the model again",
    b"<": "XML: if it is PMML, call it .pmml",
}
ONNX = re.compile(rb"\x08[\x01-\x20]\x12", re.DOTALL)  # its version, then who wrote it
OLD_PICKLE = re.compile(rb"\(|c[\w.]+\n[\w.]+\n")  # of protocol 0, which is text too


def other_kind(path: Path) -> str:
    """What is in a file that could not be read as a pickle, such as "JSON", and what to do; empty where it may be one.

    Raises OSError.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip():
        return "empty"
    if found := next((kind for start, kind in KINDS.items() if head.startswith(start)), ""):
        return found
    if ONNX.match(head):
        return "an ONNX model, by its looks: call it .onnx"
    if not is_text(head) or OLD_PICKLE.match(head):
        return ""
    bare = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for start, kind in TEXTS.items() if bare.startswith(start)), "text")
