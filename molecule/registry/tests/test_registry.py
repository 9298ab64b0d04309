"""A host pulls what was built once, by its digest; what cannot serve is refused in words, and no password is left."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from deploying import PROJECT, changes, live, load, on_host, play, vaulted, where

REPOSITORY = "registry.test:5000/team/modelhost"
NONE = "sha256:" + "0" * 64
# As in set_up_a_registry.sh.
ACCOUNT, SECRET, WRONG = "ci", "s3cr3t-of-the-registry", "n0t-the-registrys"
PLANTED = "w4tched"
RELEASE = ["site.yml", "--tags", "app_image,release"]
NAMES = "docker image ls --format '{{.Repository}}:{{.Tag}}' "
IMAGE = "docker inspect --format '{{.Config.Image}} {{index .Config.Labels \"modelhost.image\"}}' "
# Images that were made of the app's: what their Dockerfile has beside that.
OTHERS = {
    "newer": "COPY --from=modelhost-base /etc/debian_version /opt/newer",
    "foreign": 'LABEL org.opencontainers.image.title="something else"',
    "older": 'LABEL org.opencontainers.image.version="0.0.1"',
    "changed": 'LABEL modelhost.source="0123456789ab"',
    "root": "USER 0",
}
plays: list[str] = []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The CA's certificate, on the machine that deploys."""
    file = tmp_path_factory.mktemp("files") / "ca.pem"
    file.write_text(on_host("cat /srv/registry/ca.pem"))
    return str(file)


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory, authority: str) -> Any:
    """Play with an account of the registry, whose password Ansible Vault has encrypted; all output is kept."""
    folder = tmp_path_factory.mktemp("vault")

    def run(*command: str, password: str = SECRET, expect: int = 0, **variables: Any) -> str:
        given = {"app_image_registry_username": ACCOUNT, "app_image_registry_ca_file": authority, **variables}
        secret = vaulted(folder, {"app_image_registry_password": password})
        ended = play(*command, "-vvv", "--diff", *secret, **given)
        plays.append(ended.stdout + ended.stderr)
        assert bool(ended.returncode) == bool(expect), plays[-1]
        return plays[-1]

    return run


@pytest.fixture(scope="module")
def pushed(deploy: Any) -> str:
    """The reference of the image that the playbook has built and pushed."""
    printed = deploy("playbooks/image.yml", app_image_push_repository=REPOSITORY)
    assert "app_image_source: registry" in printed
    (reference,) = set(re.findall(rf"app_image_reference: ({REPOSITORY}@sha256:[0-9a-f]{{64}})", printed))
    return str(reference)


@pytest.fixture(scope="module")
def others(pushed: str) -> dict[str, str]:
    """The references of images that others have pushed, of which the host has nothing."""
    base = on_host(f"{NAMES} modelhost-app").split()[0]
    layer = on_host(f"{NAMES} modelhost-base").split()[0]
    found = {}
    for name, line in OTHERS.items():
        tag = f"{REPOSITORY}:{name}"
        lines = f"'FROM {layer} AS modelhost-base' 'FROM {base}' '{line}'"
        on_host(f"printf '%s\\n' {lines} | docker build --quiet --tag {tag} -")
        found[name] = push(tag)
    tag = f"{REPOSITORY}:arm"
    on_host(f"tar -C /srv/registry -c names | docker import --platform linux/arm64 - {tag}")
    found["arm"] = push(tag)
    on_host("docker builder prune --all --force")
    return found


def push(tag: str) -> str:
    """Push as a person does; returns the reference, and leaves nothing of it."""
    engine = "docker --config /tmp/config"
    log_in = f"printf %s {SECRET} | {engine} login --username {ACCOUNT} --password-stdin registry.test:5000"
    on_host(f"{log_in} && {engine} push --quiet {tag}; rm -r /tmp/config")
    digests = on_host(f"docker image inspect --format '{{{{join .RepoDigests \" \"}}}}' {tag}").split()
    (reference,) = [one for one in digests if one.startswith(f"{REPOSITORY}@")]
    on_host(f"docker image rm --force {tag}")
    return str(reference)


