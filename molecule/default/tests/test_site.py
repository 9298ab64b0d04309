"""What a deployed host does and does not do, seen from outside it and from inside."""

import json
import os
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

NAME = "modelhost-" + os.environ["MOLECULE_SCENARIO_NAME"]
BUNDLES = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "models"
OPEN_PORTS = {22, 80, 443}


def addresses() -> list[str]:
    """The machine's addresses on its network, IPv4 and IPv6, as an outsider would use them."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
    return subprocess.check_output(["docker", "inspect", "--format", form, NAME], text=True).split()


def trusted() -> ssl.SSLContext:
    """A CA of the machine's own has signed its certificate, for the addresses that it is asked at."""
    authority = "/srv/modelhost/proxy/certificate-authority/ca.pem"
    return ssl.create_default_context(
        cadata=subprocess.check_output(["docker", "exec", NAME, "cat", authority], text=True)
    )


def post(path: str, body: bytes, address: str | None = None) -> tuple[int, dict]:
    host = address or addresses()[0]
    url = f"https://{f'[{host}]' if ':' in host else host}{path}"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10, context=trusted()) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def inspect(host, container: str) -> dict:
    return json.loads(host.check_output("docker inspect %s", container))[0]


def scan(address: str) -> set[int]:
    """Try to connect to every TCP port of an address; return those that accept."""
    found = set()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in range(1, 65536):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((address, port)) == 0:
                found.add(port)
    return found


@pytest.mark.parametrize("address", addresses())
def test_colours_answers_blue_through_nginx(address):
    assert post("/", b'{"index": 2}', address)[1]["prediction"] == {"colour": "blue"}


@pytest.mark.parametrize("model", ["colours", "iris", "digits", "churn"])
def test_each_model_answers_its_golden_examples(model):
    for example in json.loads((BUNDLES / model / "1" / "golden.json").read_text()):
        status, answer = post(f"/models/{model}/predict", json.dumps(example["inputs"]).encode())
        assert status == 200
        for name, expected in example["outputs"].items():
            nearly = pytest.approx(expected, abs=1e-4) if name == "probabilities" else expected
            assert answer["prediction"][name] == nearly


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("/v2/models/colours/infer", {"inputs": [{"name": "index", "shape": [1], "datatype": "INT64", "data": [2]}]},
         lambda answer: answer["outputs"][0]["data"]),
        ("/v1/models/colours:predict", {"instances": [{"index": 2}]}, lambda answer: answer["predictions"]),
        ("/invocations", {"dataframe_records": [{"index": 2}]}, lambda answer: answer["predictions"]),
        ("/models/colours/predict", {"records": [{"index": 2}]}, lambda answer: answer["predictions"]),
    ],
)  # fmt: skip
def test_every_protocol_passes_the_proxy(path, body, found):
    status, answer = post(path, json.dumps(body).encode())
    assert status == 200, answer
    assert "blue" in json.dumps(found(answer))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"index": "x"}', "index must be an integer from 0 to 4"),
        (b'{"index": 99}', "index must be an integer from 0 to 4"),
        (b"{}", "index is missing"),
        (b"not json", "The body is not JSON"),
    ],
)
def test_a_wrong_body_is_told_what_to_send_instead(body, said):
    status, answer = post("/", body)
    assert 400 <= status < 500
    assert said in answer["error"]
    assert answer["example"] == {"index": 2}


def test_a_body_over_the_limit_is_refused_by_the_proxy_in_the_same_shape():
    status, answer = post("/", b"x" * 4_200_000)
    assert status == 413
    assert set(answer) == set(post("/", b"{}")[1])


@pytest.mark.parametrize("address", addresses())
def test_nothing_but_ssh_and_nginx_is_reachable_from_outside(address):
    assert scan(address) == OPEN_PORTS


def test_nothing_else_listens_inside(host):
    listeners = [line.split() for line in host.check_output("ss -Hltun").splitlines()]
    # 127.0.0.11 is the resolver that the machine's own container gets; a real machine has none.
    ports = {(line[0], int(line[4].rsplit(":", 1)[1])) for line in listeners if not line[4].startswith("127.0.0.11:")}
    assert ports == {("tcp", 22), ("tcp", 80), ("tcp", 443)}


