"""An answer over gRPC is compared as one over HTTP is, and a call that failed is told with its words."""

import json
import sys

import calls
import pytest
from check import WrongAnswerError
from starts import Place

REQUESTS = {"rows": [[[1.0, 2.0]], [[3.0, 4.0]]], "probabilities": [[[0.9, 0.1]], [[0.2, 0.8]]]}
RIGHT = [{"labels": [0], "probabilities": [[0.9, 0.1]]}, {"labels": [1], "probabilities": [[0.2, 0.8]]}]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Let a script of the test ask, in place of the one that speaks gRPC, which needs an environment of its own."""
    monkeypatch.setattr(calls, "PEERS", tmp_path)
    monkeypatch.setattr(calls, "program", lambda *_: sys.executable)
    script = tmp_path / "modelhost-grpc" / "ask.py"
    script.parent.mkdir()

    def ask(lines):
        script.write_text(f"import pathlib, sys\n{lines}")
        return calls.check_all(Place(tmp_path, 18080, 18081, "iris"), "iris", REQUESTS)

    return ask


def answering(answers):
    told = json.dumps({"answers": answers, "answer_bytes": 55})
    return f"pathlib.Path(sys.argv[4]).write_bytes(sys.argv[3].encode())\nprint({told!r})"


def test_right_answers_give_the_call_that_h2load_makes(ask):
    assert ask(answering(RIGHT)) == calls.Call(b"iris", 55)


@pytest.mark.parametrize("wrong", [{"labels": [0]}, {"probabilities": [[0.2002, 0.7998]]}])
def test_a_wrong_answer_is_named(wrong, ask):
    with pytest.raises(WrongAnswerError, match="call 1 of iris"):
        ask(answering([RIGHT[0], RIGHT[1] | wrong]))


def test_a_call_that_failed_is_told_with_its_status(ask):
    with pytest.raises(WrongAnswerError, match=r"StatusCode\.NOT_FOUND: There is no model"):
        ask("sys.exit('StatusCode.NOT_FOUND: There is no model')")