@contextmanager
def watching(secret: str) -> Iterator[set[str]]:
    """Look again and again for a secret on the machine; tells in the end which command lines and so on had it.

    A word that is planted there has to be found too, or it would not have been.
    """
    found: set[str] = set()
    seen: set[str] = set()
    ended = threading.Event()
    on_host(f"mkdir -p /root/watched && printf '%s\\n' '{secret}' {PLANTED} > /root/watched/text")
    sought, folders = "grep -aoHFs -f /root/watched/text", "/etc /home /root /run /srv /tmp"
    look = (
        f"for _ in 1 2 3 4 5; do {sought} /proc/[0-9]*/cmdline /proc/[0-9]*/environ; find {folders} "
        f"-newer /root/watched/text -type f -not -path '/root/watched/*' -exec {sought} {{}} +; sleep 0.1; done || true"
    )

    def watch() -> None:
        while not ended.is_set():
            found.update(on_host(look).split())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
        on_host(f"echo {PLANTED} > /tmp/file; WORD={PLANTED} sh -c 'sleep 3' {PLANTED}; rm /tmp/file")
    finally:
        ended.set()
        thread.join()
        on_host("rm -r /root/watched")
    seen.update(line.partition(":")[0] for line in found if secret in line)
    planted = {line.partition(":")[0].rpartition("/")[2] for line in found if PLANTED in line}
    assert planted >= {"cmdline", "environ", "file"}


def flat(printed: str) -> str:
    """What a run said, without its line breaks."""
    return " ".join(printed.split())


def from_registry(reference: str, **more: Any) -> dict[str, Any]:
    """The variables by which a host pulls this."""
    return {"app_image_source": "registry", "app_image_reference": reference, **more}


def of_live() -> list[str]:
    """What the live container runs, and the digest that is written on it."""
    names = on_host("docker ps --format '{{.Names}}'").split()
    (name,) = [name for name in names if name in ("modelhost-blue", "modelhost-green")]
    return on_host(IMAGE + name).split()


def test_an_image_is_not_made_in_one_run_with_a_deployment(deploy, pushed, tmp_path):
    before, names = live(), ["site.yml", "playbooks/image.yml"]
    for order in (names, names[::-1]):
        both = tmp_path / "both.yml"
        both.write_text(json.dumps([{"ansible.builtin.import_playbook": str(PROJECT / name)} for name in order]))
        printed = deploy(str(both), "--check", expect=1, app_image_push_repository=REPOSITORY)
        assert "playbooks/image.yml runs by itself" in flat(printed)
    assert live() == before


def test_an_image_is_pushed_once_and_a_second_time_changes_nothing(deploy, pushed):
    again = deploy("playbooks/image.yml", app_image_push_repository=REPOSITORY)
    assert pushed in again
    assert changes(again) == 0
    assert [name for name in on_host(NAMES).split() if "registry.test" in name] == [], "only its own name is left"


def test_a_check_says_what_would_be_pulled_and_changes_nothing(deploy, others):
    before, images = live(), on_host(NAMES)
    printed = flat(deploy(*RELEASE, "--check", **from_registry(others["newer"])))
    assert f"the image is pulled from {REPOSITORY}" in printed
    assert f"would pull {others['newer']}" in printed
    assert (live(), on_host(NAMES)) == (before, images)


def test_a_host_pulls_it_by_its_digest_builds_nothing_and_shows_no_password(deploy, pushed, others):
    first = live()
    printed = deploy("site.yml", **from_registry(pushed))
    assert "Begin to install Python and the app" not in printed
    digest = pushed.partition("@")[2]
    assert live() != first
    assert of_live() == [f"modelhost-app:{digest.replace(':', '-')}", digest]
    assert changes(deploy("site.yml", **from_registry(pushed))) == 0

    # One of which the host has not all layers.
    with load() as clients, watching(SECRET) as seen:
        deploy(*RELEASE, **from_registry(others["newer"]))
    assert clients.report()["failed"] == 0, clients.report()
    assert seen == set()
    assert of_live()[1] == others["newer"].partition("@")[2]
    assert changes(deploy(*RELEASE, **from_registry(others["newer"]))) == 0


