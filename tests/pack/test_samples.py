"""How a sample's cells and values become columns: nothing is read as what it is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from modelhost.packing.errors import ConsentError, PackError
from modelhost.packing.sample_checks import refuse_unsendable
from modelhost.packing.samples import BY_PANDAS, Sample, read_sample


def read(tmp_path: Path, content: str | list[Any], suffix: str = ".csv") -> Sample:
    file = tmp_path / f"sample{suffix if isinstance(content, str) else '.json'}"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_sample(file)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["E330", "E471"], "O", ["E330", "E471"]),
        (["e4", "e5"], "O", ["e4", "e5"]),
        (["-e1", "."], "O", ["-e1", "."]),
        (["1e3", "-.5E-2", "7."], "f", [1000.0, -0.005, 7.0]),
        (["007", "008"], "O", ["007", "008"]),
        (["9223372036854775807", "-9223372036854775808"], "i", [2**63 - 1, -(2**63)]),
        (["9223372036854775809", "9223372036854775811"], "u", [2**63 + 1, 2**63 + 3]),
    ],
)
def test_cells_are_numbers_only_where_all_are(tmp_path: Path, cells: list[str], kind: str, values: list[Any]) -> None:
    array = read(tmp_path, "\n".join(["a", *cells])).columns["a"]
    assert (array.dtype.kind, array.tolist()) == (kind, values)


@pytest.mark.parametrize(("suffix", "read_by"), list(BY_PANDAS.items()))
def test_a_table_that_pandas_reads_is_refused_with_the_line_that_converts_it(
    tmp_path: Path, suffix: str, read_by: str
) -> None:
    file = tmp_path / f"it's{suffix}"
    file.write_bytes(b"PAR1")
    with pytest.raises(PackError) as refused:
        read_sample(file)
    line = str(refused.value).partition("in Python with ")[2]
    csv = str(tmp_path / "it's.csv")
    assert line == f"import pandas; pandas.{read_by}({str(file)!r}).to_csv({csv!r}, index=False)"
    compile(line, "said", "exec")
    assert callable(getattr(pandas, read_by))


@pytest.mark.parametrize("values", [[2**64, 1], [-1, 2**63], [None, 2**63 + 1]])
def test_integers_that_no_datatype_holds_are_refused_and_not_rounded(tmp_path: Path, values: list[Any]) -> None:
    with pytest.raises(PackError, match="column a holds an integer beyond 64 bits: write it as text"):
        read(tmp_path, [{"a": value} for value in values])


@pytest.mark.parametrize("values", [[[1, "a"], [2, "b"]], [[1, True], [2, False]], [[["x", 1.5]], [["y", 2]]]])
def test_lists_of_several_kinds_stay_as_they_are(tmp_path: Path, values: list[Any]) -> None:
    sample = read(tmp_path, [{"a": value} for value in values])
    assert "lists that mix" in sample.json["a"]
    assert repr(sample.columns["a"].tolist()) == repr(values)


def test_lists_of_integers_and_numbers_are_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, [{"a": [1, 2.5]}, {"a": [2, 3]}]).columns["a"].tolist() == [[1.0, 2.5], [2.0, 3.0]]


@pytest.mark.parametrize("value", [{"x": float("nan")}, {"x": [1, float("inf")]}])
def test_a_number_that_json_has_not_is_refused_with_its_row(tmp_path: Path, value: Any) -> None:
    sample = read(tmp_path, [{"a": {"x": 1}}, {"a": value}])
    with pytest.raises(PackError, match=r"column a of the sample holds NaN or an infinity \(row 1\): write null"):
        refuse_unsendable(sample)


def test_lists_of_several_lengths_are_rows_of_their_own_sizes(tmp_path: Path) -> None:
    rows = read(tmp_path, [{"a": [1, 2]}, {"a": [3]}]).columns["a"]
    assert [row.tolist() for row in rows] == [[1, 2], [3]]
    assert all(isinstance(row, np.ndarray) for row in rows)


@pytest.mark.parametrize(
    "text",
    ["5.1,3.5,1.4\n4.9,3.0,1.4\n", "5,3,1\n4,3,1\n", "5.1e+00,nan,1.4e+00\n1,2,3\n", "1.5\n2.5\n", "2,1,0\n0,1,1\n"],
)
def test_a_first_line_of_numbers_is_refused_unless_it_is_said_what_it_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConsentError, match=r"begins with numbers .*, where the names of its columns belong") as refused:
        read(tmp_path, text)
    assert refused.value.option == "--no-header"
    rows = [[float(cell) for cell in line.split(",")] for line in text.splitlines()]
    unnamed = read_sample(tmp_path / "sample.csv", header=False)
    assert not unnamed.named
    assert np.array_equal(unnamed.columns["x"], rows, equal_nan=True)
    assert list(read_sample(tmp_path / "sample.csv", header=True).columns) == text.splitlines()[0].split(",")


def test_what_savetxt_writes_is_its_array(tmp_path: Path) -> None:
    rows = np.random.default_rng(7).normal(size=(5, 3))
    np.savetxt(tmp_path / "sample.csv", rows, delimiter=",")
    assert np.array_equal(read_sample(tmp_path / "sample.csv", header=False).columns["x"], rows)
    np.savetxt(tmp_path / "sample.csv", rows)
    with pytest.raises(PackError, match=r"has spaces between its cells: .* numpy.savetxt with delimiter=','"):
        read_sample(tmp_path / "sample.csv")
    np.savetxt(tmp_path / "sample.csv", rows, delimiter=",", header="a,b,c")
    with pytest.raises(PackError, match="begins with '# a', as if its first line were a comment: leave the # out"):
        read_sample(tmp_path / "sample.csv")
    assert list(read_sample(tmp_path / "sample.csv", header=True).columns) == ["# a", "b", "c"]


@pytest.mark.parametrize("index", [True, False])
def test_columns_that_pandas_numbers_are_taken_with_a_note(tmp_path: Path, index: bool) -> None:
    pandas.DataFrame([[5.1, 3.5], [4.9, 3.0]]).to_csv(tmp_path / "sample.csv", index=index)
    sample = read_sample(tmp_path / "sample.csv")
    assert {name: column.tolist() for name, column in sample.columns.items()} == {"0": [5.1, 4.9], "1": [3.5, 3.0]}
    assert sample.notes[-1].startswith(
        "its first line (0, 1) is taken for names, as pandas writes them: if it is a row"
    )


@pytest.mark.parametrize(
    ("text", "noted"),
    [("39,clerk\n50,nurse\n", True), ("country,2019\nTogo,7.5\n", True), ("#,name,legs\n1,cat,4\n", False)],
)
def test_a_number_among_names_is_noted(tmp_path: Path, text: str, noted: bool) -> None:
    sample = read(tmp_path, text)
    assert list(sample.columns) == text.splitlines()[0].split(",")
    assert ["taken for names, though it has numbers" in note for note in sample.notes] == [True] * noted


def test_what_has_no_header_has_numbers_alone_and_is_csv(tmp_path: Path) -> None:
    read(tmp_path, "39,clerk\n50,nurse\n")
    with pytest.raises(PackError, match="has other than numbers in column 2, which goes by a name alone"):
        read_sample(tmp_path / "sample.csv", header=False)
    (tmp_path / "sample.csv").write_text("1,2\n3,4\n5\n")
    with pytest.raises(PackError, match=r"sample.csv line 3 has another number of cells than the first line's 2"):
        read_sample(tmp_path / "sample.csv", header=False)
    np.save(tmp_path / "sample.npy", np.ones((2, 2)))
    with pytest.raises(PackError, match=r"--header and --no-header are about a .csv, and .*sample.npy is none"):
        read_sample(tmp_path / "sample.npy", header=False)
