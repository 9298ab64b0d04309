"""Models that take one row a call (`rows: one`)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from modelhost.models.runtimes.row_by_row import RowByRow
from modelhost.payload.errors import ClientError, ModelError


class OneRow:
    """Answers as many numbers as the row's own says; fails on more than one row."""

    def predict(self, inputs: dict[str, Any]) -> Any:
        (row,) = inputs["n"]
        return {"numbers": np.arange(row)[np.newaxis], "twice": 2 * inputs["n"]}

    def stream(self, inputs: dict[str, Any]) -> Iterator[Any]:
        yield self.predict(inputs)


def test_each_row_is_a_call_and_the_answers_are_put_together() -> None:
    answer = RowByRow(OneRow()).predict({"n": np.array([3, 3])})
    assert answer["numbers"].tolist() == [[0, 1, 2], [0, 1, 2]]
    assert answer["twice"].tolist() == [6, 6]


def test_answers_of_several_sizes_are_the_clients_to_ask_apart() -> None:
    with pytest.raises(ClientError, match=r"numbers, of several sizes \(\[2\] and \[3\]\).*a request of its own"):
        RowByRow(OneRow()).predict({"n": np.array([3, 2])})


@pytest.mark.parametrize("sizes", [(2, 0), (2, 2), (0, 0)])
def test_an_answer_of_other_than_one_row_is_never_given_to_another(sizes: tuple[int, int]) -> None:
    class WithoutRows:
        def predict(self, inputs: dict[str, Any]) -> Any:
            (row,) = inputs["n"]
            return {"box": np.full((row, 2), row)}

    with pytest.raises(ModelError, match=r"output box has [02] rows for one row: return it with one row first"):
        RowByRow(WithoutRows()).predict({"n": np.array(sizes)})


def test_stream_takes_one_row() -> None:
    runtime = RowByRow(OneRow())
    assert [chunk["twice"].tolist() for chunk in runtime.stream({"n": np.array([3])})] == [[6]]
    with pytest.raises(ClientError, match="send each row as a request of its own"):
        list(runtime.stream({"n": np.array([3, 3])}))


def test_runtime_without_stream_gets_none() -> None:
    class Silent:
        def predict(self, inputs: dict[str, Any]) -> Any:
            return inputs

    assert not hasattr(RowByRow(Silent()), "stream")


def test_what_is_no_dictionary_is_left_to_the_check_of_answers() -> None:
    class Wrong:
        def predict(self, _inputs: dict[str, Any]) -> Any:
            return [1]

    assert RowByRow(Wrong()).predict({"n": np.array([1, 2])}) == [1]