def test_the_password_is_nowhere(deploy, others):
    shown = {
        "inspect": on_host("docker inspect $(docker ps --all --quiet)"),
        "journal": on_host("journalctl --no-pager --output=verbose"),
        "tool": on_host("modelhostctl history; modelhostctl status --json; modelhostctl sbom"),
        "plays": "".join(plays),
    }
    assert [what for what, text in shown.items() if SECRET in text] == []
    assert where(SECRET) == []
    # Where a login would have left it. What builds leave there is theirs.
    assert on_host("ls /root/.docker/config.json /home/deploy/.docker/config.json 2>/dev/null || true") == ""


@pytest.mark.parametrize(
    ("image", "given", "said"),
    [
        (f"{REPOSITORY}@{NONE}", {"password": WRONG}, "registry.test:5000 does not take the password of ci."),
        (f"{REPOSITORY}@{NONE}", {}, f"registry.test:5000 has no image of that digest in {REPOSITORY}"),
        (f"registry.test:5000/no/one@{NONE}", {}, "has no image of that digest in registry.test:5000/no/one"),
        (f"nowhere.test/team/modelhost@{NONE}", {}, "this host does not find the name nowhere.test"),
        ("foreign", {}, "is no image of modelhost's app: its label org.opencontainers.image.title is "),
        ("older", {}, "was built by modelhost 0.0.1, and this is"),
        ("changed", {}, "was built of the code 0123456789ab, and what is deployed from here is"),
        ("root", {}, "and the app is 10001:10001"),
        ("arm", {}, "is for arm64, and this host has amd64"),
        ("newer", {"release_grpc": True}, "lacks the libraries that the bundles need: grpc"),
        (f"{REPOSITORY}@{NONE}", {"app_image_registry_ca_file": ""}, "no CA that this host knows has signed"),
        (f"registry.test:5001/a@{NONE}", {"app_image_registry_ca_file": ""}, "registry.test:5001 speaks plain HTTP"),
    ],
)
def test_what_cannot_be_pulled_or_served_is_refused_in_words_and_the_live_release_goes_on(
    deploy, others, image, given, said
):
    before, images = live(), set(on_host("docker image ls --all --quiet").split())
    with load() as clients:
        printed = flat(deploy(*RELEASE, expect=1, **from_registry(others.get(image, image), **given)))
    assert said in printed
    assert WRONG not in printed
    assert live() == before
    assert clients.report()["failed"] == 0, clients.report()
    assert set(on_host("docker image ls --all --quiet").split()) == images, "nothing of it is kept"
    assert on_host("modelhostctl unlock").strip() == "no run holds the lock"


def test_a_tag_is_refused_before_the_host_is_touched(deploy):
    printed = deploy("site.yml", expect=1, **from_registry(f"{REPOSITORY}:newer"))
    assert f'app_image_reference: got "{REPOSITORY}:newer"' in flat(printed)
    assert "a tag may name another image tomorrow" in flat(printed)
    assert "connect | " not in printed


def test_a_rollback_needs_no_registry(deploy, pushed, others):
    deploy(*RELEASE, **from_registry(pushed))
    first = live()
    deploy(*RELEASE, **from_registry(others["newer"]))
    assert live() != first
    on_host("systemctl stop docker-registry")
    try:
        printed = deploy(*RELEASE, expect=1, **from_registry(f"{REPOSITORY}@{NONE}"))
        assert "this host does not reach registry.test:5000" in flat(printed)
        on_host("modelhostctl rollback 2>&1")
        assert live() == first
        assert of_live()[1] == pushed.partition("@")[2]
        assert changes(deploy(*RELEASE, **from_registry(pushed))) == 0, (
            "a deployment of what is there needs none either"
        )
    finally:
        on_host("systemctl start docker-registry")


def test_images_that_no_release_needs_go(deploy, pushed):
    for threads in (3, 5, 3):
        deploy(*RELEASE, **from_registry(pushed, release_keep_releases=1, release_threads=threads))
    digest = pushed.partition("@")[2]
    assert on_host(f"{NAMES} modelhost-app").split() == [f"modelhost-app:{digest.replace(':', '-')}"]
    assert "registry.test" not in on_host("docker image ls --digests --all")


