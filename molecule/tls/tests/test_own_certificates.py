"""The host's own certificate, the owner's, and none: what is served, what is refused, and what is left."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import client
import proxied
import pytest
from made_certificates import make

CURRENT = "/srv/modelhost/proxy/tls/current"
TOOL = "/usr/local/bin/modelhost-certificate"
NOW, DAY = datetime.now(UTC), timedelta(days=1)
NAME = "models.example.com"
WORKERS = "docker top modelhost-proxy -eo pid,args | grep 'worker process'"
Machine = Callable[[str], str]


@pytest.fixture(autouse=True, scope="module")
def as_it_was():
    """Whatever a test leaves, the others of this scenario begin with the default."""
    yield
    proxied.deploy()


def given(folder: Path, certificate: bytes, key: bytes, names: tuple[str, ...] = (NAME,)) -> dict[str, object]:
    """Variables for a certificate and a key, written as files."""
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return {
        "reverse_proxy_tls": "files",
        "reverse_proxy_tls_certificate_file": str(folder / "certificate.pem"),
        "reverse_proxy_tls_key_file": str(folder / "key.pem"),
        "reverse_proxy_server_names": list(names),
    }


def refused(**variables: object) -> str:
    """What is said of variables that are refused before the host is touched, in one line."""
    check = proxied.SCENARIO / "check.yml"
    command = ["ansible-playbook", "-i", str(proxied.TESTBED), "-e", json.dumps(variables), str(check)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    output = " ".join((run.stdout + run.stderr).split())
    assert run.returncode != 0, output
    assert "PRIVATE KEY" not in output
    return output


def test_by_default_the_host_signs_its_own_for_the_addresses_that_it_has(machine: Machine):
    run = proxied.converge()
    assert run.returncode == 0, run.stdout
    assert "127.0.0.1 is no public address" in run.stdout
    assert client.fingerprint() in run.stdout
    trusted = machine(f"cat {CURRENT}/certificate.pem")
    assert client.told(client.ask(trusted=trusted))["headers"]["x-forwarded-proto"] == "https"
    facts = json.loads(machine(f"cat {CURRENT}/facts.json"))
    assert {"127.0.0.1", proxied.address()} <= set(facts["names"])
    assert facts["not_after"] - facts["not_before"] > 9 * 365 * 86400


def test_another_run_changes_nothing_and_a_check_says_so(machine: Machine):
    before = client.fingerprint()
    assert "changed=0" in proxied.converge().stdout
    command = [
        "ansible-playbook",
        "-i",
        str(proxied.TESTBED),
        str(proxied.SCENARIO / "converge.yml"),
        "--check",
        "--diff",
    ]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "changed=0" in checked.stdout, checked.stdout
    assert client.fingerprint() == before


def test_it_is_made_anew_when_its_names_change_and_the_key_stays(machine: Machine):
    before, key = client.fingerprint(), machine(f"sha256sum < {CURRENT}/key.pem")
    proxied.deploy(reverse_proxy_server_names=["models.internal"])
    assert client.fingerprint() != before
    assert machine(f"sha256sum < {CURRENT}/key.pem") == key
    assert "models.internal" in machine(f"{TOOL} show")
    proxied.deploy()
    assert "models.internal" not in machine(f"{TOOL} show")


def test_no_one_but_nginx_reads_the_key_and_it_is_in_no_log(machine: Machine):
    assert machine(f"stat -c '%u %g %a' {CURRENT}/key.pem").split() == ["0", "10002", "640"]
    reading = "setpriv --reuid {0} --regid {0} --clear-groups cat {1}/key.pem 2>&1 || true"
    assert "PRIVATE KEY" in machine(reading.format(10002, CURRENT))
    assert "Permission denied" in machine(reading.format(10003, CURRENT))
    assert "PRIVATE KEY" not in machine("docker logs modelhost-proxy 2>&1; journalctl --no-pager")


def test_browsers_are_not_bound_to_a_certificate_that_they_do_not_accept():
    assert "strict-transport-security" not in client.ask()[1]


def test_your_own_is_served_and_a_new_one_takes_its_place_without_a_reload(machine: Machine, tmp_path: Path):
    first = make([NAME], NOW - DAY, NOW + 90 * DAY)
    proxied.deploy(**given(tmp_path, *first))
    running = machine(WORKERS)
    assert client.ask(trusted=first[0].decode(), name=NAME)[0] == 200
    second = make(["*.example.com"], NOW - DAY, NOW + 90 * DAY)
    variables = given(tmp_path, *second)
    proxied.deploy(**variables)
    assert client.ask(trusted=second[0].decode(), name=NAME)[0] == 200
    assert machine(WORKERS) == running
    assert len(machine("ls /srv/modelhost/proxy/tls/certificates").split()) == 1
    again = proxied.converge(**variables)
    assert "changed=0" in again.stdout, again.stdout


def test_your_key_may_be_encrypted_by_vault(tmp_path: Path):
    certificate, key = make([NAME], NOW - DAY, NOW + 90 * DAY)
    variables = given(tmp_path, certificate, key)
    (tmp_path / "password").write_text("a password")
    vault = ["--vault-password-file", str(tmp_path / "password")]
    subprocess.run(["ansible-vault", "encrypt", *vault, tmp_path / "key.pem"], check=True, capture_output=True)
    assert "cannot be decrypted: give --vault-password-file" in refused(**variables)
    command = ["ansible-playbook", "-i", str(proxied.TESTBED), "-e", json.dumps(variables), *vault, "--diff", "-v"]
    run = subprocess.run([*command, proxied.SCENARIO / "converge.yml"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "PRIVATE KEY" not in run.stdout + run.stderr
    assert client.ask(trusted=certificate.decode(), name=NAME)[0] == 200


@pytest.mark.parametrize(
    ("names", "since", "until", "said"),
    [
        ([NAME], NOW - 9 * DAY, NOW - DAY, "expired on"),
        ([NAME], NOW + DAY, NOW + 9 * DAY, "is not valid before"),
        (["other.example.com"], NOW - DAY, NOW + DAY, "is for other.example.com, and not for models.example.com"),
    ],
)
def test_a_certificate_that_clients_would_refuse_is_refused_first(tmp_path: Path, names, since, until, said):
    assert said in refused(**given(tmp_path, *make(names, since, until)))


def test_files_that_are_not_what_they_should_be_are_refused(tmp_path: Path):
    certificate, key = make([NAME], NOW - DAY, NOW + DAY)
    other = make([NAME], NOW - DAY, NOW + DAY)[1]
    assert "is not the certificate's key" in refused(**given(tmp_path, certificate, other))
    assert "holds no certificate in PEM" in refused(**given(tmp_path, b"nothing", key))
    assert "holds no private key in PEM" in refused(**given(tmp_path, certificate, b"nothing"))
    variables = given(tmp_path, certificate, key) | {"reverse_proxy_tls_key_file": str(tmp_path / "none.pem")}
    assert "none.pem, but that file cannot be read" in refused(**variables)
    assert "must be a file, because reverse_proxy_tls is files" in refused(
        **{**variables, "reverse_proxy_tls_key_file": ""}
    )


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"reverse_proxy_tls": "acme"}, "127.0.0.1 is no public address"),
        ({"reverse_proxy_https_port": 80}, "other than SSH's 22 and reverse_proxy_http_port"),
        ({"reverse_proxy_acme_directory": "http://issuer/dir"}, "the URL of an ACME directory"),
        ({"reverse_proxy_acme_email": "someone"}, "an address, or empty"),
        ({"reverse_proxy_acme_ca_file": "/no/such.pem"}, "a file that is there, or empty"),
        ({"reverse_proxy_tls": "acme", "reverse_proxy_server_names": ["*.example.com"]}, "without a *"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(variables, said):
    assert said in refused(**variables)


@pytest.mark.parametrize("off", ["off", False])
def test_off_is_off_as_yaml_reads_it_and_leaves_nothing(machine: Machine, off):
    proxied.deploy()
    proxied.deploy(reverse_proxy_tls=off)
    assert proxied.ask().status == 200
    assert ":443 " not in machine("ss -Hltn")
    elsewhere = f"{TOOL} /etc/systemd/system/modelhost-*"
    left = machine(f"ls -A /srv/modelhost/proxy/tls; ls {elsewhere} /srv/modelhost/proxy 2>/dev/null || true")
    assert left.split() == ["/srv/modelhost/proxy:", "compose.yml", "conf", "tls"]
    assert "changed=0" in proxied.converge(reverse_proxy_tls=off).stdout
    proxied.deploy()
    assert client.ask()[0] == 200


def test_the_end_of_the_certificate_is_a_metric_for_whoever_may_read_metrics(machine: Machine):
    assert client.ask("/metrics/certificate")[0] == 403
    found = machine("curl -s http://127.0.0.1/metrics/certificate")
    facts = json.loads(machine(f"cat {CURRENT}/facts.json"))
    assert f'not_after_timestamp_seconds{{kind="selfsigned"}} {facts["not_after"]}' in found
    assert "modelhost_certificate_failed 0" in found
