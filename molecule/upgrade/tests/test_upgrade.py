"""Whatever is patched, no client notices: not who keeps a connection, and not whose answer takes long."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import vm
from bundles import burden, burden_answer
from deploying import NAME, changes, on_host, play
from traffic import Load

# Longer than Docker and nginx give whom they stop by themselves.
LONG_SECONDS = 12
# A thread more than there are answers that take long.
LONG = {"release_timeout_seconds": 30, "release_threads": 4}
YESTERDAY = "20260101"
IMAGES = "docker image ls --format '{{.Repository}}:{{.Tag}}' --filter reference="
PROJECT_OF = "docker inspect --format '{{index .Config.Labels \"com.docker.compose.project\"}}' modelhost-proxy"
COMPOSE = "docker compose --file /srv/modelhost/proxy/compose.yml"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(burden(tmp_path_factory.mktemp("models")))


def trusting() -> ssl.SSLContext:
    """Whoever has signed it: the host itself has."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def asked(number: int, seconds: float) -> bytes:
    return json.dumps({"number": number, "seconds": seconds, "megabytes": 0}).encode()


def ask_for_long(stopping: threading.Event, failures: list[str]) -> int:
    """Ask for answers that take long, one after the other; returns how many came."""
    count = 0
    while not stopping.is_set():
        connection = http.client.HTTPSConnection(
            urlsplit(vm.https_address(NAME)).netloc, timeout=60, context=trusting()
        )
        try:
            connection.request("POST", "/", asked(count, LONG_SECONDS), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200 or str(burden_answer(count)).encode() not in said:
                failures.append(f"{answer.status} {said[:200]!r}")
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
        connection.close()
        count += 1
    return count


@contextmanager
def clients() -> Iterator[Load]:
    """Clients over HTTPS that keep their connections, that do not, and one whose answers take long. All get theirs."""
    stopping, failures = threading.Event(), []
    thread = threading.Thread(target=ask_for_long, args=(stopping, failures))
    load = Load(
        vm.https_address(NAME) + "/",
        body=asked(7, 0),
        expected=str(burden_answer(7)).encode(),
        pooled=6,
        fresh=2,
        rate=20,
        trusted=trusting(),
    )
    with load:
        thread.start()
        try:
            yield load
        finally:
            stopping.set()
            thread.join()
    report = load.report()
    print(report)
    assert report["failed"] == 0, report
    assert failures == []
    assert report["sent"] > 200


def run(playbook: str, model: str, *options: str, **variables: object) -> str:
    done = play(playbook, *options, release_models=[model], **LONG, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def proxies() -> list[str]:
    return on_host("docker ps --all --filter name=modelhost-proxy --format '{{.Names}}'").split()


def proxy() -> str:
    return on_host("docker inspect --format '{{.Id}}' modelhost-proxy").strip()


def today() -> str:
    return f"{datetime.now(UTC):%Y%m%d}"


def test_images_of_today_go_live_and_no_request_is_lost(model):
    run("site.yml", model, "--tags", "release,app_image")
    (base,) = on_host(f"{IMAGES}'modelhost-base:*'").split()
    old = base.replace(today(), YESTERDAY)
    on_host(f"docker tag {base} {old}; docker image rm {base}")
    # All that is built from now on stands on it.
    with clients():
        run("site.yml", model)
    assert on_host(f"{IMAGES}'modelhost-base:*'").split() == [old]
    before = proxy()
    with clients() as load:
        run("playbooks/upgrade.yml", model)
    assert on_host(f"{IMAGES}'modelhost-base:*'").split() == [base]
    assert proxy() != before
    assert proxies() == ["modelhost-proxy"]
    assert len(load.report()["releases"]) == 2, "the app has been released anew"


def test_a_second_upgrade_on_the_same_day_changes_nothing(model):
    assert changes(run("playbooks/upgrade.yml", model)) == 0
    assert changes(run("site.yml", model)) == 0


def test_the_engine_is_replaced_under_load(model):
    before = on_host("pidof dockerd containerd")
    with clients():
        on_host("DEBIAN_FRONTEND=noninteractive apt-get -qq install --reinstall docker.io containerd")
    assert on_host("pidof dockerd containerd") != before


def test_a_new_configuration_loses_no_request(model):
    before = proxy()
    with clients():
        run("site.yml", model, "--tags", "reverse_proxy", reverse_proxy_address_connections=300)
    assert proxy() == before, "a reload is enough"
    assert on_host("docker exec modelhost-proxy ls /tmp/leaving 2>&1 || true").endswith("No such file or directory\n")


def test_an_nginx_that_cannot_start_leaves_the_old_one_where_it_is(model):
    before = proxy()
    image = on_host("docker inspect --format '{{.Config.Image}}' modelhost-proxy").strip()
    base = on_host(f"{IMAGES}'modelhost-base:*'").strip()
    on_host(f"docker tag {image} kept:1; docker tag {base} {image}")
    changed = {"reverse_proxy_address_connections": 300, "reverse_proxy_memory_limit_mb": 80}
    with clients():
        done = play("site.yml", "--tags", "reverse_proxy", release_models=[model], **LONG, **changed)
    assert done.returncode, done.stdout
    assert "nginx: not found" in done.stdout
    assert "The nginx that was there goes on." in done.stdout
    assert (proxy(), proxies()) == (before, ["modelhost-proxy"])
    on_host(f"docker tag kept:1 {image}; docker image rm kept:1")
    with clients():
        run("site.yml", model, "--tags", "reverse_proxy", **changed)
    assert proxy() != before
    assert changes(run("site.yml", model, "--tags", "reverse_proxy", **changed)) == 0


@pytest.mark.parametrize("both", [False, True], ids=["before the new one runs", "while both run"])
def test_a_run_that_is_killed_while_one_makes_way_is_made_good_by_the_next(model, both):
    run("site.yml", model, "--tags", "reverse_proxy")
    with clients():
        project = on_host(PROJECT_OF).strip()
        on_host("docker rename modelhost-proxy modelhost-proxy-leaving")
        if both:
            other = "modelhost-proxy" if project.endswith("-next") else "modelhost-proxy-next"
            on_host(f"{COMPOSE} --project-name {other} up --detach --wait 2>&1")
        run("site.yml", model, "--tags", "reverse_proxy")
        assert proxies() == ["modelhost-proxy"]
    assert changes(run("site.yml", model, "--tags", "reverse_proxy")) == 0
    assert (on_host(PROJECT_OF).strip() != project) == both


def test_a_client_that_keeps_its_connection_is_told_when_to_come_back_by_a_new_one():
    def asking(connection: http.client.HTTPSConnection, path: str) -> tuple[int, str | None]:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Connection"]

    def connected() -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(urlsplit(vm.https_address(NAME)).netloc, timeout=10, context=trusting())

    def statuses() -> list[int]:
        found = []
        for path in paths:
            with closing(connected()) as connection:
                found.append(asking(connection, path)[0])
        return found

    # What only nginx itself may go to stays that way, and no path becomes another one.
    paths = ["/.errors/429", "/.leaving/healthz", "/models/a%0Ab/predict", "/models/a%20b/x?y=%2F", "//healthz"]
    before = statuses()
    kept = connected()
    assert asking(kept, "/healthz") == (200, "keep-alive")
    on_host("docker exec modelhost-proxy touch /tmp/leaving")
    try:
        assert asking(kept, "/healthz") == (200, "close")
        assert statuses() == before
        assert before[:2] == [404, 404]
    finally:
        on_host("docker exec modelhost-proxy rm /tmp/leaving")
    assert asking(kept, "/healthz") == (200, "keep-alive")
    kept.close()
