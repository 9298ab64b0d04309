"""Bundles answer alike over every protocol, alone and under concurrent mixed batches."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import Server
from modelhost.models.model import close
from protocol_requests import Row, every_way
from werkzeug.test import Client

BOUNDS = {"sepal_length": 10, "sepal_width": 6, "petal_length": 10, "petal_width": 4}
MAKE = {
    "colours": lambda pick: {"index": pick.randint(0, 4)},
    "digits": lambda pick: {"image": [[pick.randint(0, 16) for _ in range(8)] for _ in range(8)]},
    "iris": lambda pick: {name: round(pick.uniform(0, high), 2) for name, high in BOUNDS.items()},
}


def rows_and_answers(client: Client, name: str, number: int, seed: int = 7) -> tuple[list[Row], list[Row]]:
    """Rows that differ, and what each is answered when it is sent alone."""
    pick = random.Random(seed)
    rows: list[Row] = [MAKE[name](pick) for _ in range(number)]
    answers = [client.post(f"/models/{name}/predict", json=row).json for row in rows]
    return rows, [answer["prediction"] for answer in answers if answer]


def assert_alike(got: list[Row], wanted: list[Row], way: str) -> None:
    assert len(got) == len(wanted), way
    for number, (row, expected) in enumerate(zip(got, wanted, strict=True)):
        assert row.keys() == expected.keys(), way
        assert all(close(row[key], expected[key], 1e-5) for key in expected), (way, number, row, expected)


@pytest.mark.parametrize("name", list(MAKE))
@pytest.mark.parametrize("number", [1, 2, 33, 64])
def test_every_protocol_answers_what_the_rows_are_answered_alone(client: Client, name: str, number: int) -> None:
    rows, wanted = rows_and_answers(client, name, number)
    for way, spoken in every_way(client.get(f"/models/{name}").json or {}, rows).items():
        answer = client.post(spoken.url, data=spoken.body, headers=spoken.headers)
        assert answer.status_code == 200, (way, answer.data)
        assert_alike(spoken.read(answer.data, answer.headers), wanted, way)


def test_concurrent_mixed_batches_are_never_mixed_up(client: Client, server: Server) -> None:
    known = {name: rows_and_answers(client, name, 64) for name in MAKE}
    schemas: dict[str, Any] = {name: client.get(f"/models/{name}").json for name in MAKE}
    workers = server.worker_pids()

    def ask(seed: int) -> int:
        """One client with a connection of its own: 25 requests of 1 to 64 rows in any protocol."""
        pick, connection = random.Random(seed), server.connect()
        for _ in range(25):
            name = pick.choice(list(MAKE))
            rows, wanted = known[name]
            chosen = pick.choices(range(64), k=pick.choice([1, 2, 7, 64]))
            ways = every_way(schemas[name], [rows[i] for i in chosen])
            way = pick.choice(list(ways))
            connection.request("POST", ways[way].url, ways[way].body, ways[way].headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (way, body)
            assert_alike(ways[way].read(body, answer.headers), [wanted[i] for i in chosen], way)
        connection.close()
        return 25

    with ThreadPoolExecutor(8) as clients:
        assert sum(clients.map(ask, range(16))) == 400
    assert server.worker_pids() == workers


def test_an_error_in_every_protocol_names_the_feature_the_value_and_the_range(client: Client) -> None:
    rows, _ = rows_and_answers(client, "iris", 3)
    rows[1]["petal_width"] = 4.5
    for way, spoken in every_way(client.get("/models/iris").json or {}, rows).items():
        answer = client.post(spoken.url, data=spoken.body, headers=spoken.headers)
        assert answer.status_code == 400, way
        error = json.loads(answer.data)
        said = "petal_width in row 1 must be a number from 0 to 4 (cm), not 4.5."
        assert (error["field"], error["error"]) == ("petal_width", said), way
        assert client.post(spoken.url, json=error["example"]).status_code == 200, way
