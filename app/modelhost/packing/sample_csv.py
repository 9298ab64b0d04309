"""The cells of a sample in CSV, as they are written, and whether its first line holds names.

A first line of numbers is a row in most files (numpy.savetxt writes no names), and taken for names it would be lost,
and the model's fields be called by its values: so it is refused, unless the person who packs says which it is.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelhost.packing.errors import ConsentError, PackError
from modelhost.payload.csv_rows import split_lines
from modelhost.payload.messages import is_missing_cell, truncate

NO_HEADER, HEADER = "--no-header", "--header"
COMMENT = re.compile(r"\s*#+\s*\w")  # a mark before a name; alone it is a name itself
FEW = 3  # cells in a sentence


@dataclass(frozen=True)
class Cells:
    """The cells by column; a first column without a name is called "", and all have their places where none has one."""

    columns: dict[str, list[str]]
    notes: tuple[str, ...] = ()


def read_cells(path: Path, header: bool | None = None) -> Cells:
    """The cells of a .csv; `header` is whether its first line holds names, if that is known. Raises PackError."""
    try:
        lines = split_lines(path.read_bytes()) or [[]]
    except csv.Error as error:
        raise PackError(f"{path} is not CSV ({error}): quote a cell that holds a quote or a line break") from error
    _refuse_other_marks(path, lines[0])
    if header is None:
        _refuse_values(path, lines[0])
    names = [str(place) for place in range(len(lines[0]))] if header is False else lines[0]
    rows = lines if header is False else lines[1:]
    if short := next((n for n, line in enumerate(rows, 1 + len(lines) - len(rows)) if len(line) != len(names)), None):
        whose = "first line's" if header is False else "header's"
        raise PackError(f"{path} line {short} has another number of cells than the {whose} {len(names)}")
    if len(set(names)) != len(names) or not all(names[1:]) or names == [""]:
        raise PackError(f"{path} must begin with a line of names, each only once")
    columns = {name: [line[place] for line in rows] for place, name in enumerate(names)}
    return Cells(columns, _doubts(columns) if header is None else ())


def _refuse_other_marks(path: Path, cells: Sequence[str]) -> None:
    """Raise PackError where there is one cell, in which others are."""
    if len(cells) != 1:
        return
    other = next((mark for mark in ";\t|" if mark in cells[0]), "")
    words = cells[0].split()
    if other or (len(words) > 1 and _are_values(words)):
        name = {"\t": "tabs", "": "spaces"}.get(other, repr(other))
        raise PackError(
            f"{path} has {name} between its cells: write it with commas, as to_csv() of pandas does, and "
            "numpy.savetxt with delimiter=','"
        )


def _refuse_values(path: Path, cells: Sequence[str]) -> None:
    """Raise PackError where the first line has no names, or a mark before them."""
    if cells and COMMENT.match(cells[0]):
        raise PackError(
            f"{path} begins with {truncate(cells[0])!r}, as if its first line were a comment: leave the # out, in "
            f"numpy.savetxt by comments=''; or add {HEADER} if the column is called so"
        )
    if _are_values(cells) and not _are_numbered(cells):
        raise ConsentError(
            f"{path} begins with numbers ({_some(cells)}), where the names of its columns belong. Write these as its "
            f"first line, such as a,b,c; or, if the numbers are names, add {HEADER}; or, if they are a row, add "
            f"{NO_HEADER}, by which all lines are one array, as in an .npy",
            NO_HEADER,
        )


def _doubts(columns: dict[str, list[str]]) -> tuple[str, ...]:
    """What is taken for names, and might be a row."""
    names = [name for name in columns if name]
    if names and _are_numbered(names):
        return (f"its first line ({_some(names)}) is taken for names, as pandas writes them: if it is a row, "
                f"add {NO_HEADER}",)  # fmt: skip
    numbers = [name for name in names if _is_number(name) and _are_values(columns[name])]
    if numbers and len(numbers) < len(names):
        return (f"its first line is taken for names, though it has numbers ({_some(numbers)}): if it is a row, write "
                "a line of names above it",)  # fmt: skip
    return ()


def _are_values(cells: Sequence[str]) -> bool:
    """Whether all that are not missing are numbers, and there is one."""
    there = [cell for cell in cells if not is_missing_cell(cell)]
    return bool(there) and all(map(_is_number, there))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell and any(map(str.isdigit, cell))


def _are_numbered(cells: Sequence[str]) -> bool:
    """Whether they are 0, 1, 2, ..., which pandas calls columns without names; its index may stand before them."""
    named = cells[1:] if cells[:1] == [""] else cells
    return list(named) == [str(place) for place in range(len(named))]


def _some(cells: Sequence[str]) -> str:
    more = f" and {len(cells) - FEW} more" if len(cells) > FEW else ""
    return ", ".join(str(truncate(cell)) for cell in cells[:FEW]) + more
