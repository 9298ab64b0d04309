"""Section 5 of the CIS Docker Benchmark 1.6.0 as a table, read from `docker inspect`.

A rule says what is wrong with a container, or nothing. Where the benchmark itself leaves a rule to a reason ("unless
there is a very specific reason"), that reason is a condition here and is measured too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Container = dict[str, Any]
SENSITIVE = ["/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"]
PROXY = "modelhost-proxy"


@dataclass(frozen=True)
class Host:
    """What is asked of the machine beside its containers."""

    engine: dict[str, Any]  # docker info
    firewall: str

    def has(self, framework: str) -> bool:
        """Whether its kernel has AppArmor or SELinux."""
        return any(framework in option for option in self.engine["SecurityOptions"])


@dataclass(frozen=True)
class Rule:
    """One recommendation. `wrong` gives what is wrong, `reason` why it does not apply, if that is so."""

    number: str
    words: str
    wrong: Callable[[Container, Host], Any]
    reason: Callable[[Container, Host], str] = lambda container, host: ""


@dataclass(frozen=True)
class Verdict:
    """What a rule says of one container."""

    kind: str  # warning, or not applicable
    words: str


def judge(rule: Rule, containers: list[Container], host: Host) -> Iterator[Verdict]:
    """Those of a rule that are not a plain yes."""
    reasons: dict[str, list[str]] = {}
    for container in containers:
        name = container["Name"].lstrip("/")
        if reason := rule.reason(container, host):
            reasons.setdefault(reason, []).append(name)
        elif wrong := rule.wrong(container, host):
            yield Verdict("warning", f"{rule.number} {rule.words}: {name}: {wrong}")
    for reason, names in reasons.items():
        yield Verdict("not applicable", f"{rule.number} {rule.words}: not applicable to {', '.join(names)}: {reason}")


def host_config(name: str) -> Callable[[Container, Host], Any]:
    """A setting that has to be absent."""
    return lambda container, host: container["HostConfig"][name]


def host_config_is(name: str, *values: Any) -> Callable[[Container, Host], Any]:
    """A setting that may be none of these."""
    return lambda container, host: f"{name} is {value}" if (value := container["HostConfig"][name]) in values else ""


def option(container: Container, name: str) -> str:
    """A security option's value."""
    found = [
        one.partition(":")[2] for one in container["HostConfig"]["SecurityOpt"] or [] if one.partition(":")[0] == name
    ]
    return found[0] if found else ""


def why_on_the_hosts_network(container: Container, host: Host) -> str:
    """What the benchmark fears of it is not there: root's ports, other services of the host, its shutdown."""
    config = container["HostConfig"]
    bare = config["CapDrop"] == ["ALL"] and not config["CapAdd"] and option(container, "no-new-privileges") == "true"
    user = container["Config"]["User"].partition(":")[0]
    held_back = user not in {"", "0", "root"} and f"meta skuid {user} jump proxy" in host.firewall
    if not (container["Name"] == f"/{PROXY}" and bare and held_back):
        return ""
    return (
        "a published port would pass the host's firewall by and hide who asks; it runs without root and without any "
        "capability, and the firewall lets its account reach no other service of the host"
    )


def framework(name: str) -> Callable[[Container, Host], str]:
    """Why a rule does not apply where the kernel has no such framework."""
    return lambda container, host: "" if host.has(name) else f"this kernel has no {name}"


def by_hand(why: str) -> Callable[[Container, Host], str]:
    """For rules about what people type, which no container shows."""
    return lambda container, host: why


def sensitive_mounts(container: Container, host: Host) -> list[str]:
    """Folders of the host that are."""
    return [
        mount["Source"] for mount in container["Mounts"] if mount["Type"] == "bind" and mount["Source"] in SENSITIVE
    ]


RULES = [
    Rule("5.1", "swarm mode is off", lambda c, h: h.engine["Swarm"]["LocalNodeState"] != "inactive"),
    Rule("5.2", "an AppArmor profile", lambda c, h: not c["AppArmorProfile"] and "none", framework("apparmor")),
    Rule("5.3", "SELinux's options", lambda c, h: not option(c, "label") and "none", framework("selinux")),
    Rule("5.4", "capabilities are restricted",
         lambda c, h: c["HostConfig"]["CapAdd"] or c["HostConfig"]["CapDrop"] != ["ALL"]),
    Rule("5.5", "not privileged", host_config("Privileged")),
    Rule("5.6", "no sensitive folder of the host", sensitive_mounts),
    Rule("5.7", "no sshd inside", lambda c, h: "sshd" in c["Processes"]),
    Rule("5.8", "no privileged port is mapped", host_config("PortBindings")),
    Rule("5.9", "only needed ports are open", lambda c, h: c["Config"].get("ExposedPorts")),
    Rule("5.10", "not the host's network", host_config_is("NetworkMode", "host"), why_on_the_hosts_network),
    Rule("5.11", "memory is limited", host_config_is("Memory", 0)),
    Rule("5.12", "CPU priority is set",
         lambda c, h: not (c["HostConfig"]["CpuShares"] or c["HostConfig"]["NanoCpus"]) and "no shares, no limit"),
    Rule("5.13", "its root is read-only", host_config_is("ReadonlyRootfs", False)),
    Rule("5.14", "ports are bound to one interface", host_config("PortBindings")),
    Rule("5.15", "is restarted after a failure at most five times",
         lambda c, h: c["HostConfig"]["RestartPolicy"]["MaximumRetryCount"] > 5),
    Rule("5.16", "not the host's processes", host_config_is("PidMode", "host")),
    Rule("5.17", "not the host's IPC", host_config_is("IpcMode", "host")),
    Rule("5.18", "no device of the host", host_config("Devices")),
    Rule("5.19", "ulimits are overwritten where needed",
         lambda c, h: "core" not in {one["Name"] for one in c["HostConfig"]["Ulimits"] or []} and "core dumps are on"),
    Rule("5.20", "no shared mount",
         lambda c, h: [one["Source"] for one in c["Mounts"] if one.get("Propagation") == "shared"]),
    Rule("5.21", "not the host's UTS", host_config_is("UTSMode", "host")),
    Rule("5.22", "the default seccomp profile", lambda c, h: option(c, "seccomp") == "unconfined"),
    Rule("5.23", "no `docker exec --privileged`", lambda c, h: "", by_hand("it is about what people type")),
    Rule("5.24", "no `docker exec --user=root`", lambda c, h: "", by_hand("it is about what people type")),
    Rule("5.25", "cgroups are the usual ones", host_config("CgroupParent")),
    Rule("5.26", "no new privileges", lambda c, h: option(c, "no-new-privileges") != "true"),
    Rule("5.27", "health is checked",
         lambda c, h: not (c["Config"].get("Healthcheck") or {}).get("Test") and "no check"),
    Rule("5.28", "the newest image", lambda c, h: c["Config"]["Image"].endswith(":latest")),
    Rule("5.29", "the number of processes is limited", lambda c, h: (c["HostConfig"]["PidsLimit"] or 0) <= 0),
    Rule("5.30", "not the bridge docker0", host_config_is("NetworkMode", "default", "bridge")),
    Rule("5.31", "not the host's user namespace", host_config_is("UsernsMode", "host")),
    Rule("5.32", "not the engine's socket",
         lambda c, h: [one["Source"] for one in c["Mounts"] if one["Source"].endswith("docker.sock")]),
]  # fmt: skip
