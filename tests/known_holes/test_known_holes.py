"""A hole that is known is found; and what could not be compared is never taken for sound."""

import json
import os
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import debian_packages
import pytest
import python_packages
from comparison import Comparison, lines_of
from listed import Listed, UnreadableError, read_list

from modelhostctl.host.docker import Image
from modelhostctl.host.image_contents import Contents, Package
from modelhostctl.store.cyclonedx import sbom_of_image, text_of

PROJECT = Path(__file__).resolve().parents[2]
NOWHERE = "http://127.0.0.1:9/"
LOCK = f"flask==3.1.2 \\\n    --hash=sha256:{'0' * 64}\norjson==3.11.4 \\\n    --hash=sha256:{'1' * 64}\n"
ADVISORY = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "published": "2026-11-01T00:00:00Z",
    "details": "It opens.",
    "affected": [{
        "package": {"name": "flask", "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]}],
    }],
}  # fmt: skip
# debsecan's format: holes; then for packages the number of one, whether by source, urgency, remote, and fixed here.
TRACKED = """\
VERSION 1
CVE-2026-1,,opens
CVE-2026-2,,opens too

openssl,0,SHRF,3.5.2-1,
bash,1,S  ?,,

openssl,libssl3t64
"""
# Prints what a file says, once it has been asked as debsecan wants to be; notes the packages that it was to compare.
DEBSECAN = """\
#!{python}
import sys
config, nothing, whitelist, none, status, file, suite, codename, source, tracker = sys.argv[1:]
words = [config, nothing, whitelist, none, status, suite, codename, source]
if words != ["--config", "/dev/null", "--whitelist", "", "--status", "--suite", "trixie", "--source"]:
    sys.exit(f"error: usage: {{sys.argv[1:]}}")
if not tracker.startswith("http"): sys.exit(f"error: while downloading {{tracker}}")
open("{folder}/asked", "a").write(open(file).read())
print(open("{folder}/prints").read(), end="")
sys.exit(open("{folder}/errors").read() or 0)
"""
FOUND = [
    "Debian packages of modelhost-app-a: 2 packages compared, 2 known holes, 1 of them mended by an update",
    "  CVE-2026-1 libssl3t64 3.5.1-1: mended by an update (make upgrade)",
    "  CVE-2026-2 bash 5.2.37-2: no update yet",
]
needs_debsecan = pytest.mark.skipif(not shutil.which("debsecan"), reason="debsecan is not on this machine")


