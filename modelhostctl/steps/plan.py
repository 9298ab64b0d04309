"""Compare the wanted release with the host, in words, before anything happens; and what stands in its way.

Fails where memory cannot hold two releases and stopping first is not allowed. Without a wanted release: what has still
to be done on this host, and what a rollback would do. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..checks.bundles import first_unsigned
from ..checks.image import Pulled, refuse_unsuitable
from ..checks.memory import PlanPolicy, check_memory
from ..checks.public_keys import PublicKey, UnusableKeyError, read_keys
from ..checks.schema import schema_changes
from ..checks.volumes import refuse_volumes
from ..errors import StepError
from ..host.host import Host
from ..host.resources import MB, free_disk_mb
from ..options import Option
from ..store import credentials, registry_authorities, trusted_keys
from ..store.canary_link import current
from ..store.release import Record, Release, difference, is_there
from ..store.settings import Settings
from ..view.state import State
from .pull import PULLED
from .step import SECRETS, SECRETS_KEY, Step
from .trust_registry import AUTHORITIES

# An image that is built on the host, with the layers that building leaves; or pulled, with what came packed.
IMAGE_MB = 600
MARGIN_MB = 100

OPTIONS = [
    Option("content", "the wanted release: image, bundles, settings and compose, the text of its compose file", "dict"),
    SECRETS,
    SECRETS_KEY,
    Option("keys", "public keys in PEM that bundles will have to be signed by; empty: none; not given: as they are"),
    PULLED,
    AUTHORITIES,
]


def run(step: Step) -> dict[str, Any]:
    """Make the plan, or tell what is pending."""
    policy = policy_of(step.settings)
    if step.options["content"] is None:
        return {"lines": pending(step.host, policy) + rollback_lines(step.host, policy)}
    secrets, key = step.options["secrets"], step.options["secrets_key"]
    release = credentials.release_of(step.host.layout, step.options["content"], secrets, key)
    pulled = Pulled.of(step.options["pulled"]) if step.options["pulled"] else None
    plan = make(step.host, release, policy, step.settings.trials, pulled)
    lines = plan.lines + trust_lines(step.host, release, step.options["keys"])
    trusts = registry_authorities.changes(step.options["authorities"])
    return {**plan.as_dict(), "lines": lines, "trusts_registry": not trusts}


def trust_lines(host: Host, wanted: Release, keys: str | None) -> list[str]:
    """How it changes whose signatures bundles have to carry, and which releases can then not be rolled back to."""
    before = (trusted_keys.read_text(host.layout) or "").strip()
    if keys is None or keys.strip() == before:
        return []
    try:
        trusted = read_keys(keys) if keys.strip() else []
        old = len(read_keys(before)) if before else 0
    except UnusableKeyError as problem:
        return [f"signatures: not known, since the text of the keys {problem}"]
    if old == len(trusted) and "".join(key.pem for key in trusted).strip() == before:
        return []
    names = {0: "not asked for", 1: "by the one key"}
    said = [names.get(number, f"by one of {number} keys") for number in (old, len(trusted))]
    change = f"{said[0]} -> {said[1]}" if said[0] != said[1] else f"other keys than before, {said[1]}"
    return [f"signatures: {change}", *_lost_to_rollback(host, wanted, trusted)]


def _lost_to_rollback(host: Host, wanted: Release, trusted: Sequence[PublicKey]) -> list[str]:
    """Each release that is kept and that none of these keys has signed; with no keys, none."""
    if not trusted:
        return []
    records = [Record(folder) for folder in host.layout.releases.glob("*") if folder.is_dir()]
    kept = sorted((record for record in records if record.passed and record.id != wanted.id), key=lambda each: each.id)
    lost = []
    for record in kept:
        release = record.read()
        problem = first_unsigned(release, trusted) if release and _whole(host, record) else None
        if problem:
            lost.append(f"release {record.id} can then not be rolled back to: {problem}")
    return lost


def policy_of(settings: Settings) -> PlanPolicy:
    """What the settings allow a plan to do."""
    return PlanPolicy(
        settings.memory_reserve_mb, settings.allow_stop_first, settings.keep_old_running, settings.schema_changes
    )


def pending(host: Host, policy: PlanPolicy) -> list[str]:
    """What a run that was killed has left to do, in words."""
    try:
        return [f"live: {line}" for line in plan_left(host, policy).lines]
    except StepError as problem:
        return [f"live: {problem}"]


def rollback_lines(host: Host, policy: PlanPolicy) -> list[str]:
    """What a rollback would do, or why there is none, in words."""
    try:
        return [f"rollback: {line}" for line in plan_rollback(host, "", policy).lines]
    except StepError as problem:
        return [f"rollback: {problem}"]


@dataclass(frozen=True)
class Plan:
    """`todo` is empty where the host is as wanted."""

    release: str
    words: str
    todo: bool
    stop_first: bool
    image_present: bool
    missing: list[str]  # folders of bundles that are not on the host
    disk_needed_mb: int
    disk_short: bool
    live: str = ""  # of a new release, the one that is live before it

    @property
    def lines(self) -> list[str]:
        """A line for each part."""
        return self.words.split("; ")

    def as_dict(self) -> dict[str, Any]:
        """What the play gets."""
        return {**self.__dict__, "lines": self.lines}


def make(
    host: Host, release: Release, policy: PlanPolicy, trials: Sequence[str] = (), pulled: Pulled | None = None
) -> Plan:
    """Compare what is wanted with what is there. Raises StepError where memory cannot hold both releases.

    `trials` says in words how a release is tried beside the live one before the switch; `pulled` is what its image is
    pulled by, and has to have, where it is not built here.
    """
    refuse_volumes(release.volumes)
    state = State.read(host)
    record = Record.of(host.layout, release.id)
    image_present = release.image in host.docker.images(release.image)
    if image_present and pulled:
        # The bundles, or this version, may want more of it than those that it was pulled for.
        refuse_unsuitable(host.docker.inspect_image(release.image), pulled, host.docker.architecture())
    missing = [b["folder"] for b in release.bundles if not is_there(b)]
    # Bundles arrive packed and are unpacked beside the archive.
    copied = sum(2 * bundle["bytes"] for bundle in release.bundles if bundle["folder"] in missing) // MB
    disk_needed = MARGIN_MB + copied + (0 if image_present else IMAGE_MB)
    disk_short = free_disk_mb(host.layout.root, Path("/var/lib/docker")) < disk_needed

    written = record.read() == release and credentials.is_whole(host.layout, release)
    if state.has(release.id) and image_present and not missing and written:
        return plan_live(state, record, policy, "nothing to release")

    old_record = state.record(state.live)
    words = [difference(old_record.read() if old_record else None, release)]
    if not image_present and not pulled:
        words[0] += " (to be built)"
    if state.serves(release.id):
        words = [f"release {release.id} is live, but {_unlike(state, release)}"]
    if not image_present and pulled:
        words.append(f"the image is pulled from {pulled.reference.partition('@')[0]}")
    words += check_schema(old_record.read() if old_record else None, release, policy)
    stop_first = check_memory(state, release, policy, words)
    if not stop_first and state.has_healthy_baseline(release.id):
        words += trials
    live = state.live.release if state.live and state.live.release != release.id else ""
    return Plan(release.id, "; ".join(words), True, stop_first, image_present, missing, disk_needed, disk_short, live)


def _unlike(state: State, release: Release) -> str:
    """How what is live differs from the same release as it should be."""
    if not credentials.is_whole(state.layout, release):
        return "its secrets are not on this host as they were sent"
    limits = state.outgrown(state.live) if state.is_well(release.id) else None
    if limits is None:
        return "not as it should be"
    return f"with a memory limit of {limits[0]} MB, which for this machine's size is {limits[1]} MB"


def check_schema(old: Release | None, new: Release, policy: PlanPolicy) -> list[str]:
    """How the schemas of models that are live change, in words. Raises StepError where that is not allowed."""
    changes = schema_changes(old, new)
    if policy.schema_changes != "allow" and any(change.breaks for change in changes):
        sentences = ". ".join(change.words for change in changes if change.breaks)
        raise StepError(
            f"{sentences}. Nothing was changed. Pack the model under another name, so that both can be asked; or set "
            "release_schema_changes: allow, where the clients are known and will follow."
        )
    return [change.words for change in changes]


def plan_rollback(host: Host, wanted: str, policy: PlanPolicy) -> Plan:
    """Choose the release to go back to, `wanted` or else the one before; raises StepError where there is none."""
    state = State.read(host)
    if state.live is None:
        raise StepError("nothing is live on this host, so there is nothing to roll back; deploy with site.yml")
    records = [Record(folder) for folder in host.layout.releases.glob("*") if folder.is_dir()]
    records.sort(key=lambda record: -record.last_live)
    others = [record for record in records if record.passed and record.id != state.live.release]
    could = [record.id for record in others if _whole(host, record)]
    if not wanted and Record.of(host.layout, state.live.release).rolling_back:
        wanted = state.live.release  # a rollback that was killed is finished, and not undone
    if not wanted:
        before = [record.id for record in records if record.id in could and record.last_live]
        if not before:
            raise StepError(f"no earlier release is kept on this host{_instead(could)}")
        wanted = before[0]
    record = Record.of(host.layout, wanted)
    if state.serves(wanted):
        return plan_live(state, record, policy)
    if record.rejected:
        gate = record.rejected["gate"]
        raise StepError(f"release {wanted} was rejected ({gate}), and cannot be rolled back to")
    release = record.read()
    if wanted not in could or release is None:
        known = ", ".join(could) or "none"
        raise StepError(f"release {wanted} is not kept whole, or was never live. These can be rolled back to: {known}")
    refuse_volumes(release.volumes)
    old_record = state.record(state.live)
    words = [f"back to {wanted}", difference(old_record.read() if old_record else None, release)]
    # Said, and never refused: what is left is worse.
    words += check_schema(old_record.read() if old_record else None, release, replace(policy, schema_changes="allow"))
    if state.idle and state.idle.release == wanted:
        words.append(f"{state.idle_colour} {'still runs it' if state.idle.whole else 'is started again'}")
    stop_first = check_memory(state, release, policy, words)
    return Plan(wanted, "; ".join(words), True, stop_first, True, [], 0, False)


def _instead(could: list[str]) -> str:
    if could:
        return f" that was not rolled back; these can be named: {', '.join(could)}"
    return "; `modelhostctl history` shows which there were"


def _whole(host: Host, record: Record) -> bool:
    """Whether all that a release is made of is still on the host."""
    release = record.read()
    if release is None or release.image not in host.docker.images(release.image):
        return False
    return all(is_there(bundle) for bundle in release.bundles) and credentials.is_whole(host.layout, release)


def plan_left(host: Host, policy: PlanPolicy) -> Plan:
    """What a run that was killed has left to do. Raises StepError where the live release is not one to go on with."""
    state = State.read(host)
    if state.live is None:
        raise StepError("nothing is live on this host; deploy with site.yml")
    release = state.live.release
    if not state.is_well(release):
        raise StepError(
            f"release {release} on {state.live_colour} is not as it should be: `modelhostctl status` shows why, and "
            "`modelhostctl rollback` goes back to the one before"
        )
    return plan_live(state, Record.of(host.layout, release), policy)


def plan_live(state: State, record: Record, policy: PlanPolicy, nothing: str = "nothing to do") -> Plan:
    """Tell what is left to do of a release that is live already; `nothing` says so where that is it."""
    words, todo = [f"release {record.id} is live on {state.live_colour}"], True
    if not record.settled:
        words.append("it has still to be watched")
    elif current(state.layout):
        words.append(f"the canary of release {current(state.layout)} has still to be ended")
    elif state.layout.shadow.exists():
        words.append("a shadow has still to be ended")
    elif state.idle and state.idle.up and not state.is_idle_kept(policy.keep_old_running):
        words.append(f"{state.idle_colour} has still to be retired")
    else:
        words, todo = [nothing, *words], False
    return Plan(record.id, "; ".join(words), todo, False, True, [], 0, False)
