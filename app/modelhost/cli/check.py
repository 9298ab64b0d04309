"""modelhost check: would the server take this bundle, and what would it cost?"""

from pathlib import Path
from typing import Any

import click

from modelhost.bundle.bundle import Bundle, read_bundle
from modelhost.cli.bundles import latest_bundle
from modelhost.cli.command_line import RememberedCommand
from modelhost.cli.pickles import refuse_pickles, takes_pickles
from modelhost.cli.reports import Report, progress, reporting, table


@click.command(cls=RememberedCommand, short_help="Check bundles as the server would, and measure them.")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--clean", is_flag=True, help="In an environment made of the server's lock files, kept for the next time."
)
@takes_pickles
@reporting
def check(bundles: tuple[Path, ...], clean: bool, allow_pickle: bool) -> Report:
    """Check BUNDLES as the server would: schema, digests, golden examples; and measure them.

    Each is a bundle's directory, or a model's, of whose versions the latest is taken.

    Each model runs in a process of its own, in another directory, which can import what the server's
    image has and nothing else: its own lock files, and the bundle's requirements. Without --clean these
    are the versions that are installed here, and what differs is said. Memory and latency must be
    within the objectives of its model.yaml, where it has any. Where its batching is not what this
    machine's timing says, that is told, and is no fault.

    \b
    Example:
      modelhost check models/churn/3
    """
    # Reads first, runs afterwards: no model runs while another bundle is refused anyway.
    read = [read_bundle(latest_bundle(path)) for path in bundles]
    refuse_pickles(read, allow_pickle)
    found = [_measured(bundle, clean) for bundle in read]
    text = "\n\n".join(_described(bundle, data) for bundle, data in zip(read, found, strict=True))
    ok = all(data["ok"] for data in found)
    return Report({"ok": ok, "bundles": found}, text, ok)


def _measured(bundle: Bundle, clean: bool) -> dict[str, Any]:
    from modelhost.packing import batching
    from modelhost.packing.costs import measure

    progress(f"Running {bundle.name} version {bundle.version} ...")
    costs = measure(bundle.directory, clean)
    objectives = bundle.manifest.objectives
    missed = [
        f"{name} is {cost:.3g}, but objectives.{name} is {objective:.3g}"
        for name, cost, objective in (
            ("latency_ms", costs["latency_p99_ms"], objectives.latency_ms),
            ("memory_mb", costs["memory_mb"], objectives.memory_mb),
        )
        if objective is not None and cost > objective
    ]
    return {
        "name": bundle.name,
        "version": bundle.version,
        "format": bundle.manifest.format,
        "digest": bundle.digest,
        "examples": len(bundle.examples),
        "requirements": _requirements(bundle),
        **costs,
        "missed": missed,
        "batching_differs": batching.differs(bundle.manifest.batching, costs["call_ms"]),
        "ok": not missed,
    }


def _described(bundle: Bundle, found: dict[str, Any]) -> str:
    from modelhost.packing import batching

    objectives, shared = bundle.manifest.objectives, bundle.manifest.batching
    fields = f"{len(bundle.manifest.inputs)} inputs, {len(bundle.manifest.outputs)} outputs"
    rows = [
        ["  schema", "ok", fields],
        ["  digests", "ok", f"{len(bundle.manifest.files)} files"],
        ["  image", "differs" if found["image"]["differs"] else "ok", _image(found)],
        ["  golden", "ok", _examples(bundle, found["examples"])],
        ["  load", "ok", f"{found['load_ms']:.1f} ms with the examples answered"],
        ["  memory", _judged(found, "memory_mb"), f"{found['memory_mb']:.1f} MB in each worker"
         + _within(objectives.memory_mb, "MB") + f", and {found['shared_mb']:.0f} MB of libraries once for all"],
        ["  latency", _judged(found, "latency_ms"),
         f"p50 {found['latency_p50_ms']:.3f} ms, p99 {found['latency_p99_ms']:.3f} ms a row"
         + _within(objectives.latency_ms, "ms")],
        ["  batching", "differs" if found["batching_differs"] else "ok",
         batching.describe(found["call_ms"])
         + f" (model.yaml: {f'up to {shared.max_rows} rows' if shared else 'none'})"],
    ]  # fmt: skip
    head = f"{bundle.name} version {bundle.version} ({bundle.manifest.format}), digest {bundle.digest[:12]}"
    return f"{head}\n{table(rows)}"


def _examples(bundle: Bundle, count: int) -> str:
    """How many golden examples were answered, and what was compared."""
    how = "each in a call of its own" if bundle.manifest.rows == "one" else "one by one and in a batch"
    return f"{count} examples, {how}" + (", by shape and datatype alone" if bundle.manifest.varies else "")


def _requirements(bundle: Bundle) -> list[str]:
    """What the image installs for this bundle beyond its own packages and extras, such as emoji==2.14.1."""
    from modelhost.bundle.extras import extras_of
    from modelhost.bundle.lock_files import image_pins, locks_of

    if not bundle.manifest.requirements:
        return []
    lock = (bundle.directory / bundle.manifest.requirements).read_text(encoding="utf-8")
    there = image_pins(locks_of(extras_of(bundle.manifest)))
    return sorted(f"{name}=={pin.version}" for name, pin in image_pins({"": lock}).items() if name not in there)


def _image(found: dict[str, Any]) -> str:
    image: dict[str, Any] = found["image"]
    own = ", ".join(found["requirements"])
    brings = f"with {own}" if own else "no requirements"
    if image["clean"]:
        brings += f"; in a clean environment of Python {image['python']}"
    if image["differs"]:
        brings += "; " + ", ".join(image["differs"])
    return brings if image["clean"] or not image["differs"] else f"{brings}: --clean has what is there"


def _judged(found: dict[str, Any], name: str) -> str:
    return "BAD" if any(text.startswith(name) for text in found["missed"]) else "ok"


def _within(objective: float | None, unit: str) -> str:
    return "" if objective is None else f" (objective {objective:g} {unit})"
