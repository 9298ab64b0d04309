"""An answer that is not the model's is found, whatever form it comes in."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
import wires
from check import WrongAnswerError, check_all

REQUESTS = {"rows": [[[1.0, 2.0]], [[3.0, 4.0]]], "probabilities": [[[0.9, 0.1]], [[0.2, 0.8]]]}
FORMS = {
    "ours": (wires.OURS, lambda p: {"predictions": [{"label": r.index(max(r)), "probabilities": r} for r in p]}),
    "plain": (wires.PLAIN, lambda p: {"labels": [r.index(max(r)) for r in p], "probabilities": p}),
    "v2": (wires.V2, lambda p: {"outputs": [{"shape": [len(p), len(p[0])], "data": [v for r in p for v in r]}]}),
    "bentoml": (wires.BENTOML, lambda p: p),
    "mlflow": (wires.MLFLOW, lambda p: {"predictions": p}),
}


@pytest.fixture
def answers() -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """A server that gives the answers it is handed, in turn: its port, and the list to fill."""
    todo: list[tuple[int, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = todo.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1], todo
        server.shutdown()


@pytest.mark.parametrize("form", FORMS)
def test_right_answers_pass_and_a_wrong_one_is_named(form, answers):
    wire, write = FORMS[form]
    port, todo = answers
    right = [(200, json.dumps(write(p)).encode()) for p in REQUESTS["probabilities"]]
    todo += right
    check_all(port, False, wire, "iris", REQUESTS)
    todo += [right[0], (200, json.dumps(write([[0.2002, 0.7998]])).encode())]
    with pytest.raises(WrongAnswerError, match="request 1 of iris"):
        check_all(port, False, wire, "iris", REQUESTS)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"busy"),
        (200, b"not JSON"),
        (200, b'{"predictions": []}'),
        (200, b'{"predictions": [{"label": 1, "probabilities": [0.9, 0.1]}]}'),
        (200, b'{"labels": [0], "probabilities": [[0.9, 0.1]]}'),
    ],
)
def test_a_failure_a_wrong_label_or_another_form_is_wrong(status, body, answers):
    port, todo = answers
    todo += [(status, body)]
    with pytest.raises(WrongAnswerError):
        check_all(port, False, wires.OURS, "iris", REQUESTS)
