"""What is started is weighed whole and leaves nothing behind, and nginx's configuration stays the role's."""

import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from peers import ALL, BY_NAME, Command, Place
from places import PEERS, PROJECT
from proxy import of_role, over_tls
from servers import end, family, pss_mb, start


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path, 18080, 18081, "iris")


def test_children_count_even_in_a_session_of_their_own_and_all_end(place):
    process = start(Command(["sh", "-c", "setsid sleep 60 & sleep 60 & wait"]), place)
    try:
        until = time.monotonic() + 10
        while len(found := family(iter([process.pid]))) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(found) == 3
        assert all(pss_mb(pid) > 0 for pid in found)
    finally:
        end(process)
    until = time.monotonic() + 10
    while (left := [pid for pid in found if pss_mb(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left


@pytest.mark.parametrize("tls", [False, True])
def test_the_roles_nginx_touches_nothing_outside_its_folder(tls, tmp_path):
    config, socket = over_tls(tmp_path, 18080, 18081) if tls else of_role(tmp_path, 18080)
    text = config.read_text()
    paths = re.findall(r"(?<=[ :])/[^\s;]+", text)
    assert f"listen 18080{' ssl' * tls} " in text
    assert ("return 308" in text) == tls
    assert socket.is_relative_to(tmp_path)
    outside = [path for path in paths if re.match(r"/(tmp|run|var|srv|etc)/", path)]
    assert [path for path in outside if not Path(path).is_relative_to(tmp_path)] == []
    role = (PROJECT / "roles/reverse_proxy/templates/etc/nginx/conf.d/app.conf.j2").read_text()
    kept = yaml.safe_load((PROJECT / "roles/reverse_proxy/vars/main.yml").read_text())["__reverse_proxy_kept_seconds"]
    role = role.replace("{{ __reverse_proxy_kept_seconds }}", str(kept))
    ours, theirs = (
        re.findall(r"keepalive\w* .*;", one.partition("upstream app {")[2].partition("}")[0]) for one in (text, role)
    )
    assert ours == theirs


@pytest.mark.parametrize("environment", sorted({peer.environment for peer in ALL} - {"modelhost"}))
def test_every_environment_is_locked_with_one_scikit_learn_and_one_onnx_runtime(environment):
    lock = (PEERS / environment / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    engines = re.findall(r"^(?:scikit-learn|onnxruntime)==\S+", lock, re.MULTILINE)
    assert engines
    trained = (PROJECT / "bench/requirements.lock").read_text()
    served = (PROJECT / "app/locks/server.lock").read_text()
    for engine in engines:
        assert f"{engine} " in trained
        assert engine in (PEERS / "constraints.txt").read_text() if "scikit" in engine else f"{engine} " in served


def test_nginx_looks_for_calls_where_each_worker_listens(tmp_path):
    app, nginx = BY_NAME["modelhost-grpc"].commands(Place(tmp_path, 18080, 18081, "iris"))
    text = Path(nginx.words[2]).read_text()
    bind = app.variables["MODELHOST_GRPC_BIND"]
    assert f"server {bind}.0 " in text
    assert f"server {bind}.7 " in text
    assert Path(bind.removeprefix("unix:")).parent == Path(app.variables["MODELHOST_BIND"].removeprefix("unix:")).parent
    assert "listen 18080 ssl http2 " in text  # h2load says in its handshake that it wants no other
    assert "grpc_pass grpc://grpc_app;" in text


def test_peers_are_started_from_their_own_environments(place, tmp_path):
    for peer in ALL:
        folder = tmp_path / peer.name
        folder.mkdir()
        words = peer.commands(Place(folder, 18080, 18081, "iris"))[0].words
        assert f".cache/bench/{peer.environment}/bin/" in words[0]


def test_make_knows_every_environment():
    database = subprocess.run(
        ["make", "-pnq", "bench"], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout
    for environment in {peer.environment for peer in ALL} | {"tools"}:
        assert f".cache/bench/{environment}/complete" in database
