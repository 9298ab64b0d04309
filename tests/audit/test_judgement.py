"""What is judged a warning, or a second answer, is one; and nothing else is."""

import copy

import pytest
from benchmark import RULES, Host, judge
from checks.smuggling import encode
from checks.smuggling import judge as judge_answer
from checks.tls import only_trust
from payloads import payloads
from readers.testssl import Finding

HOST = Host(
    {"SecurityOptions": ["name=seccomp,profile=builtin"], "Swarm": {"LocalNodeState": "inactive"}},
    "chain output { meta skuid 10002 jump proxy }",
)
PROXY = {
    "Name": "/modelhost-proxy",
    "AppArmorProfile": "",
    "Processes": "PID UID COMMAND\n7 10002 nginx\n",
    "Mounts": [{"Type": "bind", "Source": "/srv/modelhost/proxy/conf", "Propagation": "rprivate"}],
    "Config": {"User": "10002:10002", "Image": "modelhost-proxy:1", "Healthcheck": {"Test": ["CMD", "true"]}},
    "HostConfig": {
        "CapAdd": None, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"], "Privileged": False,
        "PortBindings": {}, "NetworkMode": "host", "Memory": 1, "CpuShares": 2048, "NanoCpus": 0,
        "ReadonlyRootfs": True, "RestartPolicy": {"MaximumRetryCount": 0}, "PidMode": "", "IpcMode": "private",
        "Devices": None, "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}], "UTSMode": "", "CgroupParent": "",
        "PidsLimit": 64, "UsernsMode": "",
    },
}  # fmt: skip


def warned(container: dict, host: Host = HOST) -> set[str]:
    told = [verdict for rule in RULES for verdict in judge(rule, [container], host) if verdict.kind == "warning"]
    return {verdict.words.split()[0] for verdict in told}


def test_a_container_that_keeps_every_rule_is_not_warned_of():
    assert warned(PROXY) == set()


@pytest.mark.parametrize(
    ("rules", "setting", "value"),
    [
        ({"5.4", "5.10"}, "CapAdd", ["NET_ADMIN"]),
        ({"5.4", "5.10"}, "CapDrop", None),
        ({"5.5"}, "Privileged", True),
        ({"5.8", "5.14"}, "PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
        ({"5.11"}, "Memory", 0),
        ({"5.12"}, "CpuShares", 0),
        ({"5.13"}, "ReadonlyRootfs", False),
        ({"5.16"}, "PidMode", "host"),
        ({"5.19"}, "Ulimits", None),
        ({"5.22"}, "SecurityOpt", ["no-new-privileges:true", "seccomp:unconfined"]),
        ({"5.10", "5.26"}, "SecurityOpt", None),
        ({"5.29"}, "PidsLimit", None),
        ({"5.30"}, "NetworkMode", "bridge"),
    ],
)
def test_a_setting_that_breaks_a_rule_is_warned_of(rules, setting, value):
    container = copy.deepcopy(PROXY)
    container["HostConfig"][setting] = value
    assert warned(container) == rules


def test_the_hosts_network_is_excused_only_for_nginx_that_the_firewall_holds_back():
    assert warned(PROXY | {"Name": "/another"}) == {"5.10"}
    assert warned(PROXY, Host(HOST.engine, "")) == {"5.10"}
    root = copy.deepcopy(PROXY)
    root["Config"]["User"] = ""
    assert warned(root) == {"5.10"}


def test_where_the_kernel_has_apparmor_a_profile_is_asked_for():
    host = Host(HOST.engine | {"SecurityOptions": ["name=apparmor"]}, HOST.firewall)
    assert warned(PROXY, host) == {"5.2"}


def told(received: bytes, probe: str = "") -> str:
    return judge_answer({"name": "x", "received": encode(received), "probe": probe})


ONE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"


def test_one_answer_or_none_is_right():
    assert told(ONE) == told(b"") == told(b"HTTP/1.1 100 Continue\r\n\r\n" + ONE) == ""
    # What the error repeats of the request is no answer.
    assert told(ONE + b'{"received": "GET / HTTP/1.1\\r\\nX-Request-ID: hidden-request\\r\\n"}') == ""


def test_a_second_answer_or_somebody_elses_is_seen():
    assert "2 answers" in told(ONE + ONE)
    assert "1 answers" in told(ONE.replace(b"\r\n\r\n", b"\r\nX-Request-Id: hidden-request\r\n\r\n"))
    assert "the next client" in told(ONE, "b'HTTP/1.1 404'")


def test_there_are_enough_payloads_and_each_hides_a_request():
    listed = payloads("host", "key")
    assert len({one.name for one in listed}) == len(listed) >= 40
    assert all(one.sent.count(b"X-Request-ID: hidden-request") == 1 for one in listed)


@pytest.mark.parametrize(
    ("caps", "trust"),
    [
        (
            [
                "Grade capped to T. Issues with the chain of trust (self signed)",
                "Grade capped to A. HSTS is not offered",
            ],
            True,
        ),
        (
            ["Grade capped to T. Issues with the chain of trust (self signed)", "Grade capped to B. TLS 1.0 offered"],
            False,
        ),
        (["Grade capped to T. Certificate has expired"], False),
    ],
)
def test_a_bad_grade_is_excused_by_the_want_of_trust_alone(caps, trust):
    listed = [Finding(f"grade_cap_reason_{number}", "INFO", words) for number, words in enumerate(caps, 1)]
    assert only_trust(listed) == trust
