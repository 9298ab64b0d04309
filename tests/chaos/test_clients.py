"""The clients of `make chaos` see what a client would see: a server here stalls, lies, breaks off and refuses."""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from bundles import burden_answer
from clients import Clients
from questions import COLOURS, MODELS
from scene import Fault, Scene, judge

RATE = 100.0
GOLDEN = {
    json.dumps(example["inputs"]): example["outputs"]
    for model in ("iris", "digits")
    for example in json.loads((MODELS / model / "1" / "golden.json").read_text())
}


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    mistreat: Callable[["Handler"], bool]


class Handler(BaseHTTPRequestHandler):
    """Predicts what the example models predict, but for what `mistreat` does first; it tells whether that was all."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.mistreat(self):
            self.answer(200, predict(json.loads(body)))

    def answer(self, status: int, prediction: Any) -> None:
        text = json.dumps({"prediction": prediction}).encode()
        self.send_response(status)
        self.send_header("X-Release", "r")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Be silent."""


def predict(inputs: dict[str, Any]) -> dict[str, Any]:
    if "index" in inputs:
        return {"colour": COLOURS[inputs["index"]]}
    if "number" in inputs:
        return {"answer": burden_answer(inputs["number"])}
    return GOLDEN[json.dumps(inputs)]


@pytest.fixture
def ask() -> Iterator[Callable[..., Clients]]:
    """Let the clients ask a server for a second, which does `mistreat` with each question."""
    servers = []

    def run(mistreat: Callable[[Handler], bool]) -> Clients:
        server = Server(("127.0.0.1", 0), Handler)
        server.mistreat = mistreat
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with Clients(f"http://127.0.0.1:{server.server_address[1]}", RATE) as clients:
            time.sleep(1)
        return clients

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def once(act: Callable[[Handler], bool]) -> Callable[[Handler], bool]:
    """Do it to the thirtieth question alone."""
    count = iter(range(1_000_000))
    return lambda handler: next(count) == 30 and act(handler)


def test_a_server_that_answers_right_fails_nothing(ask):
    clients = ask(lambda handler: False)
    assert clients.failures() == []
    assert abs(len(clients.asked) - RATE) < 10
    assert clients.worst_gap() < 0.3
    assert clients.releases() == {"r"}
    assert {asked.pooled for asked in clients.asked} == {True, False}


def wrong(handler: Handler) -> bool:
    handler.answer(200, {"colour": "pink", "answer": 1, "species": "rose", "digit": 11})
    return True


def refuse(handler: Handler) -> bool:
    handler.answer(502, None)
    return True


def break_off(handler: Handler) -> bool:
    handler.close_connection = True
    return True


@pytest.mark.parametrize(
    ("act", "told"), [(wrong, "a wrong answer to"), (refuse, "status 502"), (break_off, "IncompleteReadError")]
)
def test_one_answer_that_is_not_right_is_one_failure(ask, act, told):
    (failure,) = ask(once(act)).failures()
    assert told in failure.problem


def test_questions_go_on_by_the_clock_while_a_server_stalls(ask):
    stall_until = time.monotonic() + 0.8

    def stall(_: Handler) -> bool:
        time.sleep(max(0.0, stall_until - time.monotonic()))
        return False

    clients = ask(stall)
    assert clients.failures() == []
    assert abs(len(clients.asked) - RATE) < 10
    assert clients.worst_gap() > 0.6


@pytest.mark.parametrize(
    ("cuts_off", "away_seconds", "excused"), [(True, 0.0, False), (False, 10.0, True), (False, 0.0, False)]
)
def test_a_failure_is_excused_only_where_nothing_could_have_answered(ask, cuts_off, away_seconds, excused):
    begun = time.monotonic()
    clients = ask(once(refuse))
    fault = Fault("test", "a test", lambda scene: None, cuts_off=cuts_off, away_seconds=away_seconds)
    # It struck before the question was asked, so that it was not under way.
    scene = Scene(None, clients, False, 0, struck=[begun], under_way=[clients.asked[0]], away_seconds=away_seconds)
    line = judge(fault, scene)
    assert line.failed == 1
    assert (line.broken == []) == excused


def test_a_question_that_was_due_before_the_fault_and_sent_after_it_is_excused(ask):
    clients = ask(once(refuse))
    (failed,) = clients.failures()
    failed.due, struck = failed.sent - 0.2, failed.sent - 0.1
    fault = Fault("test", "a test", lambda scene: None, cuts_off=True, away_seconds=10.0)
    assert judge(fault, Scene(None, clients, False, 0, struck=[struck], away_seconds=10.0)).broken == []
    late = Scene(None, clients, False, 0, struck=[failed.sent + 0.1], away_seconds=10.0)
    assert judge(fault, late).broken != []
