"""A canary has its share while it does well, and gives it back at once where it does not."""

import json
import os
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from test_release import release

from modelhostctl.checks.access_log import logged
from modelhostctl.checks.limits import HealthLimits, Seen
from modelhostctl.checks.memory import PlanPolicy
from modelhostctl.errors import GateError, StepError
from modelhostctl.host.docker import Container
from modelhostctl.host.host import Host
from modelhostctl.host.layout import Layout
from modelhostctl.steps import canary as canaries
from modelhostctl.steps import watch
from modelhostctl.steps.canary import canary
from modelhostctl.steps.outcome import refuse
from modelhostctl.steps.plan import make, plan_rollback
from modelhostctl.steps.start import start
from modelhostctl.steps.step import Step
from modelhostctl.steps.switch import switch
from modelhostctl.store.canary_link import current, stop
from modelhostctl.store.release import Record
from modelhostctl.store.settings import Settings
from modelhostctl.view.state import State

MINE = Settings(app_uid=os.getuid(), proxy_gid=os.getgid(), drain_seconds=0, stop_seconds=0)
OLD, NEW = release(), release(settings={"workers": 1, "threads": 8})


def container(colour: str, of: str, **more: object) -> Container:
    known = {"number": 1, "id": colour, "image": "i", "status": "running", "health": "healthy", "pid": 1, "restarts": 0}
    rest_of_it = {"exit_code": 0, "killed_for_memory": False, "started": "", "memory_limit_mb": 512}
    return Container(**(known | rest_of_it | {"colour": colour, "release": of} | more))


@dataclass
class Docker:
    """Two containers, and nginx's log."""

    blue: Container = field(default_factory=lambda: container("blue", OLD.id))
    green: Container = field(default_factory=lambda: container("green", NEW.id))
    log: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def containers(self) -> list[Container]:
        return [self.blue, self.green]

    def proxy_log(self, since: float) -> list[str]:
        return self.log

    def images(self, name: str) -> list[str]:
        return [OLD.image]

    def stop(self, containers: tuple[Container, ...], seconds: int) -> None:
        (one,) = containers
        self.stopped.append(f"{one.colour}, canary -> {os.readlink(self.canary)}")

    def logs(self, name: str, lines: int) -> list[str]:
        return []

    def start(self, compose_file: Path, release: str, colour: str, memory_limit_mb: int | None = None) -> None:
        pass


@pytest.fixture
def layout(tmp_path):
    """A host on which blue is live, and has passed."""
    layout = Layout(tmp_path)
    for way in (f"blue-{OLD.id}", f"green-{NEW.id}"):
        (layout.run / way).mkdir(parents=True)
    (tmp_path / "golden.json").write_text(json.dumps([{"inputs": {"a": 1}, "outputs": {"p": 1}}]))
    for one in (OLD, NEW):
        bundle = {"folder": str(tmp_path), "golden": "golden.json", "tolerance": 0, "version": 1, "name": "iris"}
        content = {"image": one.image, "settings": one.settings, "compose": one.compose}
        record = Record.of(layout, one.id)
        record.write(type(one).of(content | {"bundles": [bundle | {"digest": "d", "bytes": 1}]}))
    Record.of(layout, OLD.id).mark_passed()
    layout.active.symlink_to(f"blue-{OLD.id}")
    layout.canary.symlink_to("active")
    return layout


LIMITS = HealthLimits(seconds=1, errors_percent=1, latency_ms=300)
GREEN = f"green-{NEW.id}"


