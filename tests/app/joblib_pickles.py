"""Pickles with joblib's arrays, written instruction by instruction: as joblib.dump does, and as it never would."""

import struct

ARRAY = b"ABCDE"
NONE, FALSE, TRUE = b"N", b"\x89", b"\x88"


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def imported(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def several(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def listed(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + several(*arguments) + b"R"


def dtype(name: str = "u1", size: int = -1, flags: int = 0, copy: bytes = TRUE) -> bytes:
    state = several(number(3), text("|"), NONE, NONE, NONE, number(size), number(-1), number(flags))
    return called(imported("numpy", "dtype"), text(name), FALSE, copy) + state + b"b"


WRAPPER = imported("joblib.numpy_pickle", "NumpyArrayWrapper")
NDARRAY = imported("numpy", "ndarray")
INIT = (NDARRAY, several(number(len(ARRAY))), text("C"), dtype(), FALSE, NONE)
SYSTEM = imported("posix", "system")


def fields(**other: bytes) -> dict[str, bytes]:
    named = {"subclass": NDARRAY, "shape": several(number(len(ARRAY))), "order": text("C"), "dtype": dtype()}
    return {**named, "allow_mmap": FALSE, **other}


def state(**other: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in fields(**other).items()) + b"u"


def plain(**other: bytes) -> bytes:
    """As joblib writes it."""
    return WRAPPER + b")\x81" + state(**other) + b"b"


def swallow(hidden: bytes) -> bytes:
    """An array's bytes that read as an instruction which takes what is hidden behind them as its bytes."""
    return b"B" + struct.pack("<I", len(hidden))


def pickled(described: bytes, run: bytes, filled: bytes = b"") -> bytes:
    """A list of an array and what is made by `run`, which a reader that steps over no array takes for bytes."""
    hidden = b"0" + run + b"."
    return b"\x80\x04" + described + (filled or swallow(hidden)) + hidden + b"."


def sprung() -> bytes:
    return called(SYSTEM, text("touch sprung"))


def odd() -> dict[str, bytes]:
    """Each describes an array for joblib.load, or may do so, in a way that a reader can get wrong."""
    empty, made = b"}b", b")\x81" + state() + b"b"
    partial = imported("functools", "partial")
    getter = imported("operator", "itemgetter")
    memoized = WRAPPER + b")\x81q\x63"
    return {
        "partial": called(called(partial, WRAPPER, *INIT)) + empty,
        "itemgetter of a class": called(called(getter, number(0)), listed(WRAPPER)) + made,
        "itemgetter of an instance": called(called(getter, number(0)), several(WRAPPER + b")\x81")) + state() + b"b",
        "max": called(imported("builtins", "max"), listed(called(WRAPPER, *INIT))) + empty,
        "called": called(WRAPPER, *INIT) + empty,
        "called by OBJ": b"(" + WRAPPER + b"".join(INIT) + b"o" + empty,
        "in a dict": called(imported("builtins", "max"), b"}" + WRAPPER + number(1) + b"s") + made,
        "by SETITEM": called(imported("builtins", "len"), b"}" + number(1) + WRAPPER + b"s") + made,
        "in a set": called(imported("builtins", "max"), b"\x8f(" + WRAPPER + b"\x90") + made,
        "by its class": called(imported("builtins", "int")) + several(NONE, b"}" + text("__class__") + WRAPPER + b"s")
        + b"b",
        "_create_array_wrapper": called(
            imported("joblib.numpy_pickle", "NumpyPickler._create_array_wrapper"), NONE, NONE) + state() + b"b",
        "of the old joblib": imported("joblib.numpy_pickle", "NDArrayWrapper") + b")\x81"
        + b"}(" + text("filename") + text("x.npy") + text("subclass") + NDARRAY + b"ub",
        "by another way": imported("joblib", "numpy_pickle.NumpyArrayWrapper") + made,
        "its read is another": plain(read=imported("builtins", "len")),
        "built twice": memoized + state(numpy_array_alignment_bytes=number(16)) + b"b" + b"\x00" + ARRAY
        + b"0h\x63" + state() + b"b",
        "its state is changed": WRAPPER + b")\x81" + state() + b"q\x62"
        + called(imported("builtins", "dict.update"), b"h\x62", b"}" + text("x") + NONE + b"s") + b"0h\x620b",
        "its class is changed": WRAPPER + several(NONE, b"}" + text("read_array") + imported("builtins", "len") + b"s")
        + b"b0" + plain(),
        "dtype is a class": plain(dtype=called(imported("numpy", "dtype"), imported("numpy", "uint8"), FALSE, TRUE)),
        "dtype of another size": plain(dtype=dtype("u1", 4)),
        "dtype of no size": plain(dtype=dtype("S5")),
        "dtype that others have": plain(dtype=dtype(copy=FALSE)),
        "dtype is no dtype": plain(dtype=called(imported("builtins", "str"), text("u1"), FALSE, TRUE)),
        "shape is made": plain(shape=called(imported("builtins", "tuple"), listed(number(5)))),
        "shape below zero": plain(shape=several(number(-1), number(-5))),
        "alignment is made": plain(numpy_array_alignment_bytes=called(imported("builtins", "print"))),
    }  # fmt: skip


def of_objects(inner: bytes) -> bytes:
    """An array of objects, which is a pickle of its own."""
    return b"\x80\x04" + plain(dtype=dtype("O8", -1, 63)) + inner


def inside() -> dict[str, bytes]:
    """Arrays of objects in which joblib's own arrays are hidden, which joblib reads by Python's unpickler."""
    hidden = b"0" + sprung() + b"."
    return {
        "an array of objects": of_objects(b"\x80\x04" + plain(shape=several(number(len(hidden)))) + hidden + b".."),
        "an array of objects that describes one": of_objects(b"\x80\x04" + WRAPPER + b")\x81" + state() + b".")
        + b"}b" + swallow(hidden) + hidden + b".",
    }  # fmt: skip


def of_another_size() -> bytes:
    """A datatype of one byte that becomes one of five: joblib reads 25 bytes for an array that seems to have five."""
    same = called(called(imported("operator", "itemgetter"), number(0)), listed(b"ha"))
    longer = several(number(3), text("|"), NONE, NONE, NONE, number(len(ARRAY)), number(1), number(0))
    array = dtype("V1", 1) + b"qa" + same + longer + b"b00" + plain(dtype=b"ha")
    hidden = b"0" + sprung() + b"."
    junk = b"x" * (len(ARRAY) * 4 - 5)
    return b"\x80\x04" + array + ARRAY + swallow(junk + hidden) + junk + hidden + b"."


CASES: dict[str, bytes] = {
    **{name: pickled(value, sprung()) for name, value in odd().items()},
    **inside(),
    "dtype changed under another name": of_another_size(),
}
