"""nginx answers for itself where the app cannot, in the app's one shape of an error; a reload is enough for it."""

import json
import time

import pytest
from proxied import converge

SHAPE = {"error", "field", "received", "expected", "example"}


def curl(host, *options: str) -> tuple[int, dict]:
    answer = host.check_output("curl -s -w '\\n%{http_code}' " + " ".join(options) + " http://127.0.0.1/")
    body, status = answer.rsplit("\n", 1)
    return int(status), json.loads(body)


def started_at(host) -> str:
    return host.check_output("docker inspect --format '{{.State.StartedAt}}' modelhost-proxy")


def test_without_an_app_the_answer_is_502_and_says_what_to_do(host):
    status, answer = curl(host)
    assert status == 502
    assert set(answer) == SHAPE
    assert "send the request again" in answer["error"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--data-binary @/tmp/large", 413),
        ("-H X-Long:$(head -c 40000 /dev/zero | tr '\\0' x)", 431),
        ("--request-target /$(head -c 40000 /dev/zero | tr '\\0' x)", 414),
        ("-H Content-Length:twelve", 400),
    ],
)
def test_what_nginx_refuses_itself_has_the_apps_shape(host, options, expected):
    host.check_output("head -c 4300000 /dev/zero > /tmp/large")
    status, answer = curl(host, options)
    assert status == expected
    assert set(answer) == SHAPE


def test_the_health_address_is_for_the_machine_itself(host):
    assert json.loads(host.check_output("curl -s http://127.0.0.1/nginx-healthz"))["status"] == "ok"
    address = host.check_output("hostname -I").split()[0]
    assert host.check_output("curl -s -o /dev/null -w '%%{http_code}' http://%s/nginx-healthz", address) == "403"


def test_the_version_of_nginx_is_not_told(host):
    headers = host.check_output("curl -si http://127.0.0.1/").splitlines()
    assert "Server: nginx" in [line.strip() for line in headers]


def test_a_new_setting_is_taken_by_a_reload_and_not_by_a_restart(host):
    before = started_at(host)
    body = "--data-binary @/usr/bin/perl"  # between 1 and 4 MB
    assert curl(host, body)[0] == 502
    assert converge(reverse_proxy_body_limit_mb=1).returncode == 0
    assert curl(host, body)[0] == 413, "the run has ended before nginx has followed"
    assert converge().returncode == 0
    assert curl(host, body)[0] == 502
    assert started_at(host) == before


def test_a_reload_that_a_killed_run_has_lost_is_made_by_the_next(host):
    conf, reload = "/srv/modelhost/proxy/conf/nginx.conf", "docker exec modelhost-proxy nginx -s reload"
    before = started_at(host)
    host.check_output(
        f"cp {conf} /tmp/written && sed -i 's/\\(configuration\":\"\\)[0-9a-f]*/\\1another run/' {conf} && {reload}"
    )
    deadline = time.monotonic() + 10
    while "another run" not in host.check_output("curl -s http://127.0.0.1/nginx-healthz"):
        assert time.monotonic() < deadline, "nginx does not run with the other one"
        time.sleep(0.2)
    # As a run that was killed right after it wrote the file leaves it.
    host.check_output(f"cp /tmp/written {conf}")
    run = converge()
    assert run.returncode == 0, run.stdout
    assert "another run" not in host.check_output("curl -s http://127.0.0.1/nginx-healthz")
    assert started_at(host) == before
    assert "changed=0" in converge().stdout


def test_an_nginx_that_a_restarted_engine_does_not_know_yet_is_left_alone(host):
    ask = "docker inspect --format '{{.Id}} {{.State.Health.Status}}' modelhost-proxy"
    container = host.check_output(ask).split()[0]
    seen = host.check_output(f"systemctl restart docker && {ask}")
    assert seen == f"{container} starting", "the engine knows it already"
    run = converge()
    assert run.returncode == 0, run.stdout
    assert "changed=0" in run.stdout
    assert host.check_output(ask) == f"{container} healthy"


def test_a_configuration_that_nginx_refuses_never_replaces_the_one_that_works(host):
    before = host.check_output("sha256sum /srv/modelhost/proxy/conf/nginx.conf")
    run = converge(__reverse_proxy_errors={"502": "it's a quote that ends nginx's string"})
    assert run.returncode != 0
    assert "failed to validate" in run.stdout
    assert host.check_output("sha256sum /srv/modelhost/proxy/conf/nginx.conf") == before
    assert curl(host)[0] == 502
