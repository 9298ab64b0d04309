"""What the engine is given because of how images come: the proxy of the host, and registries without TLS.

It must not win over what somebody has said of the engine, and goes where it is not given any more, as by destroy.
"""

import base64
import json
import subprocess
from typing import Any

import pytest
import yaml
from playing import play
from rendering import PROJECT, evaluate, load
from test_found_engine import CE, IO, NONE, RUNS, choice, encoded, record

PROXY = "http://packages:s3cret%40word@10.0.0.5:3128"
PROXIES = {"outbound_http_proxy": PROXY}
# An engine that somebody else has set up, and one of ours.
OWNED = IO | RUNS | {"containers": "shop", "compose": "2.26", "buildx": "0.13"}
OURS = IO | {"managed": "yes", "active": "yes", "enabled": "yes"}
OWN = {"http-proxy": "http://user:own@other:1"}


def test_the_engine_pulls_through_the_proxy_and_nobody_sees_its_password():
    found = choice({}, outbound_http_proxy=PROXY, outbound_no_proxy=["registry"])
    assert found["settings"]["proxies"] == {"http-proxy": PROXY, "https-proxy": PROXY, "no-proxy": "registry"}
    assert found["may_be_shown"] is False
    assert "proxies" not in choice({})["settings"]
    owned = "{{ __docker_settings_owned }}"
    for variables, mode in (({}, "0644"), ({"outbound_http_proxy": PROXY}, "0600")):
        assert mode in evaluate("docker", owned, docker_choice=choice({}, **variables), **variables)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("wanted", ["http://packages:third@10.0.0.5:3128", PROXY, ""])
def test_a_run_that_is_killed_leaves_no_proxy_that_is_taken_for_its_owners(written, wanted):
    """Where another one is given, the record is written first, and the file may be the old one or the new one."""
    old = choice({}, outbound_http_proxy="http://packages:old@10.0.0.5:3128")
    new = choice(after(old), outbound_http_proxy=PROXY)
    killed = after({"text": (new if written else old)["text"], "record": new["record_before"]})
    found = choice(killed, outbound_http_proxy=wanted)
    assert found["settings"].get("proxies", {}).get("http-proxy", "") == wanted
    assert found["words"] == []
    assert "old" not in found["record"]
    # And again.
    twice = after({"text": (new if written else old)["text"], "record": found["record_before"]})
    if found["text"]:
        assert "proxies" not in choice(twice)["settings"]


@pytest.mark.parametrize("owned", ["root root 0644", "root root 0600"])
@pytest.mark.parametrize(
    "variables",
    [
        {"outbound_http_proxy": PROXY},
        {"docker_daemon_options": {"proxies": {"http-proxy": PROXY}}},
        {"docker_daemon_options": {"log-opts": {"splunk-token": "x"}}},
        {},
    ],
)
def test_settings_with_a_secret_become_roots_where_they_have_it_already(owned, variables):
    seen = after(choice({}, **variables)) | {"settings_owned": owned}
    task = next(task for task in load("docker", "tasks/set.yml") if "for root alone" in task["name"])
    chosen = choice(seen, **variables)
    assert chosen["text"] == ""
    holds = evaluate("docker", f"{{{{ {task['when']} }}}}", docker_seen=NONE | seen, docker_choice=chosen)
    assert holds == str(bool(variables) and owned.endswith("4"))


def after(given: dict[str, Any]) -> dict[str, str]:
    """What the host says of its engine once it has been given that."""
    there = {"settings": given["text"], "record": given["record"]}
    return OURS | {name: base64.b64encode(text.encode()).decode() for name, text in there.items()}


def test_a_proxy_of_the_options_wins():
    found = choice({}, outbound_http_proxy=PROXY, docker_daemon_options={"icc": False, "proxies": OWN})
    assert found["settings"]["proxies"] == OWN
    assert found["words"] == []


