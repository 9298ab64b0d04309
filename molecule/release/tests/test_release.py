"""A release replaces the one before without a client noticing, says beforehand what it does, and does only that."""

import shutil

import pytest
from bundles import bundle
from deploying import PROJECT, changes, deploy, history, live, load, on_host, play

IRIS = "models/iris/1"


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("models"), 2)


def images() -> str:
    return on_host("docker image ls --format '{{.Repository}}:{{.Tag}}' modelhost-app")


def proxy() -> str:
    """What tells whether nginx was recreated or reloaded: its container, and its workers."""
    started = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' modelhost-proxy"
    return on_host(f"{started}; pgrep -x nginx")


def test_a_plan_is_told_in_words_and_changes_nothing(second):
    before = live()
    # What a first deployment needs of the disk is not asked of a host that serves already.
    run = play("playbooks/plan.yml", release_models=[str(second), IRIS], preflight_disk_free_mb=10**9)
    for words in ("models: colours 1 -> 2, digits 1 -> none", "image unchanged", "switch blue -> green", "MB free"):
        assert words in run.stdout
    assert changes(run.stdout) == 0
    assert live() == before
    assert on_host("ls /srv/modelhost/releases").split() == [before]


@pytest.mark.parametrize("what", ["a new model version", "a changed setting", "a new image"])
def test_under_load_no_request_is_lost_by(what, second, tmp_path):
    before, images_before, proxy_before = live(), images(), proxy()
    variables = {}
    if what == "a changed setting":
        variables["release_threads"] = 6
    if what == "a new image":
        source = tmp_path / "app"
        shutil.copytree(PROJECT / "app", source, ignore=shutil.ignore_patterns("__pycache__"))
        (source / "modelhost" / "another_image.py").touch()
        variables["__app_image_source"] = str(source)
    with load() as clients:
        printed = deploy(second, IRIS, **variables)
    report = clients.report()
    assert report["failed"] == 0, report
    assert report["sent"] > 500
    after = live()
    assert set(report["releases"]) == {before, after}
    assert before != after
    assert report["worst_gap_seconds"] < 1
    assert (images() == images_before) == (what != "a new image"), "an image is built only where the app changed"
    assert proxy() == proxy_before, "the proxy is neither recreated nor reloaded by a release of the app"
    assert [line["how"] for line in history()[-2:]] == ["live", "retired"]
    assert history()[-2]["release"] == after
    assert changes(deploy(second, IRIS, **variables)) == 0, printed


def test_a_check_tells_of_a_release_and_makes_none(second):
    before = live()
    run = play("site.yml", "--check", "--diff", "--tags", "release", release_models=[str(second)])
    assert run.returncode == 0, run.stdout + run.stderr
    assert changes(run.stdout) >= 3
    assert "-model: iris 1" in run.stdout
    assert live() == before


def test_a_changed_setting_of_the_proxy_touches_no_app():
    containers = "docker ps --all --no-trunc --filter label=modelhost.release --format '{{.ID}} {{.State}}'"
    before = on_host(containers)
    run = play("site.yml", "--tags", "reverse_proxy", reverse_proxy_server_names=["_", "models.example.org"])
    assert run.returncode == 0, run.stdout
    assert "Reload nginx" in run.stdout
    assert on_host(containers) == before


def test_without_a_number_the_engine_gets_the_machines_limit_and_the_release_has_none(second):
    assert changes(deploy(second, IRIS, release_memory_limit_mb=0)) > 0
    assert "mem_limit: ${MEMORY_LIMIT_MB:?}m" in on_host(f"cat /srv/modelhost/releases/{live()}/compose.yml")
    serving = "$(docker ps --quiet --filter label=modelhost.release)"
    limit = on_host(f"docker inspect --format '{{{{.HostConfig.Memory}}}}' {serving}")
    total_mb = int(on_host("awk '/^MemTotal:/ {print $2}' /proc/meminfo")) // 1024
    assert int(limit) // 2**20 == int(total_mb * 0.6)
    assert changes(deploy(second, IRIS, release_memory_limit_mb=0)) == 0


def test_no_more_than_the_releases_to_keep_are_kept(second):
    deploy(second, IRIS, release_threads=5, release_keep_releases=2)
    deploy(second, IRIS, release_threads=4, release_keep_releases=2)
    kept = on_host("ls /srv/modelhost/releases").split()
    assert len(kept) == 2
    assert live() in kept
    # The bundle of digits and the images of the releases that went are gone too.
    assert "digits" not in on_host("find /srv/modelhost/bundles -name model.yaml")
    used = on_host("grep -h image: /srv/modelhost/releases/*/compose.yml").split()[1::2]
    assert set(images().split()) == set(used)
