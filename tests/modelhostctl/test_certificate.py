"""What a status says of the certificate that nginx serves."""

import json
import re
import time

from modelhostctl.host.layout import Layout
from modelhostctl.view.certificate import certificate_lines, read_certificate

YEAR = 365 * 86400


def serving(layout: Layout, **facts: object) -> None:
    layout.certificate.parent.mkdir(parents=True)
    layout.certificate.write_text(
        json.dumps({"names": ["10.0.0.5"], "not_after": 1800000000, "sha256": "AB:CD"} | facts)
    )


def test_without_tls_nothing_is_said(tmp_path):
    assert certificate_lines(read_certificate(Layout(tmp_path))) == []


def of_its_own_ca(layout: Layout, left: int = 9 * YEAR, **facts: object) -> list[str]:
    authority = {"sha256": "12:34", "file": "/srv/ca.pem", "not_after": int(time.time()) + left}
    signed = {"kind": "selfsigned", "subject": "CN=modelhost", "issuer": "CN=modelhost CA", "authority": authority}
    serving(layout, **(signed | {"replaced": None} | facts))
    return certificate_lines(read_certificate(layout))


def test_of_one_of_the_hosts_own_ca_that_cas_file_end_and_fingerprint_are_shown(tmp_path):
    lines = of_its_own_ca(Layout(tmp_path))
    assert lines[0] == "certificate: from this host's own CA, for 10.0.0.5, until 2027-01-15 08:00 UTC"
    assert re.fullmatch(r"certificate: clients trust /srv/ca\.pem, until 20\d\d-\d\d-\d\d \d\d:\d\d UTC", lines[1])
    assert lines[2:] == ["certificate: SHA-256 of the CA 12:34"]


def test_a_ca_near_its_end_and_one_that_is_new_are_said(tmp_path):
    assert "less than a year" in of_its_own_ca(Layout(tmp_path / "old"), left=YEAR // 2)[-1]
    assert "(SHA-256 56:78) need the CA's file" in of_its_own_ca(Layout(tmp_path / "new"), replaced="56:78")[-1]


def test_one_that_clients_trust_itself_says_how_they_get_to_the_ca(tmp_path):
    serving(Layout(tmp_path), kind="selfsigned", subject="CN=10.0.0.5", issuer="CN=10.0.0.5")
    first, fingerprint, *hint = certificate_lines(read_certificate(Layout(tmp_path)))
    assert first == "certificate: signed by itself, for 10.0.0.5, until 2027-01-15 08:00 UTC"
    assert fingerprint == "certificate: SHA-256 AB:CD"
    assert str(Layout(tmp_path).certificate_authority) in hint[0]
    assert "modelhost-certificate renew --now" in hint[1]


def test_a_renewal_that_failed_is_said(tmp_path):
    layout = Layout(tmp_path)
    serving(layout, kind="acme")
    layout.certificate_problem.write_text('{"since": 1, "reason": "the issuer gave none"}')
    assert certificate_lines(read_certificate(layout))[-1] == "certificate: the issuer gave none"
