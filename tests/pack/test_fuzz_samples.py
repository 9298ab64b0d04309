"""Broken and odd samples: `pack` and `predict` end in a sentence, and never in a traceback."""

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import MODELS
from odd_inputs import NO_FILES, ROWS, SEED, assert_sentence, command, no_file, valid_models

# An archive that is not one stays open in numpy's hands until it is forgotten.
pytestmark = [
    pytest.mark.usefixtures("unmeasured"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".npz"])
def test_a_sample_that_is_no_file(kind: str, suffix: str) -> None:
    result = command("pack", "model.py", "--name", "m", "--sample", no_file(kind, suffix))
    # One line without rows is a header; as root, everything can be read.
    assert_sentence(result)


def saved(*arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    if named:
        np.savez(file, **named)
    else:
        np.save(file, arrays[0], allow_pickle=True)
    return file.getvalue()


def zipped(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
HUGE_HEADER = b"\x93NUMPY\x01\x00v\x00" + HUGE.ljust(117) + b"\n"
SAMPLES: dict[str, tuple[str, bytes]] = {
    name.replace("_", " "): (suffix, content)
    for name, suffix, content in [
        ("nothing", ".csv", b""),
        ("line_breaks", ".csv", b"\n\n\n"),
        ("a_header", ".csv", b"a,b\n"),
        ("a_header_without_an_end", ".csv", b"a,b"),
        ("a_short_row", ".csv", b"a,b\n1,2\n3\n"),
        ("a_long_row", ".csv", b"a,b\n1,2\n3,4,5\n"),
        ("NUL", ".csv", b"a,b\n1,\0\n2,3\n"),
        ("NUL_in_the_header", ".csv", b"a,\0\n1,2\n2,3\n"),
        ("no_UTF-8", ".csv", b"a,b\n1,caf\xe9\n"),
        ("UTF-16", ".csv", "a,b\n1,2\n".encode("utf-16")),
        ("a_binary_file", ".csv", random.Random(SEED).randbytes(1000)),
        ("names_twice", ".csv", b"a,a\n1,2\n"),
        ("an_empty_name", ".csv", b"a,\n1,2\n"),
        ("only_an_empty_name", ".csv", b'""\n1\n'),
        ("a_quote_without_its_end", ".csv", b'a,b\n1,"2\n3,4\n'),
        ("a_megabyte_in_a_cell", ".csv", b"a,b\n1," + b"x" * 1_000_000 + b"\n"),
        ("semicolons", ".csv", b"a;b\n1;2\n"),
        ("old_Mac_line_breaks", ".csv", b"a,b\r1,2\r3,4\r"),
        ("a_U+2028", ".csv", "a,b\n1,x\u2028y\n2,z\n".encode()),
        ("huge_integers", ".csv", b"a,b\n1,1" + b"0" * 400 + b"\n2,3\n"),
        ("an_integer_of_5000_digits", ".csv", b"a,b\n1,1" + b"0" * 5000 + b"\n2,3\n"),
        ("integers_beyond_64_bits", ".csv", b"a,b\n1,18446744073709551616\n2,3\n"),
        ("NaN_alone", ".csv", b"a,b\nNaN,NaN\n"),
        ("infinities", ".csv", b"a,b\ninf,-inf\n"),
        ("too_large_numbers", ".csv", b"a,b\n1e999,2\n3,4\n"),
        ("dates", ".csv", b"a,b\n2024-01-01,2024-13-45\n"),
        ("mixed_types", ".csv", b"a,b\n1,x\ny,2\ntrue,3.5\n"),
        ("empty_cells_alone", ".csv", b"a,b\n,\n,\n"),
        ("blank_cells", ".csv", b"a,b\n , \n"),
        ("digits_of_other_scripts", ".csv", "a,b\n\u0661,\u0662\n".encode()),
        ("underscores", ".csv", b"a,b\n1_000,2\n3,4\n"),
        ("a_name_of_a_path", ".csv", b"../../etc/passwd,b\n1,2\n"),
        ("a_name_of_100_kilobytes", ".csv", b"x" * 100_000 + b",b\n1,2\n"),
        ("5000_columns", ".csv", b",".join(b"c%d" % n for n in range(5000)) + b"\n" + b",".join([b"1"] * 5000) + b"\n"),
        ("nothing_as_JSON", ".json", b""),
        ("half_of_JSON", ".json", b'[{"a": 1, "b": '),
        ("null", ".json", b"null"),
        ("a_number", ".json", b"5"),
        ("a_text", ".json", b'"rows"'),
        ("an_object", ".json", b'{"a": 1, "b": 2}'),
        ("an_empty_list", ".json", b"[]"),
        ("lists", ".json", b"[[1, 2], [3, 4]]"),
        ("numbers", ".json", b"[1, 2]"),
        ("empty_objects", ".json", b"[{}, {}]"),
        ("an_object_in_a_field", ".json", b'[{"a": {"x": 1}, "b": 2}]'),
        ("objects_in_a_list", ".json", b'[{"a": [{"x": 1}], "b": 2}]'),
        ("lists_of_several_lengths", ".json", b'[{"a": [1, 2], "b": 1}, {"a": [1], "b": 1}]'),
        ("lists_of_several_depths", ".json", b'[{"a": [1, [2]], "b": 1}]'),
        ("an_empty_list_in_a_field", ".json", b'[{"a": [], "b": 1}]'),
        ("a_list_and_a_number", ".json", b'[{"a": [1], "b": 1}, {"a": 1, "b": 1}]'),
        ("nulls", ".json", b'[{"a": null, "b": null}]'),
        ("nulls_in_lists", ".json", b'[{"a": [1, null], "b": 1}]'),
        ("mixed_types_of_JSON", ".json", b'[{"a": 1, "b": "x"}, {"a": true, "b": 2}, {"a": "y", "b": 3}]'),
        ("other_fields_in_each_row", ".json", b'[{"a": 1}, {"b": 1}, {"c": 1}]'),
        ("NaN_in_JSON", ".json", b'[{"a": NaN, "b": Infinity}]'),
        ("huge_integers_in_JSON", ".json", b'[{"a": 1' + b"0" * 400 + b', "b": 1}]'),
        ("an_integer_of_5000_digits_in_JSON", ".json", b'[{"a": 1' + b"0" * 5000 + b', "b": 1}]'),
        ("very_deep_JSON", ".json", b"[" * 100_000),
        ("half_of_a_surrogate", ".json", b'[{"a": "\\ud800", "b": 1}, {"a": "x", "b": 1}]'),
        ("half_of_a_surrogate_in_a_name", ".json", b'[{"\\ud800": 1, "b": 1}, {"\\ud800": 2, "b": 1}]'),
        ("an_empty_name_in_JSON", ".json", b'[{"": 1, "b": 1}]'),
        ("NUL_in_JSON", ".json", b'[{"a": "\\u0000", "b": 1}]'),
        ("names_twice_in_JSON", ".json", b'[{"a": 1, "a": 2, "b": 1}]'),
        ("a_comma_too_many", ".json", b'[{"a": 1, "b": 2},]'),
        ("lines_of_JSON", ".json", b'{"a": 1, "b": 2}\n{"a": 1, "b": 2}\n'),
        ("nothing_as_lines", ".jsonl", b"\n\n"),
        ("a_broken_line", ".jsonl", b'{"a": 1, "b": 2}\n{"a": \n'),
        ("lines_of_numbers", ".jsonl", b"1\n2\n"),
        ("a_list_on_one_line", ".jsonl", b'[{"a": 1, "b": 2}]\n'),
        ("a_U+2028_in_a_line", ".jsonl", '{"a": "x\u2028y", "b": "z"}\n{"a": "x", "b": "z"}\n'.encode()),
        ("no_UTF-8_in_lines", ".jsonl", b'{"a": "\xff", "b": 1}\n'),
        ("no_array", ".npy", b"hello"),
        ("nothing_as_an_array", ".npy", b""),
        ("half_an_array", ".npy", saved(np.zeros((100, 2)))[:500]),
        ("a_huge_array", ".npy", HUGE_HEADER),
        ("pickled_objects", ".npy", saved(np.array([{"a": 1}], dtype=object))),
        ("a_number_as_an_array", ".npy", saved(np.float64(3))),
        ("no_rows", ".npy", saved(np.zeros((0, 2)))),
        ("no_columns", ".npy", saved(np.zeros((3, 0)))),
        ("complex_numbers", ".npy", saved(np.zeros((3, 2), complex))),
        ("dates_in_an_array", ".npy", saved(np.zeros(3, "M8[D]"))),
        ("durations_in_an_array", ".npy", saved(np.zeros(3, "m8[s]"))),
        ("records_in_an_array", ".npy", saved(np.zeros(3, "i4,f4"))),
        ("bytes_in_an_array", ".npy", saved(np.array([b"a", b"\xff"]))),
        ("long_doubles", ".npy", saved(np.zeros((3, 2), np.longdouble))),
        ("NaN_in_an_array", ".npy", saved(np.full((3, 2), np.nan))),
        ("no_archive", ".npz", b"hello"),
        ("an_empty_archive", ".npz", zipped()),
        ("an_archive_of_something_else", ".npz", zipped(a=b"hello")),
        ("an_archive_of_half_an_array", ".npz", zipped(**{"a.npy": saved(np.zeros(9))[:90]})),
        ("half_an_archive", ".npz", saved(a=np.zeros(99), b=np.zeros(99))[:500]),
        ("arrays_of_several_lengths", ".npz", saved(a=np.zeros(3), b=np.zeros(4))),
        ("objects_in_an_archive", ".npz", saved(a=np.array([None, {}], dtype=object))),
        ("numbers_in_an_archive", ".npz", saved(a=np.float64(1), b=np.float64(2))),
        ("arrays_without_rows", ".npz", saved(a=np.zeros(0), b=np.zeros(0))),
        ("dates_in_an_archive", ".npz", saved(a=np.zeros(3, "M8[D]"), b=np.zeros(3))),
        ("a_name_of_a_path_in_an_archive", ".npz", saved(**{"../a": np.zeros(3), "b": np.zeros(3)})),
        ("an_unknown_suffix", ".xlsx", b"PK"),
        ("Parquet", ".parquet", b"PAR1"),
        ("no_suffix", "", ROWS.encode()),
        ("capitals", ".CSV", ROWS.encode()),
        ("a_compressed_file", ".csv.gz", b"\x1f\x8b"),
    ]
}


@pytest.mark.parametrize("model", [".py", ".onnx", ".joblib"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_an_odd_sample(kind: str, model: str) -> None:
    suffix, content = SAMPLES[kind]
    Path("odd" + suffix).write_bytes(content)
    Path("m" + model).write_bytes(valid_models()[model])
    assert_sentence(command("pack", "m" + model, "--name", "m", "--sample", "odd" + suffix), (0, 1))


@pytest.mark.parametrize(
    "kind", [kind for kind, (suffix, _) in SAMPLES.items() if suffix in (".csv", ".json", ".jsonl")]
)
def test_predicting_an_odd_file(kind: str) -> None:
    suffix, content = SAMPLES[kind]
    Path("odd" + suffix).write_bytes(content)
    assert_sentence(command("predict", MODELS / "colours/1", "--file", "odd" + suffix), (0, 1))