@pytest.mark.parametrize(
    "seen",
    [
        # A host of an earlier version, one with a record, and one whose owner has changed what was given.
        OURS | {"settings": encoded({"icc": False, "proxies": OWN})},
        OURS
        | {
            "settings": encoded({"proxies": OWN}),
            "record": encoded({"packages": "ours", "settings": "ours", "given": {}}),
        },
        after(choice({}, outbound_http_proxy=PROXY)) | {"settings": encoded({"proxies": OWN})},
        OWNED | {"settings": encoded({"proxies": OWN})},
    ],
)
def test_a_proxy_of_its_owners_stays(seen):
    found = choice(seen, outbound_http_proxy=PROXY, docker_found_engine="take_over")
    assert found["settings"]["proxies"] == OWN
    assert "proxies" not in json.loads(found["record"])["given"]
    assert "the proxies of its /etc/docker/daemon.json, and not of outbound_http_proxy" in " ".join(found["words"])
    assert found["may_be_shown"] is found["given_a_secret"] is False
    # Neither a later run nor one that takes the proxy away takes it for one of ours.
    for variables in ({"outbound_http_proxy": PROXY}, {}):
        later = choice(
            seen | {"settings": encoded(found["settings"]), "record": encoded(json.loads(found["record"]))}, **variables
        )
        assert later["settings"]["proxies"] == OWN


def test_a_proxy_that_is_taken_out_leaves_the_engine_and_is_not_shown():
    given = choice({}, outbound_http_proxy=PROXY)
    seen = after(given)
    after_it = choice(seen)
    assert "proxies" not in after_it["settings"]
    assert after_it["may_be_shown"] is False, "a difference shows what was there"
    assert "3128" not in after_it["text"] + after_it["record"]
    assert after_it["has_derived"] is True
    assert choice({})["has_derived"] is False


def test_an_owners_engine_is_given_none_and_the_run_says_so():
    found = choice(OWNED, outbound_http_proxy=PROXY)
    assert found["settings"] == {"live-restore": True}
    assert "is not given the proxy of outbound_http_proxy" in " ".join(found["words"])
    assert "proxy" not in " ".join(choice(OWNED)["words"])
    taken = choice(
        OWNED | {"flags": "--http-proxy=http://a:1"}, outbound_http_proxy=PROXY, docker_found_engine="take_over"
    )
    assert "proxies" not in taken["settings"], "the daemon does not start with both"


def test_an_engine_that_was_started_with_registries_without_tls_keeps_those():
    wanted = {
        "app_image_registry_plain_http": True,
        "app_image_source": "registry",
        "app_image_reference": f"10.0.0.5:5000/x@sha256:{'0' * 64}",
        "docker_found_engine": "take_over",
    }
    given = ["10.0.0.5:5000"]
    assert choice(CE | RUNS, **wanted)["settings"]["insecure-registries"] == given
    flags = {"flags": "-H fd:// --insecure-registry=10.0.0.6:5000"}
    assert "insecure-registries" not in choice(CE | RUNS | flags, **wanted)["settings"]


@pytest.mark.parametrize(
    ("seen", "variables", "where"),
    [
        (CE | RUNS | {"containers": "shop"}, {}, "insecure-registries of its /etc/docker/daemon.json"),
        ({}, {"docker_daemon_options": {"insecure-registries": ["a"]}}, "insecure-registries of docker_daemon_options"),
        (
            IO | RUNS | {"settings": encoded({"insecure-registries": ["a"]}), "record": record("ours", "ours")},
            {},
            "insecure-registries of its /etc/docker/daemon.json",
        ),
        (
            CE | RUNS | {"flags": "--insecure-registry=a"},
            {"docker_found_engine": "take_over"},
            "the flag --insecure-registry that it is started with",
        ),
    ],
)
def test_an_engine_that_is_not_given_a_registry_without_tls_is_said_to_name_it_elsewhere(seen, variables, where):
    wanted = {"app_image_registry_plain_http": True, "app_image_reference": f"10.0.0.5:5000/x@sha256:{'0' * 64}"}
    said = " ".join(choice(seen, **variables, **wanted)["words"])
    assert f"the engine asks registries without TLS by {where}, and is not given" in said
    assert "it has to be there that 10.0.0.5:5000 is named" in said
    assert "without TLS" not in " ".join(choice(seen, **variables)["words"])
    assert choice({}, **wanted)["words"] == []
    there = {"settings": encoded({"insecure-registries": ["a", "10.0.0.5:5000"]})}
    assert "without TLS" not in " ".join(choice(CE | RUNS | there, **wanted)["words"])


REGISTRY = ["registry.test:5001"]


(FORGETTING,) = load("docker", "tasks/forget_derived.yml")
FORGETS = FORGETTING["vars"]


