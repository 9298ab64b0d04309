"""After runs that were killed and one that was not, the endpoint is as if nothing had happened."""

import json


def test_every_container_is_healthy(host):
    states = host.check_output("docker ps --all --format '{{.Names}} {{.Status}}'").splitlines()
    assert {line.split()[0] for line in states} == {"modelhost-blue", "modelhost-proxy"}
    assert all("(healthy)" in line for line in states)


def test_every_model_answers(host):
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1/readyz').read().decode())"
    answer = json.loads(host.check_output(f'python3 -c "{ask}"'))
    assert answer["ready"] is True
    assert {model["name"] for model in answer["models"]} == {"colours", "iris", "digits"}


def test_no_half_installed_package_is_left(host):
    assert host.check_output("dpkg --audit") == ""