def test_the_share_stays_with_a_release_that_does_well_until_the_switch(layout, serve, monkeypatch):
    asked = []

    def answer(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        asked.append((headers["X-Canary"], os.readlink(layout.canary)))
        return 200, NEW.id, b"{}"

    url, said = serve(answer, headers=True), []
    monkeypatch.setattr("modelhostctl.steps.watch.SECONDS_BETWEEN_LINES", 1)
    assert canary(Host(layout, Docker()), NEW.id, url, LIMITS, said.append)["requests"] >= 4
    assert said == ["canary: 4 requests, 0 s to go"], "it is not silent while it lasts"
    assert set(asked) == {("always", GREEN)}
    assert (os.readlink(layout.canary), current(layout)) == (GREEN, NEW.id)
    switch(Host(layout, Docker()), NEW.id, "", 1, check_mode=False)
    assert (os.readlink(layout.active), os.readlink(layout.canary), current(layout)) == (GREEN, "active", "")


def test_what_was_seen_of_a_canary_and_after_the_switch_is_reported_in_words(layout, serve):
    host = Host(layout, Docker())
    url = serve(lambda path, body: (200, NEW.id, b"{}"))
    settings = replace(MINE, url=url, canary_percent=10, canary_seconds=1, watch_seconds=1)
    step = Step({"release": NEW.id, "rollback": False, "lock": ""}, settings, host)
    words = r"[4-9] requests, 95 % of them answered within \d+\.\d ms"
    (seen,) = canaries.run(step)["progress"]
    assert re.fullmatch(words, seen)
    switch(host, NEW.id, "", 1, check_mode=False)
    (seen,) = watch.run(step)["progress"]
    assert re.fullmatch(words, seen)


def test_a_canary_that_fails_is_refused_and_its_share_goes_back_before_anything_else(layout, serve):
    asked = []

    def answer(path: str, body: bytes) -> tuple[int, str, bytes]:
        asked.append(path)
        return (200 if path == "/healthz" else 500), NEW.id, b"{}"

    with pytest.raises(GateError, match=r"canary, error rate: expected at most 1 % .* answered with 5xx"):
        canary(Host(layout, Docker()), NEW.id, serve(answer), LIMITS)
    assert current(layout) == ""


@pytest.mark.parametrize(
    ("state", "said"), [({"restarts": 1}, "they ended 1 times"), ({"status": "exited"}, "one has ended")]
)
def test_a_canary_that_dies_is_refused_though_the_live_release_answers_for_it(layout, serve, state, said, monkeypatch):
    answers = serve(lambda path, body: (200, NEW.id, b"{}"))
    engine = Docker()

    def watched(*_: object, **__: object) -> dict[str, float]:
        engine.green = container("green", NEW.id, **state)
        return {}

    monkeypatch.setattr(canaries, "watch", watched)
    with pytest.raises(GateError, match=f"canary, running: expected its containers to run on, got {said}"):
        canary(Host(layout, engine), NEW.id, answers, LIMITS)
    assert current(layout) == ""


def test_an_nginx_that_knows_of_no_canary_is_told_and_not_the_releases_fault(layout, serve, monkeypatch):
    monkeypatch.setattr(canaries, "MOST_SECONDS_TO_FOLLOW", 0.1)
    with pytest.raises(StepError, match=r"nginx sends nothing to the canary .* Deploy everything, without --tags"):
        canary(Host(layout, Docker()), NEW.id, serve(lambda path, body: (200, OLD.id, b"{}")), LIMITS)
    assert current(layout) == ""


def test_a_canary_that_hangs_is_refused_though_nginx_logs_that_it_was_not_waited_for(layout, serve):
    def answer(path: str, body: bytes) -> tuple[int, str, bytes]:
        time.sleep(0 if path == "/healthz" else 3)
        return 200, NEW.id, b"{}"

    line = {"status": 499, "upstream_seconds": 2.0, "release": "", "canary": "answered"}
    limits = HealthLimits(seconds=4, errors_percent=1, latency_ms=300)
    with pytest.raises(GateError, match="canary, error rate"):
        canary(Host(layout, Docker(log=[json.dumps(line)] * 2)), NEW.id, serve(answer), limits)
    assert current(layout) == ""


def test_of_nginx_log_only_what_went_the_canarys_way_counts_and_what_it_lost_is_an_error():
    def line(**entry: object) -> str:
        return json.dumps({"status": 200, "upstream_seconds": 0.01, "release": "new", "canary": "answered"} | entry)

    lines = [
        line(), line(status=500), line(release="old", canary="lost"), line(release="", status=504),
        line(release="old"),  # over a connection that nginx kept from before
        line(canary=""), line(release="", status=502, canary=""), line(release="", status=502, canary="lost"),
        json.dumps({"status": 200, "upstream_seconds": 0.01, "release": "new"}),
    ]  # fmt: skip
    seen = [Seen(200, 0.01), Seen(500, 0.01), Seen(0, 0.0), Seen(504, 0.01), Seen(0, 0.0)]
    assert logged(lines, "new", 300, canary=True) == seen


@pytest.mark.parametrize(
    ("blue", "passed", "due"),
    [({}, True, True), ({"status": "exited"}, True, False), ({}, False, False), ({"release": NEW.id}, True, False)],
)
def test_there_is_a_canary_only_beside_another_release_that_runs_and_has_passed(layout, blue, passed, due):
    if not passed:
        Record.of(layout, OLD.id).mark_rejected({"gate": "latency"})
    engine = Docker(blue=container("blue", blue.pop("release", OLD.id), **blue))
    assert State.read(Host(layout, engine)).has_healthy_baseline(NEW.id) is due


def test_the_next_run_drains_and_stops_the_canary_of_a_killed_one_after_its_share_went_back(layout):
    engine = Docker()
    engine.canary = layout.canary
    layout.canary.unlink()
    layout.canary.symlink_to(GREEN)
    third = release(settings={"workers": 3, "threads": 8})
    Record.of(layout, third.id).write(third)
    start(Host(layout, engine), third.id, False, MINE, "ada")
    assert engine.stopped == ["green, canary -> active"]


def test_a_release_that_is_refused_elsewhere_has_no_share_any_more(layout):
    engine = Docker()
    engine.canary = layout.canary
    layout.canary.unlink()
    layout.canary.symlink_to(GREEN)
    refuse(Host(layout, engine), NEW.id, GateError("ready", "it to be ready", "not"), "ada", MINE)
    assert engine.stopped == ["green, canary -> active"]


ROOM = PlanPolicy(memory_reserve_mb=0, allow_stop_first=False, keep_old_running=True)


def test_a_plan_says_that_there_will_be_a_canary(layout, monkeypatch):
    monkeypatch.setattr("modelhostctl.view.replicas.used_memory_mb", lambda pid: 1)
    third, words = release(settings={"workers": 3}), "canary: 10 % of the requests for 60 s"
    assert make(Host(layout, Docker()), third, ROOM, [words]).words.endswith(f"; {words}")
    assert "canary" not in make(Host(layout, Docker()), third, ROOM).words
    first = Docker(blue=container("blue", OLD.id, status="exited"))
    assert "canary" not in make(Host(layout, first), third, ROOM, [words]).words


def test_a_canary_that_was_left_is_still_to_be_ended(layout):
    Record.of(layout, NEW.id).mark_passed()
    assert plan_rollback(Host(layout, Docker()), OLD.id, ROOM).todo is False
    layout.canary.unlink()
    layout.canary.symlink_to(GREEN)
    plan = plan_rollback(Host(layout, Docker()), OLD.id, ROOM)
    assert plan.todo
    assert f"the canary of release {NEW.id} has still to be ended" in plan.words


def test_where_nothing_is_tried_nothing_is_to_be_ended(layout):
    assert stop(layout) is False
    layout.canary.unlink()
    assert stop(layout) is False
    assert current(layout) == ""