def test_the_app_has_no_network(host):
    app = inspect(host, "modelhost-blue")
    assert app["HostConfig"]["NetworkMode"] == "none"
    interfaces = host.check_output("nsenter --target %s --net ip -brief link", str(app["State"]["Pid"]))
    assert [line.split()[0] for line in interfaces.splitlines()] == ["lo"]


def test_nobody_but_nginx_may_open_the_apps_socket(host):
    live = host.file("/srv/modelhost/run/active").linked_to
    for path, group, mode in (("/srv/modelhost/run", 10002, "0o750"), (live, 10001, "0o1771")):
        folder = host.file(path)
        assert (folder.uid, folder.gid, oct(folder.mode)) == (0, group, mode)
    ask = "import socket; socket.socket(socket.AF_UNIX).connect('/srv/modelhost/run/active/server.sock')"
    attempts = {
        user: host.run(f'setpriv --reuid {user} --regid {user} --clear-groups python3 -c "{ask}"')
        for user in (10002, 65534)
    }
    assert attempts[10002].rc == 0
    assert "Permission denied" in attempts[65534].stderr


@pytest.mark.parametrize(("container", "uid"), [("modelhost-blue", 10001), ("modelhost-proxy", 10002)])
def test_every_process_is_without_root_and_without_capabilities(host, container, uid):
    pids = host.check_output("docker top %s -eo pid", container).split()[1:]
    # A health check that was just running may have ended since.
    found = [host.run("cat /proc/%s/status", pid) for pid in pids]
    statuses = [status.stdout for status in found if status.rc == 0]
    assert len(statuses) >= 2
    for status in statuses:
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(uid)] * 4
        assert {fields[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}
        assert fields["NoNewPrivs"] == "1"


@pytest.mark.parametrize("container", ["modelhost-blue", "modelhost-proxy"])
def test_the_root_file_system_is_read_only(host, container):
    write = host.run("docker exec --user 0 %s touch /written", container)
    assert write.rc != 0
    assert "Read-only file system" in write.stderr


@pytest.mark.parametrize(("container", "pids"), [("modelhost-blue", 256), ("modelhost-proxy", 64)])
def test_memory_and_processes_are_limited_where_the_kernel_counts_them(host, container, pids):
    # nginx: half as many processes as cores, and the room for bodies.
    nginx = 32 + 256 * ((int(host.check_output("nproc")) + 1) // 2) + 128
    megabytes = {"modelhost-blue": 512, "modelhost-proxy": nginx}[container]
    pid = str(inspect(host, container)["State"]["Pid"])
    groups = dict(line.split(":")[1:] for line in host.check_output("cat /proc/%s/cgroup", pid).splitlines())
    if "memory" in groups:
        memory = f"/sys/fs/cgroup/memory{groups['memory']}/memory.limit_in_bytes"
        processes = f"/sys/fs/cgroup/pids{groups['pids']}/pids.max"
    else:
        memory, processes = (f"/sys/fs/cgroup{groups['']}/{name}" for name in ("memory.max", "pids.max"))
    assert int(host.file(memory).content_string) == megabytes * 1024 * 1024
    assert int(host.file(processes).content_string) == pids


@pytest.mark.parametrize("container", ["modelhost-blue", "modelhost-proxy"])
def test_logs_cannot_fill_the_disk(host, container):
    log = inspect(host, container)["HostConfig"]["LogConfig"]
    assert log == {"Type": "local", "Config": {"max-file": "3", "max-size": "10m"}}


def test_root_cannot_log_in_any_more(host):
    config = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "testbed" / ".ssh" / "config"
    name = os.environ["MOLECULE_SCENARIO_NAME"]
    attempt = subprocess.run(
        ["ssh", "-F", config, "-o", "BatchMode=yes", "-l", "root", name, "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert attempt.returncode == 255
    assert "Permission denied" in attempt.stderr


def test_the_deploy_user_is_not_root_and_may_become_it(host):
    user = host.user("deploy")
    assert user.uid >= 1000
    assert host.check_output("sudo -u deploy sudo -n id -u") == "0"
