"""A host that reaches the outside by a proxy alone is deployed to, and its password is seen by nobody."""

import json
import re
import shlex
import subprocess
import urllib.request
from typing import Any

import vm
from deploying import NAME, TESTBED, changes, on_host, play, url, words

GATEWAY = f"modelhost-{NAME}-gateway"
# In a URL and as it is typed; the beginning of both.
PASSWORD = "s3cr"
# Finds it, and is not found itself by what watches processes.
PATTERN = "s3c[r]"
# As the site was deployed: QUICK would be another release.
AS_BEFORE = {"release_watch_seconds": 10, "release_timeout_seconds": 30}
# Whoever reads these is root.
SECRETS = {
    "/etc/apt/apt.conf.d/99modelhost-proxy",
    "/etc/docker/daemon.json",
    "/etc/docker/modelhost.json",
    "/run/modelhost/started-with/docker",
    "/srv/modelhost/outbound.env",
}
# Who may read an environment that has it: root, and the client of an issuer its own.
READERS = {"0", "10003"}
UNFINISHED = [
    "/etc/apt/apt.conf.d/.99modelhost-proxy.a1B2c3",
    "/etc/docker/.daemon.json.a1B2c3",
    "/etc/docker/.modelhost.json.a1B2c3",
    "/srv/modelhost/.outbound.env.a1B2c3",
    "/srv/modelhost/proxy/acme/request/outbound.env",
    "/srv/modelhost/proxy/acme/request/.outbound.env.unfinished",
]
# What a run writes where the proxy goes, without what it does then.
FORGET = """
import json
for name in ("daemon.json", "modelhost.json"):
    with open(f"/etc/docker/{name}") as file:
        settings = json.load(file)
    del settings.get("given", settings)["proxies"]
    with open(f"/etc/docker/{name}", "w") as file:
        file.write(json.dumps(settings, indent=4, sort_keys=True) + "\\n")
"""
FOLDERS = "/etc /home /opt /root /run /srv /tmp /usr /var"


def proxy_log() -> str:
    answer = subprocess.run(["docker", "logs", GATEWAY], capture_output=True, text=True, check=True)
    return answer.stdout + answer.stderr


def asked_for() -> set[str]:
    """The hosts that the proxy was asked for."""
    return set(re.findall(r"Request \(file descriptor \d+\): \w+ (?:http://)?([^/: ]+)", proxy_log()))


def address() -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return vm.run("docker", "inspect", "--format", form, GATEWAY).strip()


def files_with(pattern: str) -> set[str]:
    """Every file of the host with a text, images' and the engine's records among them."""
    return set(on_host(f"grep -rasl --devices=skip --exclude-dir=merged -e '{pattern}' {FOLDERS} || true").split())


def site(*options: str, playbook: str = "site.yml", **variables: Any) -> subprocess.CompletedProcess[str]:
    # It starts no more than three times a minute.
    on_host("systemctl reset-failed docker")
    return play(playbook, *options, **AS_BEFORE | variables)


def modes() -> str:
    """Whose the files with the password are, and their mode: one line where all have the same."""
    return on_host(f"stat --format '%U %G %a' {' '.join(SECRETS)} | sort -u").strip()


def leave_unfinished_files() -> None:
    """As whoever is killed while he writes the password."""
    # In quotes it is seen in no command line.
    on_host(f"for file in {' '.join(UNFINISHED)}; do mkdir -p ${{file%/*}}; echo 's3''cr' >$file; done")


