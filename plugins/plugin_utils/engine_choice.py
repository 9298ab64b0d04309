"""What becomes of an engine that was here before, and what is missing: decided by what the host says of it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Settings = dict[str, Any]

# The source of the engine that each package is.
ENGINES = {"docker.io": "distribution", "docker-ce": "upstream"}
# What an engine lacks may come by another package than the whole engine would bring.
PLUGINS = {
    "docker-ce": {"compose": "docker-compose-plugin", "buildx": "docker-buildx-plugin"},
    "debian": {"compose": "docker-compose", "buildx": "docker-buildx"},
    "ubuntu": {"compose": "docker-compose-v2", "buildx": "docker-buildx"},
}
PLAIN = "insecure-registries"
# What follows from other roles' variables, and is given where nobody has said it of the engine itself.
DERIVED = {"proxies", PLAIN}
# Our compose files have start_interval, which no older one knows.
OLDEST = {"version": (25, 0), "compose": (2, 24), "buildx": (0, 10)}
# What this role has given before it kept a record.
GIVEN_WITHOUT_A_RECORD = {"icc", "live-restore", "log-driver", "log-opts", "no-new-privileges", "userland-proxy"}
# Flags of every unit, and those whose name in the file is another one: one letter, or many of a kind.
OF_THE_UNIT = {"H", "host", "containerd"}
IN_THE_FILE = {
    "log-opt": "log-opts",
    "label": "labels",
    "registry-mirror": "registry-mirrors",
    "D": "debug",
    "G": "group",
    "b": "bridge",
    "g": "data-root",
    "graph": "data-root",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "insecure-registry": PLAIN,
    "node-generic-resource": "node-generic-resources",
    "storage-opt": "storage-opts",
    **dict.fromkeys(["http-proxy", "https-proxy", "no-proxy"], "proxies"),
}


@dataclass(frozen=True)
class Wanted:
    """What the inventory says."""

    options: Settings
    # The way out of the host, for an engine that has none of its own.
    proxies: Settings
    found_engine: str
    # distribution or upstream, or which of them where no engine decides.
    source: str
    default_source: str
    distribution: str
    packages: Mapping[str, list[str]]
    additional_packages: list[str]
    plain_registries: Sequence[str] = ()
    # Whether what is derived goes, and all else stays as it is.
    forgets: bool = False


def choose(seen: Mapping[str, str], wanted: Wanted) -> dict[str, Any]:
    """All decisions, by name; `problems` are words for people, and with any nothing may be done."""
    there = _object(seen["settings"])
    record = _record(seen, there or {}, wanted)
    given = record["given"]
    known = (given, record.get("replaced", {}))
    ours = {n: v for n, v in (there or {}).items() if any(n in values and values[n] == v for values in known)}
    theirs = {name: value for name, value in (there or {}).items() if name not in ours}
    flags = _flags(seen)
    # By its unit, as Docker's manual has it. The file would win over that.
    proxied = bool(seen.get("proxied"))
    in_swarm = seen.get("swarm", "inactive") not in {"", "inactive"}
    carries = bool(seen.get("containers") or in_swarm or theirs or flags or proxied)
    packages = record["packages"]
    manages = packages == "ours" or _takes_over(seen, record, wanted, carries)
    if wanted.forgets:
        options = {n: v for n, v in ours.items() if n not in DERIVED or wanted.options.get(n) == v}
    elif manages:
        asked_for = dict(wanted.options)
        if wanted.proxies and "proxies" not in theirs and not proxied:
            asked_for.setdefault("proxies", wanted.proxies)
        if wanted.plain_registries and PLAIN not in theirs:
            asked_for.setdefault(PLAIN, list(wanted.plain_registries))
        options = {name: value for name, value in asked_for.items() if name not in flags}
    else:
        options = _for_a_kept_engine(seen, given, {*theirs, *flags}, in_swarm)
    source = wanted.source if wanted.source != "auto" else ENGINES.get(seen["engine"], wanted.default_source)
    lacks = [name for name in ("compose", "buildx") if packages == "theirs" and not seen.get(name)]
    all_settings = {**theirs, **options}
    changes = all_settings != there if (manages or options) and seen["settings"] else bool(manages or options)
    return {
        "packages": packages,
        "manages": manages,
        "manages_containerd": seen["containerd_managed"] == "yes"
        or (seen["engine"] == "none" and not seen["containerd"]),
        "source": source,
        "missing": _missing(seen, wanted, source, lacks, packages),
        "trusts_upstream": seen["repository"] == ""
        and source == "upstream"
        and (packages == "ours" or (bool(lacks) and seen["engine"] == "docker-ce")),
        "settings": all_settings,
        "text": json.dumps(all_settings, indent=4, sort_keys=True) + "\n" if changes else "",
        # A difference shows what was there as well. Any other value may be a password, of a proxy or of where logs go.
        "may_be_shown": _is_harmless(there or {}) and _is_harmless(all_settings),
        "given_a_secret": manages and _may_have_a_secret(options),
        # Before the file is written, and after it: a run may end in between, with the one file or the other.
        "record_before": _text(packages, manages, {**given, **options}, ours),
        "record": _text(packages, manages, options),
        "has_derived": bool(DERIVED & {name for values in known for name in values}),
        "problems": _problems(seen, wanted, there, {*theirs, *flags}, in_swarm, lacks, packages),
        "words": [
            *(_words(seen, options, theirs, flags, in_swarm) if packages == "theirs" and not manages else []),
            *_words_of_the_proxy(wanted, options, theirs, flags, proxied),
            *_words_of_plain_registries(wanted, options, theirs, flags),
        ],
    }


def _object(encoded: str) -> Settings | None:
    """The JSON object; {} of an empty file, None of what is none."""
    text = base64.b64decode(encoded).decode(errors="replace")
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _record(seen: Mapping[str, str], there: Settings, wanted: Wanted) -> dict[str, Any]:
    """Whose the packages and the settings are, and what was given, as an earlier run has written it down."""
    record = _object(seen["record"]) or {}
    if seen["engine"] == "none":
        return {"given": {}} | record | {"packages": "ours", "settings": "ours"}
    if record:
        return record
    if seen["managed"] == "yes":
        known = GIVEN_WITHOUT_A_RECORD | set(wanted.options)
        return {"packages": "ours", "settings": "ours", "given": {n: v for n, v in there.items() if n in known}}
    return {"packages": "theirs", "settings": "", "given": {}}


def _text(packages: str, manages: bool, given: Settings, replaced: Settings | None = None) -> str:
    record = {"packages": packages, "settings": "ours" if manages else "theirs", "given": given}
    if replaced:
        record["replaced"] = replaced
    return json.dumps(record, indent=4, sort_keys=True) + "\n"


def _flags(seen: Mapping[str, str]) -> set[str]:
    """The settings that the daemon was started with: it starts with none in both places."""
    names = re.findall(r"(?:^|\s)--?([A-Za-z][A-Za-z0-9-]*)", seen.get("flags", ""))
    return {IN_THE_FILE.get(name, name) for name in names if name not in OF_THE_UNIT}


def _takes_over(seen: Mapping[str, str], record: Mapping[str, Any], wanted: Wanted, carries: bool) -> bool:
    """Once it was decided it stays so, unless somebody says take_over."""
    if record["settings"] == "ours" or wanted.found_engine == "take_over":
        return True
    answers = seen.get("live_restore") in {"true", "false"}
    return wanted.found_engine == "auto" and not record["settings"] and answers and not carries


def _for_a_kept_engine(seen: Mapping[str, str], given: Settings, others: set[str], in_swarm: bool) -> Settings:
    """live-restore alone, which an engine takes without a restart; in a swarm it would not start with it."""
    lacks = seen.get("live_restore") == "false" or "live-restore" in given
    return {"live-restore": True} if lacks and not in_swarm and "live-restore" not in others else {}


def _is_harmless(options: Settings) -> bool:
    return set(options) <= GIVEN_WITHOUT_A_RECORD | {PLAIN} and not _may_have_a_secret(options)


def _may_have_a_secret(options: Settings) -> bool:
    return "proxies" in options or not set(options.get("log-opts") or {}) <= {"max-size", "max-file"}


def _missing(seen: Mapping[str, str], wanted: Wanted, source: str, lacks: list[str], packages: str) -> list[str]:
    if packages == "ours":
        names = list(wanted.packages[source])
    else:
        plugins = PLUGINS.get(seen["engine"]) or PLUGINS.get(wanted.distribution, {})
        names = [plugins[name] for name in lacks if name in plugins]
    return [name for name in [*names, *wanted.additional_packages] if name not in seen["packages"].split()]


def _problems(
    seen: Mapping[str, str],
    wanted: Wanted,
    there: Settings | None,
    others: set[str],
    in_swarm: bool,
    lacks: list[str],
    packages: str,
) -> list[str]:
    engine, found = seen["engine"], []
    if engine == "snap":
        found.append(
            "has Docker as a snap, which sees no folder but those of accounts. If nothing else needs it, type on the "
            "machine: snap remove docker"
        )
    if engine == "podman-docker":
        found.append(
            "has Podman under the name of docker, and the engine would take its place. If nothing else needs that "
            "name, type on the machine: apt-get remove podman-docker"
        )
    if engine == "none" and seen["containerd"] and seen["containerd_managed"] == "no":
        found.append(
            f"has containerd ({seen['containerd']}) for something else than Docker, such as Kubernetes, and the engine "
            "would change it. Take another machine, or install Docker there yourself, which is used as it then is"
        )
    if there is None:
        found.append(
            "has an /etc/docker/daemon.json that is not a JSON object. The engine does not start with it: correct the "
            "file, or remove it"
        )
    if seen["settings_link"] == "yes":
        found.append("has an /etc/docker/daemon.json that is a symbolic link. Put the file itself there")
    if wanted.source not in {"auto", ENGINES.get(engine, wanted.source)}:
        found.append(
            f"has the engine of the package {engine}, and docker_engine_source: {wanted.source} would replace it and "
            "stop all containers. Write docker_engine_source: auto"
        )
    if packages == "theirs" and engine not in {"snap", "podman-docker"}:
        found += _problems_of_a_found_engine(seen, wanted, others, in_swarm, lacks)
    return found


def _problems_of_a_found_engine(
    seen: Mapping[str, str], wanted: Wanted, others: set[str], in_swarm: bool, lacks: list[str]
) -> list[str]:
    engine, found = seen["engine"], []
    if seen["active"] == "no":
        found.append(
            f"has an engine ({engine}) that does not run, so that nobody sees what it carries. Start it, or remove it, "
            "on the machine: systemctl start docker"
        )
    for name, words in (("version", "engine"), ("compose", "plugin compose"), ("buildx", "plugin buildx")):
        said = seen.get(name, "")
        if said and _number(said) < OLDEST[name]:
            oldest = ".".join(map(str, OLDEST[name]))
            found.append(f"has the {words} {said} ({engine}), and {oldest} is the oldest that works. Upgrade it there")
    if lacks and engine not in PLUGINS and engine not in ENGINES:
        found.append(
            f"has an engine that comes from neither the distribution nor Docker ({engine}), without "
            f"{' and '.join(lacks)}. Install what is missing as a plugin, so that `docker {lacks[0]} version` answers"
        )
    if "userns-remap" in others:
        found.append(
            "has an engine with userns-remap, with which no container may share the host's network, as nginx does. "
            "Switch it off there, or take another machine"
        )
    if in_swarm and wanted.found_engine == "take_over":
        found.append(
            "has an engine in a swarm, whose containers would end where it is restarted. Write "
            "docker_found_engine: keep"
        )
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _words_of_the_proxy(
    wanted: Wanted, options: Settings, theirs: Settings, flags: set[str], proxied: bool
) -> list[str]:
    """What a run says where the engine is not given the host's proxy, though nobody has said so in the inventory."""
    if not wanted.proxies or "proxies" in {*options, *wanted.options}:
        return []
    if "proxies" in theirs:
        return ["the engine pulls through the proxies of its /etc/docker/daemon.json, and not of outbound_http_proxy"]
    if "proxies" in flags:
        return ["the engine pulls through the proxies that it is started with, and not of outbound_http_proxy"]
    if proxied:
        return ["the engine pulls through the proxy of its unit's environment, and not of outbound_http_proxy"]
    return ["the engine pulls images as its owner has set it, and is not given the proxy of outbound_http_proxy"]


