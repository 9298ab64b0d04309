"""The endpoint comes back by itself after whatever it stands on is restarted."""

import json
import os
import ssl
import subprocess
import time
import urllib.request

NAME = "modelhost-" + os.environ["MOLECULE_SCENARIO_NAME"]
SECONDS = 60
LOGS = "docker ps --all; docker logs --tail 20 modelhost-blue; docker logs --tail 20 modelhost-proxy"


def answers() -> bool:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = subprocess.check_output(["docker", "inspect", "--format", form, NAME], text=True).strip()
    request = urllib.request.Request(f"https://{address}/", b'{"index": 2}')
    try:
        # test_site.py asks whether its certificate is right.
        with urllib.request.urlopen(request, timeout=5, context=ssl._create_unverified_context()) as answer:
            return json.load(answer)["prediction"] == {"colour": "blue"}
    except (OSError, ValueError):
        return False


def seconds_until_it_answers() -> float:
    begun = time.monotonic()
    while not answers():
        assert time.monotonic() - begun < SECONDS, subprocess.getoutput(f"docker exec {NAME} sh -c '{LOGS}'")
        time.sleep(0.2)
    return time.monotonic() - begun


def test_it_answers_after_its_containers_are_restarted(host):
    for container in ("modelhost-blue", "modelhost-proxy"):
        host.check_output("docker restart %s", container)
        seconds_until_it_answers()


def test_it_goes_on_answering_while_the_engine_is_restarted(host):
    before = host.check_output("docker inspect --format '{{.State.StartedAt}}' modelhost-blue modelhost-proxy")
    host.check_output("systemctl restart docker")
    assert answers()
    # live-restore: the containers were not even restarted.
    assert host.check_output("docker inspect --format '{{.State.StartedAt}}' modelhost-blue modelhost-proxy") == before


def test_it_answers_after_the_machine_is_restarted():
    subprocess.run(["docker", "restart", "--time", "60", NAME], check=True, capture_output=True)
    seconds_until_it_answers()
