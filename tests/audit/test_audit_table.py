"""What the table says of a row that missed its aim."""

import audit_table
from row import Check, Outcome, Row


def row(kept: bool, reason: str = "") -> Row:
    check = Check("ports", "open ports", "only 22", lambda scenery: Outcome("", True), unseen="the rest", reason=reason)
    return Row(check, Outcome("22", kept, ["first\nsecond"]), 1.0)


def test_a_row_that_is_kept_is_said_to_be():
    text = audit_table.text([row(kept=True)], "Not seen:")
    assert "| open ports | only 22 | 22 | yes |" in text
    assert "Aims that are missed:\n\n- none" in text
    assert "Not seen:\n\n- ports: the rest" in text
    assert "- ports: first second" in text


def test_a_row_that_missed_its_aim_says_why_or_that_no_one_knows():
    text = audit_table.text([row(kept=False, reason="a decision"), row(kept=False)], "Not seen:")
    assert text.count("**no**") == 2
    assert "- ports: a decision" in text
    assert "- ports: not explained" in text
