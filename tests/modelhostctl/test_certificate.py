"""What a status says of the certificate that nginx serves."""

import json

from modelhostctl.host.layout import Layout
from modelhostctl.view.certificate import certificate_lines, read_certificate


def serving(layout: Layout, **facts: object) -> None:
    layout.certificate.parent.mkdir(parents=True)
    layout.certificate.write_text(
        json.dumps({"names": ["10.0.0.5"], "not_after": 1800000000, "sha256": "AB:CD"} | facts)
    )


def test_without_tls_nothing_is_said(tmp_path):
    assert certificate_lines(read_certificate(Layout(tmp_path))) == []


def test_the_fingerprint_of_one_that_the_host_signed_is_shown(tmp_path):
    serving(Layout(tmp_path), kind="selfsigned")
    assert certificate_lines(read_certificate(Layout(tmp_path))) == [
        "certificate: signed by this host itself, for 10.0.0.5, until 2027-01-15 08:00 UTC",
        "certificate: SHA-256 AB:CD",
    ]


def test_a_renewal_that_failed_is_said(tmp_path):
    layout = Layout(tmp_path)
    serving(layout, kind="acme")
    layout.certificate_problem.write_text('{"since": 1, "reason": "the issuer gave none"}')
    assert certificate_lines(read_certificate(layout))[-1] == "certificate: the issuer gave none"
