"""What nmap, testssl.sh, wrk, lynis and slowhttptest print is read right, or refused."""

import json

import pytest
from readers import lynis, nmap, slowhttptest, testssl, wrk

NMAP = """<?xml version="1.0"?>
<nmaprun scanner="nmap"><scaninfo type="syn" protocol="tcp" numservices="65535" services="1-65535"/>
<host><status state="up"/><address addr="10.0.0.2" addrtype="ipv4"/>
<ports><extraports state="closed" count="65532"/>
<port protocol="tcp" portid="22"><state state="open" reason="syn-ack"/></port>
<port protocol="tcp" portid="443"><state state="open" reason="syn-ack"/></port>
<port protocol="tcp" portid="8080"><state state="filtered" reason="no-response"/></port></ports></host>
<runstats><finished exit="success"/></runstats></nmaprun>"""


def test_open_ports_are_those_that_nmap_found_open():
    assert nmap.open_ports(NMAP) == {22, 443}
    assert nmap.scanned(NMAP) == 65535


@pytest.mark.parametrize(
    "xml",
    ["", "Failed to resolve", NMAP.replace("success", "error"), NMAP.replace("<ports>", "").replace("</ports>", "")],
)  # fmt: skip
def test_a_scan_that_saw_no_host_is_not_one_without_open_ports(xml):
    with pytest.raises(ValueError, match="nmap"):
        nmap.open_ports(xml)


def findings(*severities: str, end: str = "83") -> str:
    listed = [{"id": f"f{number}", "severity": level, "finding": "x"} for number, level in enumerate(severities)]
    return json.dumps([*listed, {"id": "scanTime", "severity": "INFO", "finding": end}])


def test_findings_count_from_medium_on_and_so_does_what_could_not_be_found_out():
    told = testssl.findings(findings("OK", "INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"))
    assert [one.severity for one in testssl.counting(told)] == ["MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"]


@pytest.mark.parametrize("text", ["", "[]", "[{}]", findings("OK", end="Scan interrupted"), '{"a": 1}'])
def test_a_scan_of_tls_that_was_cut_off_is_refused(text):
    with pytest.raises(ValueError, match=r"testssl\.sh"):
        testssl.findings(text)


def test_wrk_is_read_by_its_mark():
    assert wrk.figures('Running 5s test\nfigures: {"requests": 5, "refused": 4}\n') == {"requests": 5, "refused": 4}
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.figures("unable to connect to 10.0.0.2:443 Connection refused")


LYNIS = """report_version_major=1
warning[]=PKGS-7392|Found vulnerable packages|-|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|Port (set 22 to )|-|
suggestion[]=BANN-7126|Add a legal banner|-|-|
hardening_index=68
"""


def test_lynis_is_read():
    told = lynis.report(LYNIS)
    assert told.index == 68
    assert told.warnings == ["PKGS-7392 Found vulnerable packages"]
    assert told.suggestions == [
        "SSH-7408 Consider hardening SSH configuration: Port (set 22 to )", "BANN-7126 Add a legal banner",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="lynis"):
        lynis.report(LYNIS.replace("hardening_index=68", ""))


SLOW = """
\x1b[0m slow HTTP test status on 5th second:
initializing:        0
pending:             12
connected:           988
error:               0
closed:              0
service available:   \x1b[1;32mYES\x1b[0m

slow HTTP test status on 10th second:
initializing:        0
pending:             0
connected:           700
error:               0
closed:              300
service available:   YES
Test ended on 10th second
Exit status:       Hit test time limit
"""


def test_slowhttptest_is_read():
    assert slowhttptest.most_connected(SLOW) == 988
    assert slowhttptest.ending(SLOW)["exit"] == "Hit test time limit"
    with pytest.raises(ValueError, match="slowhttptest"):
        slowhttptest.ending("Cannot connect")
