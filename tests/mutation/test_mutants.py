"""What the tool changes, what it leaves alone, and that it sees which test runs what."""

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from equivalent import entries
from mutants import mutants_of

PROJECT = Path(__file__).resolve().parents[2]


def changes(source: str) -> set[str]:
    """Each line as it becomes, of a file of one line that is changed."""
    return {mutant.apply(source.encode()).decode() for mutant in mutants_of("f.py", source.encode())}


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("x = a < b\n", {"x = a <= b\n"}),
        ("x = a is not b\n", {"x = a is b\n"}),
        ("x = a  not   in b\n", {"x = a  in b\n"}),
        ("x = a and b\n", {"x = a or b\n"}),
        ("x = not a\n", {"x = (a)\n"}),
        ("x = a + 1\n", {"x = a - 1\n", "x = a + 2\n"}),
        ("x += a\n", {"x -= a\n", "pass\n"}),
        ("x = True\n", {"x = False\n"}),
        ("x = -1\n", {"x = (1)\n"}),
        ("x = 'ä' + a\n", {"x = 'äX' + a\n"}),
        ("f(a, b=c)\n", {"pass\n", "f(a)\n"}),
        ("f(b=c, d=e)\n", {"pass\n", "f(b=c)\n"}),
        ("x = min(a, b)\n", {"x = max(a, b)\n"}),
        ("x.y = a\n", {"pass\n"}),
        ("if a: raise b\n", {"if (not (a)): raise b\n", "if a: pass\n"}),
        ("x = a if b < c else d\n", {"x = a if b <= c else d\n", "x = a if (not (b < c)) else d\n"}),
        ("def f(a=1): return a\n", {"def f(a=2): return a\n", "def f(a=1): return None\n"}),
        ("try: a\nexcept (b, c): d\n", {"try: pass\nexcept (b, c): d\n", "try: a\nexcept (b,): d\n",
                                        "try: a\nexcept (c,): d\n", "try: a\nexcept (b, c): pass\n"}),
    ],
)  # fmt: skip
def test_each_kind_of_change_is_made_in_its_place(line: str, becomes: set[str]) -> None:
    assert changes(line) == becomes


@pytest.mark.parametrize(
    "line",
    [
        '"""A docstring."""\n', "x = 'a sentence'\n", "x = f'{a + 1} of 2'\n", "x: int | None\n",
        "def f(a: 'int' = ...) -> 'str': ...\n", "@a(b=1)\nclass C: ...\n", "__all__ = ['a']\n", "A = dict[str, 'B']\n",
        "if TYPE_CHECKING:\n    import a\n", "x = zip(a, b, strict=True)\n",
        "x = time.monotonic() < end\n",
    ],
)  # fmt: skip
def test_what_no_test_can_notice_is_left_alone(line: str) -> None:
    assert changes(line) == set()


def test_every_change_of_a_file_can_be_compiled_and_is_one() -> None:
    for name in ("modelhostctl/steps/gate.py", "app/modelhost/payload/inputs.py"):
        source = (PROJECT / name).read_bytes()
        found = mutants_of(name, source)
        assert len(found) > 100
        for mutant in found:
            assert source[mutant.start : mutant.end].decode() == mutant.before
            assert mutant.apply(source) != source
            ast.parse(mutant.apply(source))


def test_what_is_listed_as_equivalent_is_still_there_and_has_a_reason() -> None:
    for entry in entries():
        source = (PROJECT / entry["file"]).read_text()
        assert entry["line"] in source, f"{entry['line']} is not in {entry['file']} any more"
        assert len(entry["why"]) > 15


def test_a_file_that_is_instrumented_does_what_it_did(tmp_path: Path) -> None:
    from recording import instrument

    source = (
        '"""Doc."""\nfrom __future__ import annotations\nx = []\nfor i in (1, 2):\n    if i > 1:\n        x.append(i)\n'
    )
    ran: list[int] = []
    text = instrument(source.encode(), 3).decode()
    body = text.replace("from recorder import hit as __hit__", "").replace("__sys.path.append", "str")
    found: dict[str, object] = {"__hit__": ran.append}
    exec(compile(body, "f.py", "exec"), found)
    assert found["x"] == [2]
    assert [place & 0xFFFF for place in ran] == [3, 4, 5, 5, 6]
    assert {place >> 16 for place in ran} == {3}