@pytest.fixture
def database() -> Iterator[Callable[[Callable[[bytes], bytes]], str]]:
    """Have a database that answers by a function of what it was sent; returns its URL."""
    servers = []

    def start(answer: Callable[[bytes], bytes]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self.send_response(200)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST  # noqa: N815 - http.server's name

            def log_message(self, *_: object) -> None:
                """Be silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def lock(tmp_path) -> Path:
    file = tmp_path / "a.lock"
    file.write_text(LOCK)
    return file


@pytest.fixture
def sbom(tmp_path) -> Path:
    """The list of an image with two packages, one of whose holes has an update."""
    packages = (
        Package("bash", "5.2.37-2", "amd64", "bash", "5.2.37-2"),
        Package("libssl3t64", "3.5.1-1", "amd64", "openssl", "3.5.1-1"),
    )
    system = {"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie"}
    file = tmp_path / "sboms" / "vm1" / "modelhost-app-a.cdx.json"
    file.parent.mkdir(parents=True)
    file.write_text(text_of(sbom_of_image(Image("modelhost-app:a", "sha256:a", ""), Contents(system, packages, ()))))
    return file


@pytest.fixture
def debsecan(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Have a stand-in for debsecan print lines, or end with an error; returns a file with what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "debsecan"
    program.write_text(DEBSECAN.format(python=sys.executable, folder=folder))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def prints(*lines: str, errors: str = "") -> Path:
        (folder / "prints").write_text("".join(f"{line}\n" for line in lines))
        (folder / "errors").write_text(errors)
        return folder / "asked"

    return prints


def osv(asked: bytes) -> bytes:
    named = json.loads(asked)["package"]["name"]
    return json.dumps({"vulns": [ADVISORY]} if named == "flask" else {}).encode()


def test_a_hole_of_a_pinned_version_is_found_with_what_mends_it(lock, database):
    comparison = python_packages.look_at_locks([lock], database(osv))
    assert comparison.compared == 2
    assert comparison.unknown == []
    assert lines_of(comparison) == [
        "Python packages of a.lock: 2 packages compared, 1 known holes, 1 of them mended by an update",
        "  GHSA-aaaa-bbbb-cccc flask 3.1.2: 3.1.3",
    ]


def test_a_version_without_a_hole_is_sound(lock, database):
    assert python_packages.look_at_locks([lock], database(lambda _: b"{}")) == Comparison(
        "Python packages of a.lock", 2
    )


@pytest.mark.parametrize("answer", [None, b"", b"<html>", b"[1]"])
def test_a_database_that_is_not_reached_or_not_understood_shows_nothing(lock, database, answer):
    comparison = python_packages.look_at_locks([lock], NOWHERE if answer is None else database(lambda _: answer))
    assert (comparison.compared, comparison.holes) == (0, [])
    assert "pip-audit could not compare" in comparison.unknown[0]
    assert "NOT KNOWN" in lines_of(comparison)[0]


def listed(of: str, *pins: str) -> Listed:
    return Listed(of, "trixie", [], list(pins))


def test_a_hole_of_what_a_list_names_is_found_and_equal_lists_are_compared_once(database):
    lists = [listed("a", "flask==3.1.2", "more==1"), listed("b", "flask==3.1.2", "more==1"), listed("c", "more==2")]
    asked = []
    found = python_packages.look_at_lists(
        [*lists, listed("nginx")], database(lambda one: asked.append(one) or osv(one))
    )
    assert [line for one in found for line in lines_of(one)] == [
        "Python packages of a, b: 2 packages compared, 1 known holes, 1 of them mended by an update",
        "  GHSA-aaaa-bbbb-cccc flask 3.1.2: 3.1.3",
        "Python packages of c: 1 packages compared, no hole is known",
    ]
    assert len(asked) == 3


def test_each_version_of_a_package_is_compared_and_one_that_is_none_is_said(database):
    found = python_packages.look_at_lists([listed("a", "flask==3.1.1", "flask==3.1.2", "more==x")], database(osv))
    assert [hole.package for one in found for hole in one.holes] == ["flask 3.1.1", "flask 3.1.2"]
    assert [why for one in found for why in one.unknown] == ["more==x is no version of Python's"]


@needs_debsecan
def test_holes_of_debian_packages_are_found_and_those_with_an_update_come_first(sbom, database):
    comparison = debian_packages.look(read_list(sbom), database(lambda _: zlib.compress(TRACKED.encode())))
    assert lines_of(comparison) == FOUND


def test_what_debsecan_is_given_and_prints_is_understood(sbom, debsecan):
    asked = debsecan(
        "CVE-2026-2 bash (low urgency)", "CVE-2026-1 libssl3t64 (fixed, remotely exploitable, high urgency)", ""
    )
    assert lines_of(debian_packages.look(read_list(sbom), "http://tracker/")) == FOUND
    assert asked.read_text().split("\n\n")[1].splitlines() == [
        "Package: libssl3t64",
        "Status: install ok installed",
        "Version: 3.5.1-1",
        "Source: openssl (3.5.1-1)",
    ]


@needs_debsecan
@pytest.mark.parametrize("answer", [None, zlib.compress(b"VERSION 2\n"), b"<html>"])
def test_a_tracker_that_is_not_reached_or_not_understood_shows_nothing(sbom, database, answer):
    comparison = debian_packages.look(read_list(sbom), NOWHERE if answer is None else database(lambda _: answer))
    assert (comparison.compared, comparison.holes) == (0, [])
    assert "debsecan could not compare" in comparison.unknown[0]


def test_where_debsecan_ends_with_an_error_nothing_is_known(sbom, debsecan):
    debsecan("CVE-2026-2 bash", errors="a traceback\nerror: while downloading")
    comparison = debian_packages.look(read_list(sbom), "http://tracker/")
    assert (comparison.compared, comparison.holes) == (0, [])
    assert comparison.unknown == ["debsecan could not compare with http://tracker/: error: while downloading"]


@pytest.mark.parametrize("line", ["What?", "CVE-2026-3", "CVE-2026-3 zsh (fixed)", "CVE-2026-3 bash (low) more"])
def test_a_line_that_is_not_understood_is_said_and_the_others_count(sbom, debsecan, line):
    debsecan("CVE-2026-1 libssl3t64 (fixed)", line, "CVE-2026-2 bash")
    assert lines_of(debian_packages.look(read_list(sbom), "http://tracker/")) == [
        *FOUND,
        f"Debian packages of modelhost-app-a: NOT KNOWN: debsecan says what is not understood: {line!r}",
    ]


def test_a_list_that_cannot_be_compared_takes_nothing_from_the_others(tmp_path, sbom, debsecan, database):
    debsecan("CVE-2026-2 bash")
    sbom.with_name("a.cdx.json").write_text(sbom.read_text().replace('"version": "5.2.37-2"', '"more": 1'))
    sbom.with_name("b.cdx.json").write_text('{"components": [1]}')
    ended = run(tmp_path, "--osv", database(lambda _: b"{}"))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert "  CVE-2026-2 bash 5.2.37-2: no update yet" in ended.stdout
    assert ended.stdout.count("NOT KNOWN: ") == 2


def test_without_debsecan_it_is_said_how_to_have_it(sbom, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert debian_packages.look(read_list(sbom)).unknown == ["debsecan is not on this machine: apt install debsecan"]


@pytest.mark.parametrize("text", ["", "{}", '{"components": []}', "[" * 100_000, '{"components": [1]}'])
def test_a_list_that_is_none_is_refused(tmp_path, text):
    file = tmp_path / "a.cdx.json"
    file.write_text(text)
    with pytest.raises(UnreadableError, match=r"a\.cdx\.json is no list"):
        read_list(file)


@pytest.mark.parametrize(
    ("old", "new"), [('"5.2.37-2"', '"5\\nPackage: x"'), ('"bash"', '"\\u001b[2J"'), ('"bash"', "1")]
)
def test_what_cannot_be_a_package_is_refused(sbom, old, new):
    sbom.write_text(sbom.read_text().replace(old, new))
    with pytest.raises(UnreadableError) as refused:
        read_list(sbom)
    assert str(refused.value).isprintable()


def test_a_list_without_a_package_of_debian_shows_nothing(sbom):
    sbom.write_text(sbom.read_text().replace("pkg:deb/debian/", "pkg:deb/other/"))
    comparison = debian_packages.look(read_list(sbom))
    assert (comparison.compared, len(comparison.unknown)) == (0, 1)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROJECT / "tests/known_holes", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_a_list_names_beyond_the_lock_files_is_compared_too(tmp_path, sbom, database, debsecan):
    debsecan()
    content = json.loads(sbom.read_text())
    old = {"type": "library", "name": "old", "version": "1.0", "purl": "pkg:pypi/old@1.0"}
    sbom.write_text(json.dumps({**content, "components": [*content["components"], old]}))

    def answer(asked: bytes) -> bytes:
        known = json.loads(asked)["package"]["name"] == "old"
        return json.dumps(
            {"vulns": [json.loads(json.dumps(ADVISORY).replace("flask", "old"))]} if known else {}
        ).encode()

    ended = run(tmp_path, "--osv", database(answer))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Python packages of modelhost-app-a: 1 packages compared, 1 known holes" in ended.stdout


def test_what_could_not_be_listed_is_not_known(tmp_path, sbom, database, debsecan):
    debsecan()
    sbom.with_name("not-listed.txt").write_text("what is in image a is not listed: it hangs\n")
    ended = run(tmp_path, "--osv", database(lambda _: b"{}"))
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "images: NOT KNOWN: vm1: what is in image a is not listed: it hangs" in ended.stdout


def test_the_exit_code_tells_not_known_from_none_and_from_some(tmp_path, database):
    ended = run(tmp_path, "--osv", NOWHERE)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "`make sbom` writes them" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "NOT KNOWN: not all could be compared"
    ended = run(tmp_path, "--osv", database(osv))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "requirements.lock" in ended.stdout
    assert "server.lock" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "holes are known"
    assert run(tmp_path, "--what").returncode == 2


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=needs_debsecan)])
def test_where_all_is_compared_and_nothing_found_the_exit_code_is_0(tmp_path, sbom, database, request, real):
    nothing = zlib.compress(b"VERSION 1\n\n\n\n")
    if not real:
        request.getfixturevalue("debsecan")()
    ended = run(tmp_path, "--osv", database(lambda _: b"{}"), "--tracker", database(lambda _: nothing))
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "no hole is known"), ended.stdout + ended.stderr
