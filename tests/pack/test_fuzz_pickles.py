"""Whatever joblib.load runs of a pickle, the scan has seen, or has refused the file: tried with pickles at random."""

import io
import random
import subprocess
import sys
from pathlib import Path

import pytest
from joblib_pickles import (
    CASES,
    NDARRAY,
    NONE,
    WRAPPER,
    called,
    dtype,
    fields,
    imported,
    listed,
    number,
    odd,
    plain,
    several,
    state,
    swallow,
    text,
)
from modelhost.bundle.pickle_imports import UnreadableError, read_imports

SEEDS, EACH = 6, 60
MARKER = ("mark0", "marked")  # as long as what the cases import
# Opens each file of a folder as a server does, each in a process of its own, and prints whether it ran something.
OPEN = """
import io, os, pathlib, warnings
import joblib, mark0, numpy
warnings.simplefilter("ignore")
for file in sorted(pathlib.Path("files").iterdir()):
    child = os.fork()
    if not child:
        try:
            joblib.load(io.BytesIO(file.read_bytes()))
        except BaseException:
            pass
        os._exit(3 if mark0.ran else 0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def value(draw: random.Random, depth: int = 0) -> bytes:
    """Something that stands where an array, or what describes it, may be."""
    ways = [
        lambda: WRAPPER, lambda: WRAPPER + b")\x81", lambda: plain(**changed(draw)), lambda: NDARRAY, dtype,
        lambda: called(WRAPPER, *fields(**changed(draw)).values(), NONE), lambda: number(draw.randint(0, 9)),
    ]  # fmt: skip
    if depth < 3:
        ways += [
            lambda: called(function(draw, depth), value(draw, depth + 1)),
            lambda: called(called(imported("functools", "partial"), value(draw, depth + 1))),
            lambda: called(called(imported("operator", "itemgetter"), number(0)), listed(value(draw, depth + 1))),
            lambda: called(imported("copyreg", "_reconstructor"), value(draw, depth + 1),
                           imported("builtins", "object"), NONE),
            lambda: several(value(draw, depth + 1), value(draw, depth + 1)),
            lambda: value(draw, depth + 1) + b"2" + draw.choice([b"0", b"b", b"\x86"]),
            lambda: b"}" + text("k") + value(draw, depth + 1) + b"s",
        ]  # fmt: skip
    return draw.choice(ways)()


def function(draw: random.Random, depth: int) -> bytes:
    names = [
        ("builtins", "max"),
        ("builtins", "len"),
        ("copy", "copy"),
        ("copyreg", "__newobj__"),
        ("builtins", "tuple"),
    ]
    return draw.choice([imported(*draw.choice(names)), value(draw, depth + 2)])


def changed(draw: random.Random) -> dict[str, bytes]:
    """Other fields of what describes an array."""
    others = {
        "dtype": lambda: draw.choice([dtype("S5", 5), dtype("V2", 2), dtype("u1", 4), dtype("f8"), dtype("O8", -1, 63),
                                      dtype(copy=b"\x89"), called(imported("numpy", "dtype"), text("u1"))]),
        "shape": lambda: draw.choice([several(), several(number(0)), listed(number(5)), several(number(-1))]),
        "numpy_array_alignment_bytes": lambda: draw.choice([NONE, number(16), imported("builtins", "len")]),
        "order": lambda: text("F"),
        "read_array": lambda: imported("builtins", "id"),
    }  # fmt: skip
    return {name: others[name]() for name in others if draw.random() < 0.15}


def content(draw: random.Random) -> bytes:
    hidden = b"0" + called(imported(*MARKER)) + b"."
    described = value(draw)
    if draw.random() < 0.3:
        described = draw.choice(list(odd().values()))
    if draw.random() < 0.6:
        described += state(**changed(draw)) + b"b"
    elif draw.random() < 0.5:
        described += b"}b"
    array = draw.choice([swallow(hidden), b"ABCDE", b"", b"\x00" + swallow(hidden), b"\x80\x05N." + swallow(hidden)])
    return b"\x80\x04" + described + array + hidden + draw.choice([b".", b"..", b""])


def opened(contents: list[bytes]) -> list[bool]:
    Path("files").mkdir()
    Path("mark0.py").write_text("ran = False\n\ndef marked(*_):\n    global ran\n    ran = True\n    return 1\n")
    for place, each in enumerate(contents):
        Path("files", f"{place:04}").write_bytes(each)
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=True, timeout=120)
    codes = done.stdout.split()
    assert len(codes) == len(contents), done.stderr
    return [code == "3" for code in codes]


def hides(each: bytes) -> bool:
    """Whether the scan reads it to its end, and does not see that."""
    found: set[tuple[str, str]] = set()
    try:
        read_imports(io.BytesIO(each), found)
    except UnreadableError:
        return False
    return MARKER not in found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_runs_was_seen(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(seed)
    contents = [content(draw) for _ in range(EACH)]
    ran = opened(contents)
    assert any(ran), "or nothing is tried"
    assert not [each for each, did in zip(contents, ran, strict=True) if did and hides(each)]


def test_the_written_cases_run_something_when_they_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    marked = [
        each.replace(text("posix") + text("system"), text(MARKER[0]) + text(MARKER[1])) for each in CASES.values()
    ]
    ran = dict(zip(CASES, opened(marked), strict=True))
    assert sum(ran.values()) > 10
    assert not [name for name, each in zip(CASES, marked, strict=True) if ran[name] and hides(each)]
