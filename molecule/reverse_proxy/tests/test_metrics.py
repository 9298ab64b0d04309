"""The app's metrics are for the machine itself and for whom the deployment names."""

import ipaddress
import json

import pytest
from proxied import address, ask, converge, deploy

pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?a=b", "/metrics/1", "/metrics/2"],
)
def test_an_outsider_is_refused_in_the_one_shape(path):
    answer = ask(path)
    assert answer.status == 403
    assert set(answer.told) == {"error", "field", "received", "expected", "example"}
    assert "reverse_proxy_metrics_allow" in answer.told["error"]


def test_no_header_of_a_client_leads_to_another_path():
    told = ask("/healthz", sent={"PATH_INFO": "/metrics", "SCRIPT_NAME": "/metrics"}).told
    assert told["path"] == "/healthz"
    assert not {"path_info", "script_name"} & set(told["headers"])


def test_the_machine_itself_reads_them_and_no_line_of_the_log_says_so(machine, mark, logged):
    read = "curl -s -H 'X-Request-ID: {}' http://{}{}"
    for local in ("127.0.0.1", "[::1]"):
        for path in ("/metrics", "/metrics/", "/metrics/1"):
            assert json.loads(machine(read.format(f"metrics-{mark}", local, path)))["path"] == "/metrics"
        assert "not there" in machine(read.format(f"second-{mark}", local, "/metrics/2")), "there is one replica"
    machine(read.format(f"other-{mark}", "127.0.0.1", "/"))
    assert logged(f"other-{mark}")["status"] == 200
    assert f"metrics-{mark}" not in machine("docker logs modelhost-proxy 2>/dev/null")


def test_whom_the_deployment_names_may_read_them():
    network = str(ipaddress.ip_network(f"{address()}/24", strict=False))
    deploy(reverse_proxy_metrics_allow=["192.0.2.1", network, "fd00:1::/64"])
    try:
        assert ask("/metrics").told["path"] == "/metrics"
    finally:
        deploy()
    assert ask("/metrics").status == 403


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"reverse_proxy_metrics_allow": ["10.0.0.0/8", "monitoring"]}, "must be a list of addresses and networks"),
        ({"reverse_proxy_metrics_allow": ["10.0.0.0/33"]}, "must be a list of addresses and networks"),
        ({"reverse_proxy_cache_mb": 4}, "must be 0 (nothing is cached), or from 8 to 4096 MB"),
        ({"reverse_proxy_cache_lock_milliseconds": 35000}, "must be from 1 to less than reverse_proxy_timeout_seconds"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_value_and_an_example(variables, said):
    run = converge(**variables)
    output = " ".join((run.stdout + run.stderr).split())
    ((name, value),) = variables.items()
    assert run.returncode != 0
    assert f"{name}: got {json.dumps(value)}".replace('"', '\\"') in output.replace('\\"', '"').replace('"', '\\"')
    assert said in output
    assert "for example" in output
