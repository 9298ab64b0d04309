"""Errors of libraries are cut where a sentence or a word ends, and never within a bracket."""

import pytest
from modelhost.bundle.short_text import first_clause, shorten_text
from modelhost.packing.native_reasons import Reason, kept_native
from modelhost.payload.messages import first_line

SKL2ONNX = (
    "For operator SklearnLinearRegressor (type: SklearnLinearRegressor), at most 1 input(s) is(are) supported but we "
    "got 3 input(s) which are ['a', 'b', 'c']"
)


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("as it is", 8, "as it is"),
        ("on\n two   lines", 20, "on two lines"),
        ("one two three four", 14, "one two three ..."),
        ("one two three four", 13, "one two three ..."),
        ("A whole sentence. Another one that is cut", 30, "A whole sentence ..."),
        ("Short. But what follows is longer", 27, "Short. But what follows is ..."),
        ("what was given (a list of many things)", 30, "what was given ..."),
        ("all of it, (closed) and, more", 24, "all of it, (closed) and ..."),
        ("endless" * 9, 20, "endlessendlessendles ..."),
    ],
)
def test_a_text_ends_with_a_sentence_or_a_word(text: str, most: int, short: str) -> None:
    assert shorten_text(text, most) == short


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        (SKL2ONNX, SKL2ONNX),
        ("Unable to do it. Here is why", "Unable to do it"),
        ("at most 1 (type: x): but 3", "at most 1 (type: x)"),
        ("an open (bracket: stays", "an open (bracket: stays"),
        ("the end.", "the end"),
    ],
)
def test_a_clause_is_whole(text: str, clause: str) -> None:
    assert first_clause(text) == clause


def test_the_reason_for_a_native_form_is_no_half_of_a_sentence() -> None:
    reason = Reason.of("ONNX with inputs of FP32", TypeError(SKL2ONNX))
    assert kept_native([reason])["said"] == f"kept native, since its ONNX form cannot be made: {SKL2ONNX}"
    longer = Reason.of(
        "ONNX with inputs of FP32", TypeError(SKL2ONNX.replace("3 input(s)", "13 input(s), 12 too many,"))
    )
    assert longer.short.endswith("we got 13 input(s), 12 too many, which are ...")
    assert SKL2ONNX in kept_native([reason])["reason"]


def test_the_first_line_of_an_error_ends_with_a_word() -> None:
    assert (
        first_line(ValueError("a few words " * 9 + "\nand where it was built"), 30)
        == "a few words a few words a few ..."
    )
