"""What runs as the app may be anyone's code: what it can do to the tool, which root runs."""

import contextlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelhostctl.checks.diff import leaves
from modelhostctl.checks.golden import Example
from modelhostctl.checks.shadow_report import MOST_COUNTED, Report, compare
from modelhostctl.cli import _say
from modelhostctl.errors import StepError
from modelhostctl.host import app_socket, resources
from modelhostctl.host.docker import MOST_LINE, Docker
from modelhostctl.host.http_client import MOST_BYTES, Response, request
from modelhostctl.host.mirror import Asked
from modelhostctl.printable import one_line, printable
from modelhostctl.steps.shadow import Colours, Shadow
from modelhostctl.store.release import Record
from modelhostctl.view.status import _workers

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be someone else")
APP, PROXY, OTHER = 10001, 10002, 4242
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """A server on a socket that does with each connection what it is told to; it counts what it gets and sends."""

    def __init__(self, path: Path, act: Callable[[Callable[[bytes], None]], None]) -> None:
        self.connections, self.received, self.sent = 0, b"", 0
        self._act = act
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(100)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        def send(data: bytes) -> None:
            self.sent += connection.send(data)

        with contextlib.suppress(OSError), connection:
            self.received += connection.recv(65536)
            self._act(send)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Start such a server."""
    peers: list[Peer] = []

    def start(path: Path, act: Callable[[Callable[[bytes], None]], None] = lambda send: send(FINE)) -> Peer:
        peers.append(Peer(path, act))
        return peers[-1]

    yield start
    for one in peers:
        one.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can get to: what a link there leads to could be connected to."""
    with tempfile.TemporaryDirectory(prefix="modelhost-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextlib.contextmanager
def again_and_again(change: Callable[[], None]) -> Iterator[None]:
    """Meanwhile another thread goes on changing something."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            change()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def asked_until_both_were_seen(path: Path) -> list[int]:
    """The statuses of requests, so many that what is swapped was found in either state, and in between."""
    answers: list[int] = []
    deadline = time.monotonic() + 30
    while (len(answers) < 500 or set(answers) != {0, 200}) and time.monotonic() < deadline:
        answers.append(request(path, "/").status)
    assert set(answers) == {0, 200}
    return answers


def test_a_link_that_is_swapped_in_leads_nowhere_at_whatever_moment(open_folder, peer):
    folder = open_folder / "blue"
    folder.mkdir()
    engine = peer(open_folder / "engine.sock")
    app = peer(folder / "real.sock")
    os.link(folder / "real.sock", folder / "server.sock")

    def swap() -> None:
        (folder / "link").symlink_to(open_folder / "engine.sock")
        (folder / "link").rename(folder / "server.sock")
        os.link(folder / "real.sock", folder / "back")
        (folder / "back").rename(folder / "server.sock")
        (folder / "back").unlink(missing_ok=True)  # a rename to another name of the same file does nothing

    with again_and_again(swap):
        answers = asked_until_both_were_seen(folder / "server.sock")
    assert engine.connections == 0
    assert app.connections == answers.count(200)


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(open_folder, peer):
    for name in ("blue", "elsewhere"):
        (open_folder / name).mkdir()
    elsewhere, app = peer(open_folder / "elsewhere" / "server.sock"), peer(open_folder / "blue" / "server.sock")

    def swap() -> None:
        (open_folder / "blue").rename(open_folder / "aside")
        (open_folder / "blue").symlink_to("elsewhere")
        (open_folder / "blue").unlink()
        (open_folder / "aside").rename(open_folder / "blue")

    with again_and_again(swap):
        answers = asked_until_both_were_seen(open_folder / "blue" / "server.sock")
    assert elsewhere.connections == 0
    assert app.connections == answers.count(200)


def test_what_clients_send_while_a_release_is_in_shadow_does_not_get_to_the_engine(open_folder, peer):
    engine, new = peer(open_folder / "engine.sock"), peer(open_folder / "new.sock")
    (open_folder / "live.sock").symlink_to("engine.sock")
    shadow = Shadow(Colours(open_folder / "live.sock", open_folder / "new.sock", {}), 1)
    shadow.take(Asked("/v1.43/containers/create?name=pwn", b'{"Image": "modelhost-app"}', {}))
    shadow.take(Asked("/models/iris/predict", b"{}", {}))
    shadow.wait(5)
    assert shadow.finish().compared == 1
    assert (engine.connections, engine.received) == (0, b"")
    assert new.received.startswith(b"POST /models/iris/predict HTTP/1.1")


SERVER = """
import os, socket, struct, sys
uid, path = int(sys.argv[1]), sys.argv[2]
os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
server = socket.socket(socket.AF_UNIX)
os.umask(0o111)
server.bind(path)
server.listen()
print("listens", flush=True)
connection, _ = server.accept()
print(*struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:], flush=True)
print(len(connection.recv(65536)), flush=True)
connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
"""


@contextlib.contextmanager
def server_of(uid: int, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that runs as this user, and prints who connects and how many bytes it is sent."""
    command = [sys.executable, "-c", SERVER, str(uid), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield process
        process.kill()


def folder_of_the_app(run: Path, older: bool = False) -> Path:
    """Folders as `start` makes them on a machine, or as an older version did."""
    folder = run / "blue-0123456789ab"
    folder.mkdir(parents=True)
    for path, uid, gid, mode in ((run, 0, PROXY, 0o750), (folder, 0, APP, 0o1771)):
        os.chown(path, uid, gid)
        path.chmod(mode)
    if older:
        os.chown(folder, APP, PROXY)
        folder.chmod(0o750)
    return folder


@as_root
@pytest.mark.parametrize("older", [False, True])
def test_the_app_is_asked_as_the_proxys_user(open_folder, older):
    run = open_folder / "run"
    path = folder_of_the_app(run, older) / "server.sock"
    run.chmod(0o755)  # the server in this test is in no container, and sees it from above
    with server_of(APP, path) as process:
        assert request(path, "/").status == 200
        assert process.stdout.readline() == f"{PROXY} {PROXY}\n"


@as_root
@pytest.mark.parametrize("uid", [0, OTHER])
def test_what_another_user_answers_is_not_even_asked(open_folder, uid):
    run = open_folder / "run"
    path = folder_of_the_app(run) / "server.sock"
    run.chmod(0o755)
    path.parent.chmod(0o1777)
    with server_of(uid, path) as process:
        refused = request(path, "/", b"secret")
        assert refused.status == 0
        assert f"is answered by the user {uid}, and not by the app's, {APP}".encode() in refused.body
        process.stdout.readline()
        assert process.stdout.readline() == "0\n", "something was sent"


@as_root
def test_what_only_root_may_connect_to_is_not_connected_to(tmp_path, peer):
    (tmp_path / "run" / "blue").mkdir(parents=True)
    path = tmp_path / "run" / "blue" / "server.sock"
    engine = peer(path)
    path.chmod(0o660)
    assert b"PermissionError" in request(path, "/").body
    assert engine.connections == 0


@as_root
def test_the_process_that_connects_has_no_right_of_roots_and_none_of_its_files(tmp_path, peer):
    (tmp_path / "blue").mkdir()
    peer(tmp_path / "blue" / "server.sock")
    if started := app_socket._connectors.get(app_socket.NOBODY):
        started.close()
    before = os.getgroups()
    os.setgroups([OTHER])
    try:
        assert request(tmp_path / "blue" / "server.sock", "/").status == 200
    finally:
        os.setgroups(before)
    connector = app_socket._connectors[app_socket.NOBODY]
    process = Path(f"/proc/{connector._process.pid}")
    assert os.getsid(connector._process.pid) != os.getsid(0), "what is typed at a terminal would end it"
    said = dict(re.findall(r"^(\w+):\t(.*)$", (process / "status").read_text(), re.MULTILINE))
    nobody = "\t".join(["65534"] * 4)
    assert (said["Uid"], said["Gid"], said["Groups"].strip()) == (nobody, nobody, "")
    assert {said[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    # It has handed the connection over, and may not have closed its own end of it yet.
    until = time.monotonic() + 5
    while (held := sorted(os.listdir(process / "fd"))) != ["0", "1", "2"] and time.monotonic() < until:
        time.sleep(0.01)
    assert held == ["0", "1", "2"]


def test_one_process_connects_for_all_and_another_one_where_it_has_ended(tmp_path, peer):
    (tmp_path / "blue").mkdir()
    peer(tmp_path / "blue" / "server.sock")
    path = tmp_path / "blue" / "server.sock"
    assert request(path, "/").status == 200
    user = app_socket.NOBODY if os.getuid() == 0 else os.stat(tmp_path).st_gid
    first = app_socket._connectors[user]
    assert [request(path, "/").status for _ in range(20)] == [200] * 20
    assert app_socket._connectors[user] is first
    first._process.kill()
    first._process.wait()
    ended = request(path, "/")
    assert ended.status == 0
    assert re.search(rb"Broken pipe|has ended", ended.body)
    assert request(path, "/").status == 200


def test_many_threads_are_each_given_their_own_connection(tmp_path, serve):
    (tmp_path / "blue").mkdir()
    serve(lambda path, body: (200, "r", path.encode()), tmp_path / "blue" / "server.sock")
    wrong = []

    def ask(number: int) -> None:
        for turn in range(30):
            answer = request(tmp_path / "blue" / "server.sock", f"/{number}/{turn}")
            if answer.body != f"/{number}/{turn}".encode():
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def for_ever(send: Callable[[bytes], None], piece: bytes) -> None:
    while True:
        send(piece)


def drip(send: Callable[[bytes], None], start: bytes) -> None:
    send(start)
    while True:
        send(b"x")
        time.sleep(0.2)


HEAD = b"HTTP/1.1 200 OK\r\n"
FLOODS = {
    "a header": (HEAD + b"X-A: ", b"a" * 65536),
    "headers": (HEAD, b"X-A: a\r\n" * 8192),
    "a status line": (b"HTTP/1.1 200 ", b"a" * 65536),
    "1xx": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "a body": (HEAD + b"\r\n", b"a" * 65536),
    "a body of a length": (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"a" * 65536),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
    "small chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 8192),
    "a chunk's length": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: a\r\n" * 8192),
}


@pytest.mark.parametrize("what", FLOODS)
def test_an_answer_without_an_end_is_given_up_after_little(tmp_path, peer, what):
    start, piece = FLOODS[what]

    def flood(send: Callable[[bytes], None]) -> None:
        send(start)
        for_ever(send, piece)

    flooding = peer(tmp_path / "server.sock", flood)
    answer = request(tmp_path / "server.sock", "/", timeout=20)
    assert (answer.status, answer.release) == (0, "")
    assert answer.seconds < 10
    # What lies in the socket's buffer was sent as well.
    assert flooding.sent < 3 * MOST_BYTES + 1_000_000
    assert len(answer.body) < 500


@pytest.mark.parametrize("what", FLOODS)
def test_a_timeout_is_for_all_of_an_answer_however_it_drips(tmp_path, peer, what):
    peer(tmp_path / "server.sock", lambda send: drip(send, FLOODS[what][0]))
    answer = request(tmp_path / "server.sock", "/", timeout=1)
    assert answer.status == 0
    assert b"timed out" in answer.body
    assert 1 <= answer.seconds < 1.5


def test_a_timeout_is_for_a_request_that_is_read_slowly_as_well(tmp_path, peer):
    peer(tmp_path / "server.sock", lambda send: time.sleep(5))
    answer = request(tmp_path / "server.sock", "/", b"x" * 30_000_000, timeout=1)
    assert b"timed out" in answer.body
    assert answer.seconds < 1.5


@pytest.mark.parametrize("status", [b"103 Early Hints", b"101 Switching Protocols", b"204 No Content", b"000 None"])
def test_a_status_that_is_no_answer_is_none_or_itself(tmp_path, peer, status):
    peer(tmp_path / "server.sock", lambda send: send(b"HTTP/1.1 " + status + b"\r\n\r\n"))
    assert request(tmp_path / "server.sock", "/").status != 200


def test_names_in_headers_are_cut(tmp_path, peer):
    long = b"a" * 30_000
    peer(
        tmp_path / "server.sock",
        lambda send: send(HEAD + b"X-Release: " + long + b"\r\nX-Model: " + long + b"\r\n\r\n"),
    )
    answer = request(tmp_path / "server.sock", "/")
    assert (len(answer.release), len(answer.model)) == (200, 200)


DEEP = b'{"prediction": {"p": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
HUGE = b'{"prediction": {"p": 1' + b"0" * 400 + b"}}"
MANY_DIGITS = b'{"prediction": {"p": 1' + b"0" * 100_000 + b"}}"
INFINITE = b'{"prediction": {"p": 1e999}}'
NOT_TEXT = b'{"prediction": {"p": "\xff\xfe"}}'


@pytest.mark.parametrize("body", [DEEP, HUGE, MANY_DIGITS, INFINITE, NOT_TEXT])
def test_an_answer_that_breaks_readers_is_a_wrong_one(body):
    example = Example("iris 1, example 0", "/p", b"{}", {"p": 1.5}, 1e-6)
    assert example.difference(Response(200, "r", body, 0.1))
    for pair in ((body, body), (body, b'{"prediction": {"p": 1.5}}'), (b'{"prediction": {"p": 1.5}}', body)):
        found = leaves(*pair, 1e-6)
        assert [leaf.same for leaf in found] == [pair[0] == pair[1]], found
        report = Report()
        answers = [Response(200, "r", one, 0.1, "iris/1") for one in pair]
        report.add("/p", *answers, compare("/p", *answers, {}))
        assert all(len(line) < 500 for line in report.lines())
    assert _workers(body) is None


@pytest.mark.parametrize("number", ["1e999", "NaN", "[" * 100_000, '"' + "9" * 5000 + '"', "null"])
def test_workers_that_are_no_numbers_are_none(number):
    assert _workers(f'{{"workers_ready": {number}, "workers": 2}}'.encode()) is None


def test_a_wrong_value_is_shown_cut():
    example = Example("iris 1, example 0", "/p", b"{}", {"p": 1.5}, 1e-6)
    wrong = example.difference(Response(200, "r", json.dumps({"prediction": {"p": ["a"] * 10_000}}).encode(), 0.1))
    assert len(wrong) < 400


def test_outputs_that_have_another_name_each_time_are_counted_only_so_far():
    report = Report()
    for turn in range(20):
        body = json.dumps({"prediction": {f"{turn} {number}" + "x" * 1000: number for number in range(100)}}).encode()
        answers = [Response(200, "r", body, 0.1, f"model {turn}")] * 2
        report.add("/p", *answers, compare("/p", *answers, {}))
    assert len(report.outputs) == MOST_COUNTED
    assert max(len(output) for _, output in report.outputs) == 200


def test_answers_that_take_long_to_compare_are_compared_by_their_bytes():
    large = json.dumps({"prediction": {"p": [0] * 2_000_000}}).encode()
    begun = time.monotonic()
    (leaf,) = leaves(large, large, 1e-6)
    assert time.monotonic() - begun < 0.5
    assert (leaf.output, leaf.same) == ("body", True)


ESCAPES = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e\ud800"


def test_nothing_that_a_terminal_obeys_is_left_in_a_result():
    shown = printable({"msg": f"a\n\tb{ESCAPES}", ESCAPES: [ESCAPES, 1, None, {"c": (ESCAPES,)}]})
    assert shown["msg"].startswith("a\n\tb\\x1b]0;title\\x07\\x1b[2J\\r\\x9b31m\\u202e\\ud800")
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800]", json.dumps(shown, ensure_ascii=False)) is None
    assert shown[printable(ESCAPES)][1:3] == [1, None]
    assert one_line("a\n  gate:     passed") == "a\\n  gate:     passed"
    assert printable("héllo 模型 🙂") == "héllo 模型 🙂"


def test_progress_is_printed_without_escapes(capsys):
    _say(f"gate: {ESCAPES}")
    assert "\x1b" not in capsys.readouterr().err


def test_what_an_app_says_or_logs_is_printed_without_escapes(machine, capsys):
    said = b'{"error": "\x1b[2J\x1b]0;owned\x07"}\n  gate:     none\n'
    machine.serve("blue", machine.new.id, said)
    assert machine.type("gate") == 1
    program = machine.bin / "docker"
    program.write_text(program.read_text().replace('print("its last line")', 'print("\\x1b[2Jits last line\\x07")'))
    assert machine.type("logs") == 0
    assert machine.type("logs", "--json") == 0
    printed = capsys.readouterr()
    assert "\\x1b[2Jits last line\\x07" in printed.out
    assert "\x1b" not in printed.out + printed.err
    assert "\\u001b" not in printed.out
    assert not any(line.startswith("  gate:") for line in printed.err.splitlines())


@pytest.mark.parametrize("piece", ["x", "x\\n"])
def test_a_log_without_an_end_is_read_only_so_far(machine, piece):
    program = machine.bin / "docker"
    program.write_text(f"#!{sys.executable}\nwhile True: print('{piece}' * 100_000, end='', flush=True)\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    begun = time.monotonic()
    lines = Docker().logs("blue", 5)
    assert time.monotonic() - begun < 10
    assert max(map(len, lines)) <= MOST_LINE + 4


def test_a_log_that_does_not_come_is_waited_for_only_so_long(machine):
    program = machine.bin / "docker"
    program.write_text("#!/bin/sh\necho begun\nexec sleep 30\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(StepError, match=r"`docker logs a` did not end within 0.3 s"):
        Docker()._read(["docker", "logs", "a"], 1000, subprocess.DEVNULL, timeout=0.3)


@pytest.mark.parametrize("name", [b"s\xff.sock", b"s\n /run/modelhost/s.sock", b"a b", b"s\x85.sock"])
def test_sockets_with_odd_names_do_not_stand_in_the_way_of_a_drain(tmp_path, name):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        # A name with a folder in it is one of the kernel's own, which need no file.
        server.bind(b"\0" + name if b"/" in name else os.fsencode(tmp_path) + b"/" + name)
        server.listen()
        client.connect(server.getsockname())
        assert resources.connections("/run/modelhost/s.sock") == 0
        assert resources.connections("/run/modelhost/blue-a/server.sock") == 0


def deep(folder: Path, levels: int = 1200) -> None:
    """Make a folder within a folder, and so on."""
    folder.mkdir(parents=True)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_what_an_app_has_left_in_its_folder_does_not_stop_it_from_being_started_again(machine, capsys):
    sockets = machine.layout.run / f"green-{machine.old.id}"
    deep(sockets / ".second.sock.unfinished")
    (sockets / "second.sock").mkdir()
    precious = machine.layout.root / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (sockets / "link").symlink_to(precious)
    (sockets / "file").touch()
    assert machine.type("rollback", "--json") == 0, capsys.readouterr()
    assert sorted(path.name for path in sockets.iterdir()) == ["second.sock", "server.sock"]
    assert os.readlink(sockets / "second.sock") == "server.sock"
    assert (precious / "file").exists()


def test_what_an_app_has_left_in_its_folder_is_removed_with_it(machine, capsys):
    sockets = machine.layout.run / "green-0123456789ab"
    deep(sockets / "model.yaml")
    (sockets / "link").symlink_to(machine.layout.releases)
    assert machine.type("prune", "--lock", machine.lock(), "--json") == 0, capsys.readouterr()
    assert not sockets.exists()
    assert Record.of(machine.layout, machine.new.id).read() is not None
