"""The host's own certificate, the owner's, and none: what is served, what is refused, and what is left."""

import base64
import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import client
import proxied
import pytest
import requests
from made_certificates import make

CURRENT = "/srv/modelhost/proxy/tls/current"
AUTHORITY = "/srv/modelhost/proxy/certificate-authority"
TOOL = "/usr/local/bin/modelhost-certificate"
NOW, A_DAY = datetime.now(UTC), timedelta(days=1)
DAY = 86400
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


def ca(machine: Machine) -> str:
    """What clients are given."""
    return machine(f"cat {AUTHORITY}/ca.pem")


def facts(machine: Machine) -> dict[str, Any]:
    """What the tool keeps of the certificate that is served."""
    return json.loads(machine(f"cat {CURRENT}/facts.json"))


def lasts(found: dict[str, Any]) -> int:
    """From its beginning to its end, in seconds."""
    return found["not_after"] - found["not_before"]


def put(machine: Machine, path: str, text: str) -> None:
    """Write a file on the machine."""
    machine(f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > {path}")


def in_a_while(machine: Machine, days: int) -> None:
    """Let the CA have so long left, for the tool."""
    known = json.loads(machine(f"cat {AUTHORITY}/facts.json"))
    put(machine, f"{AUTHORITY}/facts.json", json.dumps(known | {"not_after": int(time.time()) + days * DAY}))


def as_of_an_older_version(machine: Machine, certificate: bytes, key: bytes, names: list[str]) -> None:
    """Leave what the host had before it had a CA, with the facts that were kept then."""
    known = facts(machine)
    subject = machine(f"openssl x509 -noout -subject <<'EOF'\n{certificate.decode()}\nEOF").strip()
    old = {"subject": subject, "issuer": subject, "names": names, "sha256": client.fingerprint_of(certificate.decode())}
    old |= {"not_before": int(time.time()) - DAY, "not_after": int(time.time()) + 3650 * DAY, "has_name": False}
    old |= {"wanted": known["wanted"], "kind": "selfsigned"}
    machine(f"rm -r {AUTHORITY}")
    put(machine, f"{CURRENT}/certificate.pem", certificate.decode())
    put(machine, f"{CURRENT}/key.pem", key.decode())
    put(machine, f"{CURRENT}/facts.json", json.dumps(old))


def refused(**variables: object) -> str:
    """What is said of variables that are refused before the host is touched, in one line."""
    check = proxied.SCENARIO / "check.yml"
    command = ["ansible-playbook", "-i", str(proxied.TESTBED), "-e", json.dumps(variables), str(check)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    output = " ".join((run.stdout + run.stderr).split())
    assert run.returncode != 0, output
    assert "PRIVATE KEY" not in output
    return output


def test_by_default_a_ca_of_the_host_signs_for_the_addresses_that_it_has(machine: Machine):
    run = proxied.converge()
    assert run.returncode == 0, run.stdout
    assert "127.0.0.1 is no public address" in run.stdout
    assert client.fingerprint_of(ca(machine)) in run.stdout
    assert client.told(client.ask(trusted=ca(machine)))["headers"]["x-forwarded-proto"] == "https"
    found = facts(machine)
    assert {"127.0.0.1", proxied.address()} <= set(found["names"])
    assert 90 * DAY <= lasts(found) < 91 * DAY
    assert found["not_before"] <= NOW.timestamp()
    # By which the machine that deploys knows the host.
    assert json.loads(machine(f"{TOOL} show --json"))["sha256"] == client.fingerprint()


def test_curl_requests_openssl_and_gnutls_accept_what_they_were_given(machine: Machine, tmp_path: Path):
    given_file = tmp_path / "modelhost.pem"
    given_file.write_text(ca(machine))
    url = f"https://{proxied.address()}/"
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", given_file, url]
    assert subprocess.check_output(asked, text=True) == "200"
    assert requests.get(url, verify=str(given_file), timeout=20).status_code == 200
    strict = f"openssl verify -x509_strict -purpose sslserver -verify_ip {proxied.address()} -CAfile {AUTHORITY}/ca.pem"
    assert machine(f"{strict} {CURRENT}/certificate.pem").endswith(": OK\n")
    gnutls = f"certtool --verify --load-ca-certificate {AUTHORITY}/ca.pem --verify-hostname {proxied.address()}"
    assert "Output: Verified" in machine(f"{gnutls} --infile {CURRENT}/certificate.pem || true")


def test_the_ca_can_vouch_for_this_host_alone(machine: Machine):
    """As if someone else had its key: what it signs for another site is accepted by no one."""
    machine(
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=other"
        f" | openssl x509 -req -CA {AUTHORITY}/ca.pem -CAkey {AUTHORITY}/ca.key -days 9 -out /tmp/other.pem"
        " -extfile <(echo subjectAltName=DNS:other.example.com) 2>/dev/null"
    )
    refused = machine(f"openssl verify -CAfile {AUTHORITY}/ca.pem /tmp/other.pem 2>&1 || true")
    assert "permitted subtree violation" in refused
    text = machine(f"openssl x509 -in {AUTHORITY}/ca.pem -noout -text")
    for words in ("CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "Name Constraints: critical", "DNS:invalid"):
        assert words in text


def test_it_is_renewed_at_half_of_its_time_and_clients_need_nothing_new(machine: Machine):
    before, trusted = client.fingerprint(), ca(machine)
    client.age(machine, days=44)
    machine("systemctl start modelhost-certificate.service")
    assert client.fingerprint() == before
    client.age(machine, days=2)
    machine("systemctl start modelhost-certificate.service")
    assert client.fingerprint() != before
    assert client.ask(trusted=trusted)[0] == 200
    assert ca(machine) == trusted
    assert "need the CA's file" not in machine(f"{TOOL} show")


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


def test_with_new_names_it_is_made_anew_and_its_key_stays(machine: Machine):
    before, key, trusted = client.fingerprint(), machine(f"sha256sum < {CURRENT}/key.pem"), ca(machine)
    proxied.deploy(reverse_proxy_server_names=["models.internal"])
    assert client.fingerprint() != before
    assert machine(f"sha256sum < {CURRENT}/key.pem") == key
    said = machine(f"{TOOL} show")
    assert "models.internal" in said
    # The CA could not vouch for it, so that there is another one.
    assert f"clients that trust the one before (SHA-256 {client.fingerprint_of(trusted)}) need the CA's file" in said
    trusted = ca(machine)
    assert client.ask(trusted=trusted, name="models.internal")[0] == 200
    for names in (["a.models.internal"], ["_"]):
        proxied.deploy(reverse_proxy_server_names=names)
        # A name below one that it vouches for, and one less, leave clients what they have.
        assert ca(machine) == trusted
        assert "models.internal" in machine(f"{TOOL} show") or names == ["_"]
        assert client.ask(trusted=trusted)[0] == 200


def test_a_ca_that_is_taken_away_is_made_anew_at_the_next_look(machine: Machine):
    before = ca(machine)
    machine(f"rm -r {AUTHORITY} && {TOOL} renew")
    assert ca(machine) != before
    assert client.ask(trusted=ca(machine))[0] == 200
    assert "need the CA's file" in machine(f"{TOOL} show")


def test_a_ca_says_that_it_ends_and_none_outlives_it(machine: Machine):
    before = ca(machine)
    in_a_while(machine, days=300)
    machine(f"{TOOL} renew --now")
    assert "the CA ends in less than a year" in machine(f"{TOOL} show")
    assert "authority_not_after" in machine("curl -s http://127.0.0.1/metrics/certificate")
    assert ca(machine) == before
    in_a_while(machine, days=89)
    machine(f"{TOOL} renew --now")
    assert ca(machine) != before
    assert "less than a year" not in machine(f"{TOOL} show")


def test_one_of_ten_years_is_served_until_someone_asks_and_clients_can_have_both(machine: Machine):
    """As an older version has left it: it signs itself, and clients trust it as it is."""
    names = [name for name in facts(machine)["names"] if ":" not in name]
    old, key = make(names, NOW - A_DAY, NOW + 3650 * A_DAY)
    as_of_an_older_version(machine, old, key, names)
    shown = client.fingerprint()
    run = proxied.converge()
    assert run.returncode == 0, run.stdout
    machine("systemctl start modelhost-certificate.service")
    assert client.fingerprint() == shown
    assert client.ask(trusted=old.decode())[0] == 200
    assert shown in run.stdout
    assert f"give clients {AUTHORITY}/ca.pem as well" in run.stdout
    assert "changed=0" in proxied.converge().stdout
    both = old.decode() + ca(machine)
    assert client.ask(trusted=both)[0] == 200
    assert "need the CA's file" in machine(f"{TOOL} renew --now")
    assert client.fingerprint() != shown
    assert client.ask(trusted=both)[0] == 200


def test_no_one_but_nginx_reads_the_key_and_no_one_but_root_the_cas(machine: Machine):
    assert machine(f"stat -c '%u %g %a' {CURRENT}/key.pem").split() == ["0", "10002", "640"]
    assert machine(f"stat -c '%u %g %a' {AUTHORITY}/ca.key {AUTHORITY}/ca.pem").split() == [*"00", "600", *"00", "644"]
    reading = "setpriv --reuid {0} --regid {0} --clear-groups cat {1} 2>&1 || true"
    assert "PRIVATE KEY" in machine(reading.format(10002, f"{CURRENT}/key.pem"))
    assert "Permission denied" in machine(reading.format(10003, f"{CURRENT}/key.pem"))
    for uid in (10002, 10003):
        assert "Permission denied" in machine(reading.format(uid, f"{AUTHORITY}/ca.key"))
    assert "BEGIN CERTIFICATE" in machine(reading.format(10003, f"{AUTHORITY}/ca.pem"))
    assert AUTHORITY not in machine("docker inspect modelhost-proxy")
    assert "PRIVATE KEY" not in machine("docker logs modelhost-proxy 2>&1; journalctl --no-pager")


def test_browsers_are_not_bound_to_a_certificate_that_they_do_not_accept(machine: Machine, tmp_path: Path):
    proxied.deploy(reverse_proxy_tls="selfsigned", reverse_proxy_server_names=[NAME])
    assert client.ask(trusted=ca(machine), name=NAME)[0] == 200
    assert "strict-transport-security" not in client.ask(name=NAME)[1]
    # Nor where someone takes it for one of an issuer.
    taken = [machine(f"cat {CURRENT}/{file}").encode() for file in ("certificate.pem", "key.pem")]
    proxied.deploy(**given(tmp_path, taken[0], taken[1]))
    assert facts(machine)["kind"] == "files"
    assert "strict-transport-security" not in client.ask(name=NAME)[1]


def test_your_own_is_served_and_a_new_one_takes_its_place_without_a_reload(machine: Machine, tmp_path: Path):
    first = make([NAME], NOW - A_DAY, NOW + 90 * A_DAY)
    proxied.deploy(**given(tmp_path, *first))
    running = machine(WORKERS)
    assert client.ask(trusted=first[0].decode(), name=NAME)[0] == 200
    second = make(["*.example.com"], NOW - A_DAY, NOW + 90 * A_DAY)
    variables = given(tmp_path, *second)
    proxied.deploy(**variables)
    assert client.ask(trusted=second[0].decode(), name=NAME)[0] == 200
    assert machine(WORKERS) == running
    assert len(machine("ls /srv/modelhost/proxy/tls/certificates").split()) == 1
    again = proxied.converge(**variables)
    assert "changed=0" in again.stdout, again.stdout


def test_your_key_may_be_encrypted_by_vault(tmp_path: Path):
    certificate, key = make([NAME], NOW - A_DAY, NOW + 90 * A_DAY)
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
        ([NAME], NOW - 9 * A_DAY, NOW - A_DAY, "expired on"),
        ([NAME], NOW + A_DAY, NOW + 9 * A_DAY, "is not valid before"),
        (["other.example.com"], NOW - A_DAY, NOW + A_DAY, "is for other.example.com, and not for models.example.com"),
    ],
)
def test_a_certificate_that_clients_would_refuse_is_refused_first(tmp_path: Path, names, since, until, said):
    assert said in refused(**given(tmp_path, *make(names, since, until)))


def test_files_that_are_not_what_they_should_be_are_refused(tmp_path: Path):
    certificate, key = make([NAME], NOW - A_DAY, NOW + A_DAY)
    other = make([NAME], NOW - A_DAY, NOW + A_DAY)[1]
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
    assert f'not_after_timestamp_seconds{{kind="selfsigned"}} {facts(machine)["not_after"]}' in found
    assert "modelhost_certificate_failed 0" in found