def test_a_registry_without_tls_is_asked_where_that_is_wanted(deploy, pushed, others):
    reference = others["newer"].replace(":5000", ":5001")
    wanted = {"app_image_registry_plain_http": "yes", "app_image_registry_ca_file": ""}
    with load() as clients:
        deploy("site.yml", **from_registry(reference, **wanted))
        assert of_live()[1] == reference.partition("@")[2]
        assert '"registry.test:5001"' in on_host("cat /etc/docker/daemon.json")
        assert changes(deploy("site.yml", **from_registry(reference, **wanted))) == 0
        deploy("site.yml", **from_registry(pushed))
    assert clients.report()["failed"] == 0, clients.report()
    assert "registry.test" not in on_host("cat /etc/docker/daemon.json")


# What answers every request for a way out by the status in a file.
PROXY = """
import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self): self.send_error(int(pathlib.Path("/srv/registry/status").read_text()))
http.server.HTTPServer(("127.0.0.1", 3128), Handler).serve_forever()
"""


def test_a_proxy_of_the_engine_that_refuses_is_not_taken_for_the_registry(deploy, pushed):
    on_host(f"cat > /srv/registry/proxy.py <<'X'{PROXY}X\nsystemd-run --unit a-proxy python3 /srv/registry/proxy.py")
    proxies = dict.fromkeys(["http-proxy", "https-proxy"], "http://127.0.0.1:3128")
    options = {"docker_daemon_options": {"live-restore": True, "proxies": proxies}}
    none = from_registry(f"{REPOSITORY}@{NONE}")
    try:
        said = {"407": "wants an account, or another password", "403": "does not let it to registry.test:5000"}
        for step, (status, words) in zip((["site.yml"], RELEASE), said.items(), strict=True):
            on_host(f"echo {status} > /srv/registry/status")
            printed = flat(deploy(*step, expect=1, **options, **none))
            assert words in printed
            assert "does not take the password" not in printed
        on_host("systemctl stop a-proxy")
        assert "goes out does not answer it" in flat(deploy(*RELEASE, expect=1, **options, **none))
    finally:
        deploy("site.yml", **from_registry(pushed))


def test_an_image_that_cannot_serve_is_refused_before_the_host_is_upgraded(deploy, others):
    before = live()
    printed = deploy("playbooks/upgrade.yml", expect=1, **from_registry(others["older"]))
    assert "was built by modelhost 0.0.1" in flat(printed)
    assert "Refuse to end them without a word" in printed
    assert "Upgrade all packages" not in printed
    assert live() == before


def test_patches_of_the_image_are_said_to_be_the_registrys(deploy, pushed):
    printed = flat(deploy("playbooks/upgrade.yml", **from_registry(pushed)))
    assert f"image was pulled, and is as it was: {pushed}" in printed
    assert "images of nginx and the app have today's packages" not in printed


def test_what_was_laid_goes_with_the_registry_and_with_the_endpoint(deploy, pushed):
    file = "/etc/docker/certs.d/registry.test:5000/ca.crt"
    assert on_host(f"cat {file}").endswith(on_host("cat /srv/registry/ca.pem"))
    deploy(*RELEASE)
    assert "sha256" not in of_live()[0]
    assert on_host("ls /etc/docker/certs.d") == ""
    deploy(*RELEASE, **from_registry(pushed))
    on_host(f"test -f {file}")
    without_tls = from_registry(pushed.replace(":5000", ":5001"), app_image_registry_plain_http=True)
    deploy("site.yml", **without_tls, app_image_registry_ca_file="")
    assert "registry.test:5001" in on_host("docker info")
    on_host(
        f"docker tag {of_live()[0]} owners:kept && docker run --detach --name owners --entrypoint sleep owners:kept 600"
    )
    deploy("playbooks/destroy.yml", **without_tls, app_image_registry_ca_file="", confirm="destroy")
    assert on_host(f"{NAMES} owners").strip() == "owners:kept"
    assert on_host("docker inspect --format '{{.State.Running}}' owners").strip() == "true"
    assert "registry.test" not in on_host("docker info; cat /etc/docker/daemon.json /etc/docker/modelhost.json")
    assert '"live-restore": true' in on_host("cat /etc/docker/daemon.json"), "what else was set stays with the engine"
    assert on_host("ls /etc/docker/certs.d") == ""
    assert "modelhost-app" not in on_host(NAMES)
    assert where(SECRET) == []
