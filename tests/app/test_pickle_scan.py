"""Pickles that import what runs commands are refused by their file and what they import, and nothing of them runs."""

import bz2
import collections
import functools
import gzip
import io
import lzma
import operator
import os
import pickle
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Bundles
from joblib_pickles import CASES, number, pickled, plain, sprung
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.bundle.manifest import read_manifest
from modelhost.bundle.pickle_imports import UnreadableError, read_imports
from modelhost.bundle.pickle_scan import dangerous_imports, is_dangerous, refuse_dangerous_pickles


class Runs:
    """Unpickled, it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = function, arguments

    def __reduce__(self) -> Any:
        return self.made


TRAP = Runs(os.system, "touch sprung")


def found(path: Path, content: bytes, is_model: bool = False) -> dict[str, list[str]]:
    path.write_bytes(content)
    return dangerous_imports(path, is_model)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("sprung").exists(), "it ran"


@pytest.mark.parametrize("protocol", range(6))
def test_what_runs_commands_is_found_in_every_protocol(protocol: int) -> None:
    content = pickle.dumps([1, {"a": TRAP}], protocol)
    assert found(Path("m.pkl"), content, True) == {"": ["posix.system"]}
    assert found(Path("m.pkl"), content) == {"": ["posix.system"]}
    assert found(Path("m.bin"), content) == ({"": ["posix.system"]} if protocol > 1 else {}), "by its first bytes"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (subprocess.Popen, "subprocess.Popen"), (eval, "builtins.eval"), (exec, "builtins.exec"),
        (open, f"{open.__module__}.open"), (getattr, "builtins.getattr"),
        (__import__, "builtins.__import__"), (setattr, "builtins.setattr"),
        (operator.attrgetter, "operator.attrgetter"),
        (pickle.loads, "_pickle.loads"),
    ],
)  # fmt: skip
def test_what_reaches_code_is_named(function: Any, said: str) -> None:
    assert found(Path("m.pkl"), pickle.dumps(Runs(function, "x")), True) == {"": [said]}


def test_harmless_pickles_are_not_refused() -> None:
    harmless = [
        collections.OrderedDict(a=1),
        {1, 2},
        b"x",
        bytearray(b"y"),
        1j,
        ("t",),
        None,
        range(3),
        Path("unknown"),
        functools.partial(len, "x"),
        operator.itemgetter("column"),
    ]
    for protocol in range(6):
        assert found(Path("m.pkl"), pickle.dumps(harmless, protocol), True) == {}
        bound = pickle.dumps(functools.partial(os.system, "true"), protocol)
        assert found(Path("m.pkl"), bound, True) == {"": ["posix.system"]}
    assert not is_dangerous("mine.unknown_words", "unknown"), "picklescan's own word for what it cannot read"


def named(module: str, name: str) -> bytes:
    texts = b"".join(b"X" + struct.pack("<I", len(text)) + text for text in (module.encode(), name.encode()))
    return b"\x80\x04" + texts + b"\x93."


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("logging", "os.system"), ("sklearn.utils", "os.system"), ("os.path", "os.popen"),
        ("numpy", "f2py.crackfortran.x"), ("importlib", "import_module"),
        ("importlib.util", "find_spec"), ("marshal", "loads"), ("joblib", "load"),
        ("xml.sax", "os.system"), ("nt", "system"), ("pip._internal", "main"), ("asyncio.unix_events", "x"),
    ],
)  # fmt: skip
def test_names_that_walk_to_it_and_modules_that_are_on_no_list_are_found(module: str, name: str) -> None:
    assert found(Path("m.pkl"), named(module, name), True) == {"": [f"{module}.{name}"]}


def test_names_from_the_memo_are_read_as_the_real_one_reads_them() -> None:
    memo = (
        b"\x80\x04X\x05\x00\x00\x00posixq\x07X\x06\x00\x00\x00systemq\x09"
        + b"X\x05\x00\x00\x00mathsq\x010h\x07h\x09\x93."
    )
    assert found(Path("m.pkl"), memo, True) == {"": ["posix.system"]}


def test_python_2_names_are_mapped() -> None:
    assert found(Path("m.pkl"), b"ccommands\ngetoutput\n.", True) == {
        "": ["commands.getoutput", "subprocess.getoutput"]
    }
    assert found(Path("m.pkl"), b"c__builtin__\nexecfile\n.", True) == {}


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, lambda b: lzma.compress(b, lzma.FORMAT_ALONE),
             *(lambda b, level=level: zlib.compress(b, level) for level in (0, 1, 6, 9)),
             lambda b: zlib.compress(gzip.compress(b))],
)  # fmt: skip
def test_packed_pickles_are_read(pack: Callable[[bytes], bytes]) -> None:
    content = pack(pickle.dumps([b"x" * 100_000, TRAP]))
    assert found(Path("m.bin"), content) == found(Path("m.bin"), content, True) == {"": ["posix.system"]}
    with pytest.raises(UnreadableError):
        dangerous_imports(Path(write(content[: len(content) // 2])), True)


def write(content: bytes) -> str:
    Path("half").write_bytes(content)
    return "half"


def test_archives_are_looked_into_also_where_they_are_damaged() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(TRAP))
        archive.writestr("words.txt", "os.system")
    content = packed.getvalue()
    assert found(Path("m.pt"), content) == {":archive/data.pkl": ["posix.system"]}
    crc = struct.pack("<I", zlib.crc32(pickle.dumps(TRAP)))
    assert found(Path("m.pt"), content.replace(crc, b"\0\0\0\0")) == {":archive/data.pkl": ["posix.system"]}
    assert found(Path("m.pt"), content[:-30]) == {}, "no archive any more, and PyTorch opens none"


def test_several_pickles_in_a_file_and_what_stands_behind_them() -> None:
    old_torch = (
        b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little": 1}, TRAP)) + b"\0" * 99
    )
    assert found(Path("m.pt"), old_torch) == {"": ["posix.system"]}


def test_a_model_that_cannot_be_read_to_its_end_is_refused_and_another_file_is_not() -> None:
    for content in (b"", b"x", b"\x80\x04.", pickle.dumps(list(range(1000)))[:-20], b"\x80\x04]\x93.", b"P\n" * 3):
        Path("m.pkl").write_bytes(content)
        assert dangerous_imports(Path("m.pkl"), False) == {}
        with pytest.raises(UnreadableError):
            dangerous_imports(Path("m.pkl"), True)
    cut = pickle.dumps([TRAP, "x" * 100])[:-50]
    assert found(Path("m.pkl"), cut, True) == {"": ["posix.system"]}, "what it had imported until there"


def test_a_pickle_that_claims_endless_bytes_takes_no_memory() -> None:
    for start in (b"\x8e", b"\x96", b"\x8d", b"\x95"):  # BINBYTES8, BYTEARRAY8, BINUNICODE8, FRAME
        with pytest.raises(UnreadableError):
            found(Path("m.pkl"), b"\x80\x05" + start + struct.pack("<Q", 2**62) + b"x", True)


def test_imports_are_read_from_where_the_file_is() -> None:
    file = io.BytesIO(b"head" + pickle.dumps(TRAP))
    file.seek(4)
    imports: set[tuple[str, str]] = set()
    read_imports(file, imports)
    assert imports == {("posix", "system")}


def test_a_bundle_is_refused_by_its_file_and_the_import(bundles: Bundles) -> None:
    bundle = bundles.pickled(bundles.copy("iris"))
    manifest = read_bundle(bundle).manifest
    refuse_dangerous_pickles(bundle, manifest)
    (bundle / "model.pkl").write_bytes(pickle.dumps(TRAP))
    with pytest.raises(BundleError) as caught:
        refuse_dangerous_pickles(bundle, manifest)
    assert str(caught.value).startswith(
        "iris/1/model.yaml: files: model.pkl imports posix.system, which can run commands"
    )
    (bundle / "model.pkl").write_bytes(b"nonsense")
    with pytest.raises(
        BundleError, match=r"model\.pkl is no pickle that can be read to its end \(.*: store the model again"
    ):
        refuse_dangerous_pickles(bundle, manifest)


def test_any_file_of_a_bundle_is_looked_at_whatever_its_format(bundles: Bundles) -> None:
    bundle = bundles.write(bundles.copy("colours"), "words.dat", "x")
    refuse_dangerous_pickles(bundle, read_bundle(bundle).manifest)
    (bundle / "words.dat").write_bytes(pickle.dumps(TRAP))
    manifest, _ = read_manifest(bundle)
    with pytest.raises(BundleError, match=r"colours/1/model\.yaml: files: words\.dat imports posix\.system"):
        refuse_dangerous_pickles(bundle, manifest)


def test_what_stands_behind_an_array_is_read_as_joblib_reads_it() -> None:
    assert found(Path("m.joblib"), pickled(plain(), sprung()), True) == {"": ["posix.system"]}


@pytest.mark.parametrize("case", CASES)
def test_what_may_be_an_array_and_is_not_plainly_one_is_not_stepped_over(case: str) -> None:
    """tests/pack/test_fuzz_pickles.py opens them."""
    for is_model in (True, False):
        try:
            dangers = found(Path("m.joblib"), CASES[case], is_model)
        except UnreadableError:
            continue
        assert dangers == {"": ["posix.system"]}


def test_another_file_is_read_as_both_read_it_who_may_open_it() -> None:
    hidden = b"0" + sprung() + b"."
    behind = plain(shape=b"(" + number(len(hidden)) + b"t")
    for content in (b"\x80\x04" + behind + hidden + b".", pickled(plain(), sprung())):
        assert found(Path("m.joblib"), content) == {"": ["posix.system"]}
    header = b"{'descr': '|\\x4f', 'fortran_order': False, 'shape': (1,)}\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    assert found(Path("a.npy"), array + pickle.dumps(TRAP)) == {"": ["posix.system"]}


def test_a_file_that_imports_and_cannot_be_read_is_refused_though_it_is_no_model(bundles: Bundles) -> None:
    bundle = bundles.write(bundles.copy("colours"), "words.dat", "x")
    manifest, _ = read_manifest(bundle)
    (bundle / "words.dat").write_bytes(CASES["dtype is a class"])
    with pytest.raises(BundleError, match=r"files: words\.dat is no pickle that can be read to its end \(an array"):
        refuse_dangerous_pickles(bundle, manifest)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "object.__subclasses__"), ("collections", "__builtins__"), ("gc", "get_objects"),
        ("_compat_pickle", "NAME_MAPPING"), ("copyreg", "add_extension"), ("copyreg", "_inverted_registry"),
    ],
)  # fmt: skip
def test_what_reaches_all_classes_or_changes_what_names_mean_is_found(module: str, name: str) -> None:
    assert found(Path("m.pkl"), named(module, name), True) == {"": [f"{module}.{name}"]}


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02ccollections\nabc\n(X\x01\x00\x00\x00aNsb.", b"\x80\x02ccollections\nabc\n}b.",
        b"\x80\x02ccollections\nabc\nNa.", b"\x80\x02\x82\x01.",
    ],
)  # fmt: skip
def test_a_pickle_that_changes_what_others_share_or_imports_by_number_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        found(Path("m.pkl"), content, True)


def test_what_is_packed_behind_the_first_is_read_as_joblib_does() -> None:
    packed = zlib.compress(b"\x80\x04") + zlib.compress(pickle.dumps(TRAP)[2:])
    for is_model in (True, False):
        assert found(Path("m.bin"), packed, is_model) == {"": ["posix.system"]}
