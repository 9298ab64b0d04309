"""Whatever becomes of one of two replicas under load, no request is lost; and both are replaced together."""

import json
import re
import time
import urllib.error
import urllib.request

import pytest
from bundles import at_call, bundle
from deploying import changes, deploy, live, load, on_host, play, url

# The health check looks every ten seconds, and killing what it finds takes a moment.
NOTICED_SECONDS = 15
# An index that no golden example has.
POISON = b'{"index": 3}'
# Time enough for a request that has waited for a replica that hangs.
TWO = {"release_replicas": 2, "release_timeout_seconds": 30}


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A version that one request kills the worker of."""
    code = at_call('inputs["index"].max() == 3 and os.kill(os.getpid(), 9)')
    return bundle(tmp_path_factory.mktemp("models"), 2, code)


def names() -> list[str]:
    """The live containers."""
    colour = on_host("readlink /srv/modelhost/run/active").strip().partition("-")[0]
    return sorted(on_host(f"docker ps --filter name=modelhost-{colour} --format '{{{{.Names}}}}'").split())


def process(container: str) -> int:
    """The first process of a container, as the machine numbers it: with it all others end."""
    return int(on_host(f"docker inspect --format '{{{{.State.Pid}}}}' {container}"))


def children(number: int) -> list[int]:
    return [int(child) for child in on_host(f"cat /proc/{number}/task/{number}/children").split()]


def everything(container: str) -> list[int]:
    """Init, Gunicorn's master and the workers."""
    (master,) = children(process(container))
    return [process(container), master, *children(master)]


def wait_until_well(before: dict[str, int], changed: str = "") -> float:
    """Until each replica runs and is healthy, and `changed` has another process; returns the seconds."""
    begun = time.monotonic()
    form = "{{.State.Health.Status}} {{.State.Pid}}"
    while True:
        states = {name: on_host(f"docker inspect --format '{form}' {name}").split() for name in before}
        replaced = not changed or int(states[changed][1]) not in {0, before[changed]}
        if replaced and all(health == "healthy" for health, _ in states.values()):
            return time.monotonic() - begun
        assert time.monotonic() - begun < 60, on_host("docker ps --all; docker logs --tail 20 modelhost-blue-2 2>&1")
        time.sleep(0.2)


def nothing_was_lost(clients) -> dict:
    report = clients.report()
    print(report)
    assert report["failed"] == 0, report
    assert report["sent"] > 100
    return report


def proxy() -> str:
    """What tells whether nginx was recreated or reloaded: its container, and its workers."""
    return on_host("docker inspect --format '{{.Id}} {{.State.StartedAt}}' modelhost-proxy; pgrep -x nginx")


def test_a_second_replica_comes_without_a_lost_request_even_where_there_was_no_such_thing():
    proxy_before = proxy()
    # What is live may have been deployed before there were replicas: then nobody has the second turn.
    on_host("rm /srv/modelhost/run/active/second.sock")
    with load() as clients:
        printed = deploy(**TWO)
    nothing_was_lost(clients)
    assert "settings: replicas 1 -> 2" in printed
    first, other = names()
    assert other == f"{first}-2"
    assert proxy() == proxy_before, "nginx is neither recreated nor reloaded"
    assert changes(deploy(**TWO)) == 0
    told = play("playbooks/status.yml", **TWO).stdout
    for name in (first, other):
        assert f"live: release {live()} on {name.removeprefix('modelhost-')}, running (healthy)" in told


def test_each_replica_has_its_metrics_and_both_have_their_turn():
    with load(rate=25) as clients:
        time.sleep(2)
    nothing_was_lost(clients)
    time.sleep(1.5)  # a worker writes its counts every second
    counted = []
    for path in ("/metrics/1", "/metrics/2", "/metrics"):
        ask = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1{path}').read().decode())"
        told = on_host(f'python3 -c "{ask}"')
        counted.append(sum(map(float, re.findall(r"^modelhost_requests_total\{.* (\S+)$", told, re.MULTILINE))))
    first, other, plain = counted
    assert first > 80
    assert other > 80
    assert plain == first, "a scrape never shows one replica and then the other"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{url()}/metrics/2", timeout=5)


@pytest.mark.parametrize(
    ("number", "what", "which"),
    [
        (0, "everything in the container", slice(None)),
        (1, "everything in the container", slice(None)),
        (0, "Gunicorn's master", slice(1, 2)),
        (1, "a worker", slice(2, 3)),
    ],
)
def test_no_request_is_lost_where_is_killed(number, what, which):
    before = {name: process(name) for name in names()}
    killed = names()[number]
    victims = everything(killed)[which]
    with load() as clients:
        time.sleep(1)
        # With the first of them the others may be gone already.
        on_host(f"kill -KILL {' '.join(map(str, victims))} || true")
        seconds = wait_until_well(before, "" if what == "a worker" else killed)
        time.sleep(1)
    report = nothing_was_lost(clients)
    assert report["worst_gap_seconds"] < 0.5
    print(f"well again after {seconds:.1f} s")
    time.sleep(11)  # a container that ends within ten seconds of its start is started later and later


def test_no_request_is_lost_while_a_replica_hangs_with_all_its_processes():
    before = {name: process(name) for name in names()}
    stopped = names()[0]
    with load() as clients:
        time.sleep(1)
        on_host(f"kill -STOP {' '.join(map(str, everything(stopped)[1:]))}")
        seconds = wait_until_well(before, stopped)
    nothing_was_lost(clients)
    print(f"noticed and replaced after {seconds:.1f} s")
    assert seconds < NOTICED_SECONDS


def test_a_replica_that_was_removed_is_noticed_by_the_next_deployment_and_started():
    on_host(f"docker rm --force {names()[1]}")
    assert "1 of 2 replicas are there" in play("playbooks/status.yml", **TWO).stdout
    before = live()
    with load() as clients:
        printed = deploy(**TWO)
    nothing_was_lost(clients)
    assert f"release {before} is live, but not as it should be" in printed
    assert live() == before
    assert len(names()) == 2


def test_a_release_of_replicas_loses_nothing_and_neither_does_the_way_back(second):
    before = live()
    with load() as clients:
        deploy(second, **TWO)
        assert len(names()) == 2
        back = play("playbooks/rollback.yml")
        assert back.returncode == 0, back.stdout
        deploy(second, **TWO)
    report = nothing_was_lost(clients)
    assert set(report["releases"]) == {before, live()}


def test_a_request_that_kills_its_worker_is_tried_twice_and_no_oftener():
    def killed() -> int:
        logs = "; ".join(f"docker logs {name} 2>&1" for name in names())
        return on_host(logs).count("was sent SIGKILL")

    assert killed() == 0
    with load(rate=20) as clients:
        time.sleep(1)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(urllib.request.Request(url() + "/", POISON), timeout=30)
        time.sleep(3)
    assert json.loads(error.value.read())["error"].startswith("The model server is not there")
    assert killed() == 2
    report = clients.report()
    # One that was beside it in both workers would have been tried twice as well.
    assert report["failed"] <= 1, report
    assert report["worst_gap_seconds"] < 0.5


def test_the_second_replica_goes_without_a_lost_request(second):
    proxy_before = proxy()
    with load() as clients:
        deploy(second, **TWO | {"release_replicas": 1})
        assert len(names()) == 1
        deploy(second, **TWO)
    nothing_was_lost(clients)
    assert len(names()) == 2
    assert proxy() == proxy_before
    both = on_host("docker ps --filter label=modelhost.release --format '{{.Names}}'").split()
    assert sorted(both) == names(), "nothing else is left running"
