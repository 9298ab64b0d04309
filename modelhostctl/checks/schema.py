"""Whether clients of the live release can go on asking the new one as they do: what its models take and give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..store.release import Release

# By name: datatype, shape, whether it is nullable, and of an input whether it is required.
Fields = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class SchemaChange:
    """How one model's schema differs, in words; `breaks`: clients of the version before fail, or miss a field."""

    words: str
    breaks: bool


def schema_changes(old: Release | None, new: Release) -> list[SchemaChange]:
    """Compare the versions that answer at each model's name, where both releases have the model."""
    if old is None:
        return []
    before, after = _highest(old), _highest(new)
    found = []
    for name in sorted(before.keys() & after.keys()):
        one, other = before[name], after[name]
        # A release of an older version of the tool does not say what its models take.
        if "schema" in one and "schema" in other:
            found += _compare(f"{name} {one['version']} -> {other['version']}", one, other)
    return found


def _highest(release: Release) -> dict[str, dict[str, Any]]:
    """The bundle of each model's highest version, which answers where no version is named."""
    found: dict[str, dict[str, Any]] = {}
    for bundle in sorted(release.bundles, key=lambda bundle: int(bundle["version"])):
        found[bundle["name"]] = bundle
    return found


def _compare(title: str, one: dict[str, Any], other: dict[str, Any]) -> list[SchemaChange]:
    words: list[str] = []
    breaks = False
    for kind in ("input", "output"):
        old, new = one["schema"][f"{kind}s"], other["schema"][f"{kind}s"]
        gone, added = [name for name in old if name not in new], [name for name in new if name not in old]
        required = [name for name in added if kind == "input" and new[name]["required"]]
        words += _named(kind, gone, "gone") + _named(kind, [name for name in added if name not in required], "new")
        words += _named(kind, required, "new and required")
        changed = [change for name in old if name in new for change in _changed(kind, name, old[name], new[name])]
        words += changed
        breaks = breaks or bool(gone or required or changed)
    if not words:
        return []
    end = f": clients of {one['version']} will break" if breaks else ""
    return [SchemaChange(f"{title}: {', '.join(words)}{end}", breaks)]


def _named(kind: str, names: list[str], what: str) -> list[str]:
    """Such as "outputs label and score are new"."""
    if not names:
        return []
    joined = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return [f"{kind}{'s' if len(names) > 1 else ''} {joined} {'are' if len(names) > 1 else 'is'} {what}"]


def _changed(kind: str, name: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What of a field that both have would break a client."""
    found = []
    if old["datatype"] != new["datatype"]:
        found.append(f"{kind} {name} is {new['datatype']} instead of {old['datatype']}")
    if not _fits(kind, old["shape"], new["shape"]):
        found.append(f"{kind} {name} has the shape {new['shape']} instead of {old['shape']}")
    if kind == "input" and new["required"] and not old["required"]:
        found.append(f"input {name} is required")
    if kind == "input" and old["nullable"] and not new["nullable"]:
        found.append(f"input {name} may not be null")
    # A release of an older version of the tool does not say it of outputs: then null was not ruled out.
    if kind == "output" and new.get("nullable", False) and not old.get("nullable", True):
        found.append(f"output {name} may be null")
    return found


def _fits(kind: str, old: list[int], new: list[int]) -> bool:
    """Whether a shape is the same; an input may also take any size (-1) where it took one before."""
    wider = [kind == "input" and size == -1 for size in new]
    return len(old) == len(new) and all(a == b or any_size for a, b, any_size in zip(old, new, wider, strict=True))