def answers() -> bool:
    request = urllib.request.Request(url() + "/", b'{"index": 2}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bool(json.load(answer)["prediction"] == {"colour": "blue"})


def test_the_machine_has_no_other_way_out():
    reach = "timeout 10 bash -c '</dev/tcp/{}' 2>&1"
    assert "Network is unreachable" in on_host(reach.format("192.0.2.1/80") + " || true")
    assert "resolution" in on_host(reach.format("example.org/80") + " || true")


def test_the_endpoint_answers():
    assert answers()


def test_host_and_images_were_made_through_the_proxy():
    sources = set(re.findall(r"^'https?://([^/']+)/", on_host("apt-get --print-uris update"), re.MULTILINE))
    assert len(sources) > 1
    assert sources <= asked_for()
    # Python's packages: wherever this machine takes them from.
    assert re.search(r"CONNECT \S+:443", proxy_log())


def test_the_engine_pulls_through_it():
    on_host("docker pull --quiet registry.invalid/nothing:1 || true")
    assert "registry.invalid" in asked_for()


def test_its_password_is_in_no_file_but_roots():
    assert files_with(PATTERN) == SECRETS
    assert modes() == "root root 600"


def test_no_image_knows_the_proxy():
    images = on_host("docker image ls --format '{{.Repository}}:{{.Tag}}'").split()
    assert {image.partition(":")[0] for image in images} >= {"modelhost-app", "modelhost-base", "modelhost-proxy"}
    for image in images:
        told = on_host(f"docker history --no-trunc {image}; docker image inspect {image}")
        assert PASSWORD not in told
        assert address() not in told
        # Layers are not compressed there.
        assert on_host(f"docker save {image} | grep -acE '{PATTERN}|{re.escape(address())}' || true").strip() == "0"
        left = on_host(f"docker run --rm --entrypoint sh --user 0 {image} -c 'ls -A /etc/apt/apt.conf.d /run'")
        assert "99proxy" not in left
        assert "secrets" not in left


def seen(file: str) -> set[str]:
    """What the watch over processes has found, each once."""
    return set(on_host(f"sort -u /root/{file}").split())


def test_no_log_and_no_command_line_had_its_password():
    assert seen("seen") == set()
    # Builds and the client of an issuer, which nobody else can look into.
    assert seen("readers") <= READERS
    # It sees what is there for a moment.
    nobody = "setpriv --reuid 65534 --clear-groups"
    on_host(f"for _ in 1 2 3 4 5; do sh -c 'sleep 0.1' w4tched; W4=w4tched {nobody} sleep 0.1; done")
    assert seen("seen") == {"w4tched"}
    assert seen("readers") - READERS == {"65534"}
    on_host("sleep 0.2; truncate --size 0 /root/seen; sed -i /65534/d /root/readers")
    assert PASSWORD not in on_host(
        "journalctl --no-pager; docker logs modelhost-proxy 2>&1; docker logs modelhost-blue 2>&1"
    )


def test_the_containers_of_models_are_given_none():
    told = on_host("docker inspect modelhost-blue modelhost-proxy")
    assert "3128" not in told
    assert "proxy=" not in told


def shown(*options: str, **variables: Any) -> str:
    """What a run prints at its loudest; it has to go well."""
    run = site("-vvv", "--diff", *options, **variables)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_a_run_shows_no_password():
    again = f"http://packages:s3cr%2Bt%21wor%64@{address()}:3128"
    for options in (("--check",), ()):
        printed = shown("--tags", "outbound,docker,reverse_proxy", *options, outbound_http_proxy=again)
        assert changes(printed) > 0
        assert PASSWORD not in printed
    assert answers()
    assert changes(shown("--check")) > 0, "the inventory says something else"


def test_a_wrong_password_and_another_port_are_refused_before_anything_is_touched():
    for proxy, said in (
        (f"http://packages:wr0ng@{address()}:3128", "(outbound_http_proxy) refuses its user or password (401)"),
        (f"http://{address()}:3128", "wants a user and a password (407)"),
        (f"http://{address()}:3129", "cannot be reached from this host (Connection refused)"),
    ):
        run = site(outbound_http_proxy=proxy)
        assert run.returncode != 0
        assert f"{NAME}: the proxy {address()}:312" in words(run)
        assert said in words(run)
        assert "changed=0" in run.stdout
        assert "wr0ng" not in words(run)


def test_the_client_of_an_issuer_goes_through_it_too():
    acme = {
        "reverse_proxy_tls": "auto",
        "reverse_proxy_server_names": ["models.modelhost.dev"],
        "reverse_proxy_acme_directory": "https://issuer.invalid:14000/dir",
    }
    run = site("--tags", "outbound,docker,host_hardening,reverse_proxy", reverse_proxy_outside_check="off", **acme)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "issuer.invalid" in asked_for()
    assert "Can the proxy of outbound_https_proxy reach it?" in on_host("modelhost-certificate show")
    assert files_with(PATTERN) == SECRETS
    assert seen("seen") == set()
    assert seen("readers") <= READERS


def test_builds_ask_the_index_inside_and_show_no_password_of_it():
    index = "http://reader:s3cr%2Btoo@index.invalid/simple"
    # Libraries that the image has not got, which the index has not either.
    run = site("-vvv", "--tags", "outbound,app_image", outbound_python_index_url=index, release_grpc=True)
    assert run.returncode != 0
    assert "index.invalid" in asked_for()
    assert "install-locked" in run.stdout
    assert PASSWORD not in run.stdout + run.stderr
    assert files_with(PATTERN) == SECRETS
    assert seen("seen") == set()
    assert seen("readers") <= READERS


def test_an_upgrade_does_not_go_out_by_a_proxy_that_the_inventory_has_changed():
    run = site(playbook="playbooks/upgrade.yml", outbound_no_proxy=["mirror.example.org"])
    assert run.returncode != 0
    assert "Run site.yml first" in words(run)
    assert "changed=0" in run.stdout


def test_a_proxy_that_is_down_is_in_the_way_of_what_is_fetched_alone():
    # As the inventory has it, with no index.
    assert site().returncode == 0
    down = f"the proxy {address()}:3128 (outbound_http_proxy) cannot be reached from this host"
    vm.run("docker", "stop", "--time", "1", GATEWAY)
    try:
        for playbook in ("site.yml", "playbooks/plan.yml"):
            run = site(playbook=playbook)
            assert run.returncode == 0, run.stdout + run.stderr
            assert changes(run.stdout) == 0
        # As `make plan` prints it.
        report = {"ANSIBLE_STDOUT_CALLBACK": "modelhost.modelhost.report"}
        assert down in words(site(playbook="playbooks/plan.yml", environment=report))
        # Libraries that the image has not got.
        run = site("--tags", "outbound,app_image", release_grpc=True)
        assert run.returncode != 0
        assert down in words(run)
        assert "Nothing was fetched" in words(run)
        run = site(playbook="playbooks/upgrade.yml")
        assert run.returncode != 0
        assert down in words(run)
        assert "changed=0" in run.stdout
    finally:
        vm.run("docker", "start", GATEWAY)
    assert answers()


def test_taken_away_it_leaves_nothing():
    ours = address()
    before = on_host("docker inspect --format '{{.State.StartedAt}}' modelhost-blue")
    leave_unfinished_files()
    assert PASSWORD not in shown(outbound_http_proxy="")
    assert files_with(PATTERN) == set()
    assert [file for file in files_with(re.escape(f"{ours}:3128")) if not file.startswith("/var/log/journal")] == []
    assert "Proxy" not in on_host("docker info")
    assert on_host("docker inspect --format '{{.State.StartedAt}}' modelhost-blue") == before
    assert f"{ours} tcp dport" not in on_host("nft list table inet modelhost")
    assert answers()
    assert changes(site(outbound_http_proxy="").stdout) == 0


def test_a_host_that_had_none_is_given_one_for_root_alone():
    # Where there was a proxy before it is so already.
    on_host("chmod 0644 /etc/docker/daemon.json")
    assert site(playbook="playbooks/bootstrap.yml").returncode == 0
    assert files_with(PATTERN) == SECRETS
    assert modes() == "root root 600"
    # With the same content.
    on_host("chmod 0644 /etc/docker/daemon.json")
    assert changes(site(playbook="playbooks/bootstrap.yml").stdout) == 1
    assert modes() == "root root 600"


def test_destroy_leaves_nothing_either():
    printed = shown(playbook="playbooks/destroy.yml", confirm="destroy")
    assert changes(printed) > 0
    assert PASSWORD not in printed
    assert files_with(PATTERN) == set()
    assert "Proxy" not in on_host("docker info")


def test_nor_does_one_that_follows_another_that_was_killed():
    assert site(playbook="playbooks/bootstrap.yml").returncode == 0
    assert files_with(PATTERN) == SECRETS
    leave_unfinished_files()
    # Killed before the engine had its settings: they are written, and it runs with others.
    on_host(f"python3 -c {shlex.quote(FORGET)}")
    assert "Proxy" in on_host("docker info")
    run = site(playbook="playbooks/destroy.yml", confirm="destroy")
    assert run.returncode == 0, run.stdout + run.stderr
    assert files_with(PATTERN) == set()
    assert "Proxy" not in on_host("docker info")
    assert (TESTBED / "group_vars" / "all.yml").exists()
