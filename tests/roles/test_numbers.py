"""Numbers that several layers need, in files that cannot read one another, are the same in all of them."""

import re
from dataclasses import fields

import pytest
from modelhost.settings import Settings as AppSettings
from rendering import PROJECT, evaluate, load

from modelhostctl.host.layout import Layout
from modelhostctl.store.release import DERIVED_LIMIT, HOST_SHARE
from modelhostctl.store.settings import Settings
from modelhostctl.view.drain import MOST_SECONDS_TO_FOLLOW

OF_HOST = {field.name: field.default for field in fields(Settings)}
OF_APP = {field.name: field.default for field in fields(AppSettings)}


def number(file: str, pattern: str) -> int:
    """The only number in a file that a pattern finds."""
    (found,) = re.findall(pattern, (PROJECT / file).read_text(), re.MULTILINE)
    return int(found)


def of_role(role: str, variable: str) -> int:
    """A role's number as it is where nobody has set anything."""
    return int(evaluate(role, "{{ " + variable + " }}"))


def test_the_app_runs_as_one_uid():
    assert number("app/Dockerfile", r"^USER (\d+):\1$") == of_role("release", "__release_uid") == OF_HOST["app_uid"]


def test_nginx_runs_as_one_uid_which_is_the_group_of_the_sockets():
    image = number("roles/reverse_proxy/files/image/Dockerfile", r"^USER (\d+):\1$")
    assert image == of_role("reverse_proxy", "__reverse_proxy_uid")
    assert image == of_role("release", "__release_proxy_gid") == OF_HOST["proxy_gid"]


def test_a_prediction_has_one_time_limit():
    limit = of_role("release", "release_timeout_seconds")
    assert limit == of_role("reverse_proxy", "__reverse_proxy_app_timeout_seconds") == OF_APP["timeout_seconds"]


def test_each_waits_longer_than_whom_it_waits_for():
    limit = of_role("release", "release_timeout_seconds")
    gunicorn = limit + number("app/modelhost/server/gunicorn_conf.py", r"^timeout = settings.timeout_seconds \+ (\d+)$")
    nginx = of_role("reverse_proxy", "reverse_proxy_timeout_seconds")
    drain, stop = of_role("release", "__release_drain_seconds"), of_role("release", "__release_stop_seconds")
    assert limit < gunicorn < nginx < drain < stop
    assert of_role("release", "__release_gunicorn_timeout") == gunicorn == OF_HOST["answer_seconds"]
    assert (OF_HOST["drain_seconds"], OF_HOST["stop_seconds"]) == (drain, stop)


def test_a_connection_that_nginx_keeps_ends_before_anyone_relies_on_that():
    kept = of_role("reverse_proxy", "__reverse_proxy_kept_seconds")
    assert kept < OF_APP["keepalive_seconds"]
    # It may serve one request more.
    assert 2 * kept < MOST_SECONDS_TO_FOLLOW


def test_the_part_of_the_machines_memory_is_said_alike_everywhere():
    words = load("release", "vars/main.yml")["__release_memory_share"]
    assert words == DERIVED_LIMIT == f"{HOST_SHARE:.0%}".replace("%", " % of the host's")
    for file in ("meta/argument_specs.yml", "defaults/main.yml", "tasks/validate.yml"):
        assert f"{HOST_SHARE * 100:.0f} % of the" in (PROJECT / "roles" / "release" / file).read_text()


def test_the_release_tool_is_at_one_place():
    assert (
        load("release", "vars/main.yml")["__release_tool"] in (PROJECT / "plugins/action/modelhostctl.py").read_text()
    )


@pytest.mark.parametrize("name", sorted(set(OF_HOST) - {"url", "app_uid", "proxy_gid"}))
def test_what_the_host_takes_for_granted_is_what_the_role_wants_by_default(name):
    wanted = evaluate("release", "{{ __release_settings['" + name + "'] }}")
    assert str(OF_HOST[name]) == wanted


def test_there_is_one_folder_on_the_host():
    home = str(Layout().root)
    assert load("release", "vars/main.yml")["__release_home"] == home
    assert load("app_image", "vars/main.yml")["__app_image_build"] == f"{home}/build"
    assert load("reverse_proxy", "vars/main.yml")["__reverse_proxy_home"] == f"{home}/proxy"
    assert load("reverse_proxy", "vars/main.yml")["__reverse_proxy_sockets"] == f"{home}/run"
    assert f"{home}/history.jsonl" in (PROJECT / "plugins/action/find_account_probe.sh").read_text()
