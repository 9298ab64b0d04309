"""`make launch`: from nothing to an endpoint that answers, with the seconds of each stage; or to what went wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml
from playing import PROJECT

# Instead of site.yml, which would deploy to the machine that runs these tests.
DEPLOY = [
    {
        "name": "Serve the models",
        "hosts": "modelhost",
        "gather_facts": False,
        "tasks": [{"name": "Log in", "raw": "true"}],
    }
]


@pytest.fixture
def endpoint() -> Iterator[tuple[int, list[Any]]]:
    """What a deployment would have brought up: its port, and what it was asked."""
    asked: list[Any] = []

    class Model(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200 if self.path == "/models/colours/predict" else 404)
            self.end_headers()
            self.wfile.write(b'{"prediction":{"colour":"blue"}}\n')

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


def launch(renting: Any, *options: str) -> subprocess.CompletedProcess[str]:
    """What `make launch NAME=models` runs, with these options."""
    (renting.folder / "deploy.yml").write_text(yaml.safe_dump(DEPLOY))
    command, process = renting.command("provision")
    script = [sys.executable, PROJECT / "testbed" / "launch.py", "--inventories", renting.folder / "my inventories"]
    handed_on = [*command[4:6], "--deploy", str(renting.folder / "deploy.yml")]
    return subprocess.run(
        [*script, *handed_on, *options, "models"], cwd=renting.folder, env=process, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_launch_ends_with_an_answer_and_the_seconds_of_each_stage(renting, endpoint):
    port, asked = endpoint
    variables = renting.inventory / "group_vars" / "modelhost.yml"
    variables.parent.mkdir(parents=True)
    wanted = {"release_models": ["models/colours/1"], "reverse_proxy_tls": "off", "reverse_proxy_http_port": port}
    variables.write_text(yaml.safe_dump(wanted))
    launched = launch(renting, "--yes")
    assert launched.returncode == 0, launched.stdout + launched.stderr
    took = launched.stdout.split("How long it took:\n")[1].split("\n\n")[0]
    assert re.findall(r"^ +\d+\.\d s  (.+)$", took, re.MULTILINE) == [
        "Look at what there is, and what it costs",
        "Make the machine",
        "Log in over SSH",
        "Serve the models",
        "in all",
    ]
    url = f"http://127.0.0.1:{port}/"
    assert f"  {url}: plain HTTP\n" in launched.stdout
    command = f"curl -X POST {url}models/colours/predict -H 'Content-Type: application/json' -d '{{\"index\": 2}}'"
    assert f"  {command}\n" in launched.stdout
    assert asked == [("/models/colours/predict", {"index": 2})]
    assert '{"prediction":{"colour":"blue"}}' in launched.stdout
    assert "`make unprovision NAME=models` gives it back" in launched.stdout


def test_a_launch_whose_endpoint_does_not_answer_from_here_fails_and_says_so(renting):
    variables = renting.inventory / "group_vars" / "modelhost.yml"
    variables.parent.mkdir(parents=True)
    wanted = {"release_models": ["models/colours/1"], "reverse_proxy_tls": "off", "reverse_proxy_http_port": 1}
    variables.write_text(yaml.safe_dump(wanted))
    launched = launch(renting, "--yes")
    assert launched.returncode == 1
    assert "launch: it does not answer that from here: curl: (7)" in launched.stderr


def test_a_launch_that_nobody_confirms_makes_nothing_and_says_what_failed(renting):
    launched = launch(renting)
    assert launched.returncode == 1
    assert "Nothing was made." in " ".join(launched.stdout.split())
    assert "launch: provision.yml failed; its output is above." in launched.stderr
    assert "How long it took:" in launched.stdout
    assert renting.api.labels() == []
