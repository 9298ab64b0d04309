"""A prediction wants more memory than the container may have."""

import http.client
import json
from urllib.parse import urlsplit

from scene import Fault, Scene

TOO_MANY_MB = 2000
# nginx tries a request once more, so that it may kill both workers: until they are back.
REPLACED_SECONDS = 10
BETWEEN_SECONDS = 8  # longer than a prediction may take, so that none is struck twice


def exhaust_memory(scene: Scene) -> None:
    """The kernel kills the worker; the rest of the machine must not feel it."""
    proxy = scene.machine.run("docker inspect --format '{{.State.StartedAt}}' modelhost-proxy")
    for _ in range(10 if scene.long else 2):
        scene.strikes()
        status = ask_for_too_much(scene.machine.url)
        scene.expect(status in {502, 503, 504}, f"a request for {TOO_MANY_MB} MB was answered with {status}")
        scene.expect(scene.machine.ssh("true", 10), "nobody can log in while memory is short")
        scene.recovered(30, scene.machine.ready)
        scene.pause(BETWEEN_SECONDS)
    after = scene.machine.run("docker inspect --format '{{.State.StartedAt}}' modelhost-proxy")
    scene.expect(proxy == after, "nginx was restarted")


def ask_for_too_much(url: str) -> int:
    """Ask the model burden for more memory than there is; returns the status."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    body = json.dumps({"number": 1, "seconds": 1.0, "megabytes": TOO_MANY_MB})
    try:
        connection.request("POST", "/models/burden/predict", body)
        return connection.getresponse().status
    finally:
        connection.close()


FAULTS = [
    Fault("memory", "memory exhausted in the container", exhaust_memory, cuts_off=True, away_seconds=REPLACED_SECONDS)
]