def forgetting(name: str) -> dict[str, Any]:
    """The task by which an engine forgets what is derived, or a part of that."""
    (task,) = (task for task in FORGETTING["block"] if name in task["name"])
    return dict(task)


@pytest.mark.parametrize(
    ("given", "there", "left", "forgets"),
    [
        # Ours goes, an owner's stays, and of an owner's is nothing written.
        (
            {"icc": False, "insecure-registries": REGISTRY},
            {"icc": False, "insecure-registries": REGISTRY},
            {"icc": False},
            True,
        ),
        (
            {"insecure-registries": REGISTRY},
            {"insecure-registries": ["a"]},
            {"insecure-registries": ["a"]},
            True,
        ),
        (
            {"icc": False},
            {"icc": False, "insecure-registries": ["a"]},
            {"icc": False, "insecure-registries": ["a"]},
            False,
        ),
    ],
)
def test_destroying_takes_the_registries_without_tls_out_again(given, there, left, forgets):
    seen = IO | RUNS | {"settings": encoded(there), "record": record("ours", "ours", **given)}
    wanted = {
        "app_image_registry_plain_http": True,
        "app_image_reference": f"{REGISTRY[0]}/x@sha256:{'0' * 64}",
        "docker_daemon_options": {"icc": False},
    }
    found = choice(seen, **wanted, **FORGETS)
    assert found["settings"] == left
    assert found["has_derived"] is forgets
    assert choice({}, **FORGETS)["has_derived"] is False, "there may be no engine"


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_record_that_nobody_can_read_is_in_the_way_of_no_removal(text):
    found = choice(IO | RUNS | {"managed": "yes", "record": encoded(text)}, **FORGETS)
    assert found["has_derived"] is False


def test_destroying_gives_the_engine_none_of_todays_options():
    given = {"icc": False, "log-driver": "local", "proxies": {"http-proxy": "http://a:1"}}
    own = {"proxies": {"http-proxy": "http://own:1"}}
    seen = IO | RUNS | {"settings": encoded(given | {"debug": True}), "record": record("ours", "ours", **given)}
    found = choice(seen, docker_daemon_options={"icc": True, "live-restore": True}, **FORGETS, **PROXIES)
    assert found["settings"] == {"icc": False, "log-driver": "local", "debug": True}
    assert json.loads(found["record"])["given"] == {"icc": False, "log-driver": "local"}
    # What the inventory says of the engine itself stays with it.
    seen = IO | RUNS | {"settings": encoded(own), "record": record("ours", "ours", **own)}
    assert choice(seen, docker_daemon_options=own, **FORGETS)["settings"] == own


# An engine that was started with a proxy which it has not in its file any more, and the containers of somebody else.
@pytest.mark.parametrize(
    ("live_restore", "running", "ends"),
    [("true", "shop", []), ("false", "modelhost-blue", []), ("false", "shop\ntill", ["shop", "till"])],
)
def test_destroying_does_not_restart_an_engine_whose_containers_would_end(tmp_path, live_restore, running, ends):
    program = tmp_path / "docker"
    lines = "\n".join(f"echo ends={name}" for name in running.split())
    program.write_text(f'#!/bin/sh\nif [ "$1" = info ]; then echo {live_restore}; exit; fi\n{lines}\n')
    program.chmod(0o755)
    ask = evaluate("docker", forgetting("Ask which of them")["ansible.builtin.raw"])
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    said = subprocess.check_output(["sh", "-c", ask], env=path, text=True).splitlines()
    there = {
        "docker_seen": {"active": "yes"},
        "docker_started": {"stdout_lines": ["started-with-others"]},
        "docker_ended": {"stdout_lines": said},
    }
    restarts, tells = (forgetting(name) for name in ("Have it run without", "Say what it still runs with"))
    assert evaluate("docker", "{{ " + restarts["when"] + " }}", **there) == str(not ends)
    assert evaluate("docker", "{{ " + tells["when"] + " }}", **there) == str(bool(ends))
    if ends:
        assert "that would end shop, till: it has" in evaluate("docker", tells["ansible.builtin.debug"]["msg"], **there)


