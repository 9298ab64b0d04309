"""How a sample's cells and values become columns: nothing is read as what it is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from modelhost.packing.errors import PackError
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