def _words_of_plain_registries(wanted: Wanted, options: Settings, theirs: Settings, flags: set[str]) -> list[str]:
    """What a run says where the engine is not to ask a registry without TLS, though the inventory has one."""
    there = {**theirs, **options}.get(PLAIN) or []
    lacks = [registry for registry in wanted.plain_registries if registry not in there]
    if not lacks:
        return []
    if PLAIN in flags:
        where = "the flag --insecure-registry that it is started with"
    elif PLAIN in options:
        where = f"{PLAIN} of docker_daemon_options"
    else:
        where = f"{PLAIN} of its /etc/docker/daemon.json"
    return [
        f"the engine asks registries without TLS by {where}, and is not given what app_image_registry_plain_http adds: "
        f"it has to be there that {', '.join(lacks)} is named"
    ]


def _words(seen: Mapping[str, str], options: Settings, theirs: Settings, flags: set[str], in_swarm: bool) -> list[str]:
    """What a run says of an engine that is kept."""
    carries = f" and carries {', '.join(seen['containers'].split())}" if seen.get("containers") else ""
    apart = ", live-restore apart" if options else ""
    lines = [
        f"the engine was here before ({seen['engine']} {seen.get('version', '')}){carries}: its packages and settings "
        f"stay as they are{apart}"
    ]
    if in_swarm:
        lines.append(
            "it is in a swarm, where containers end when it restarts: so will the endpoint, with each upgrade of it"
        )
        return lines
    lines.append(
        "docker_found_engine: take_over adds docker_daemon_options and restarts it; containers go on meanwhile"
    )
    if not options and "live-restore" not in flags and not theirs.get("live-restore"):
        lines.append(
            "its owner has switched live-restore off: containers end when it restarts, and so will the endpoint, with "
            "each upgrade of it"
        )
    return lines