def test_containers_learn_to_outlive_a_restart_before_there_is_one():
    """By the same step where an engine is set up and where it forgets."""
    for file in ("start.yml", "forget_derived.yml"):
        found = load("docker", f"tasks/{file}")
        steps = [str(task) for task in (found[0].get("block", found))]
        (first,) = (number for number, step in enumerate(steps) if "let_outlive.yml" in step)
        (restart,) = (number for number, step in enumerate(steps) if "'state': 'restarted'" in step)
        assert first < restart


def test_of_an_engine_that_does_not_run_the_copy_of_what_it_started_with_goes(tmp_path):
    """It has the password."""
    (tmp_path / "docker").write_text('{"proxies": {}}')
    (tmp_path / "daemon.json").write_text("{}")
    steps = [task for task in FORGETTING["block"] if "ansible.builtin.import_tasks" not in task]
    variables = str(PROJECT / "roles" / "docker" / "vars" / "main.yml")
    plays = [{"hosts": "all", "gather_facts": False, "vars_files": [variables], "tasks": steps}]
    given = {
        "__docker_started_with": str(tmp_path),
        "__docker_settings": {"docker": str(tmp_path / "daemon.json")},
        "docker_seen": {"active": "no"},
        "docker_settings": {"changed": False},
    }
    checked = play(tmp_path, yaml.safe_dump(plays), "--check", "-e", json.dumps(given))
    assert checked.code == 0, checked.out
    assert (tmp_path / "docker").exists()
    printed = play(tmp_path, yaml.safe_dump(plays), "-e", json.dumps(given))
    assert printed.code == 0, printed.out
    assert not (tmp_path / "docker").exists()


@pytest.mark.parametrize(
    ("file", "started_with", "restarts"),
    [
        ('{"icc": false}', '{"icc": false, "insecure-registries": ["x"]}', True),
        # Killed between the file and the restart.
        ("", '{"insecure-registries": ["x"]}', True),
        ('{"insecure-registries": ["x"]}', '{"insecure-registries": ["x"]}', False),
        ('{"proxies": {}}', '{"proxies": {}, "insecure-registries": ["x"]}', True),
        # What is in both is its owner's, and what else he has changed is not this one's business.
        ('{"icc": true, "proxies": {}}', '{"proxies": {}}', False),
        ('{"icc": true}', '{"icc": false}', False),
        ('{"icc": true}', None, False),
    ],
)
def test_an_engine_that_was_started_with_them_is_restarted_also_after_a_kill(tmp_path, file, started_with, restarts):
    command = forgetting("Ask whether it has started with them")["ansible.builtin.raw"]
    (tmp_path / "daemon.json").write_text(file)
    if started_with is not None:
        (tmp_path / "docker").write_text(started_with)
    places = {"__docker_started_with": str(tmp_path), "__docker_settings": {"docker": str(tmp_path / "daemon.json")}}
    said = subprocess.check_output(["sh", "-c", evaluate("docker", command, **places)], text=True)
    assert ("started-with-others" in said) is restarts


@pytest.mark.parametrize(
    "seen",
    [
        CE | RUNS | {"containers": "shop"},
        CE | RUNS,
        OURS,
        # That an earlier run has given ours.
        OURS | {"settings": encoded({"proxies": {"http-proxy": PROXY}}),
                "record": record("ours", "ours", proxies={"http-proxy": PROXY})},
    ],
)  # fmt: skip
def test_a_proxy_of_the_units_environment_is_not_overridden_and_the_run_says_so(seen):
    """The daemon's file would win over it."""
    there = seen | {"proxied": "HTTPS_PROXY HTTP_PROXY"}
    found = choice(there, docker_found_engine="take_over", **PROXIES)
    assert found["manages"]
    assert "proxies" not in found["settings"]
    words = "the engine pulls through the proxy of its unit's environment, and not of outbound_http_proxy"
    assert found["words"] == [words]
    assert "proxies" in choice(seen, docker_found_engine="take_over", **PROXIES)["settings"]
    # What the inventory says of the engine itself.
    own = {"docker_daemon_options": {"proxies": {"http-proxy": "http://other:1"}}}
    assert choice(there, docker_found_engine="take_over", **own, **PROXIES)["settings"] == own["docker_daemon_options"]


def test_an_engine_with_such_a_proxy_is_not_taken_over_unasked():
    assert choice(CE | RUNS)["manages"] is True
    assert choice(CE | RUNS | {"proxied": "HTTP_PROXY"})["manages"] is False
