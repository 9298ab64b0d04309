"""Lists of what something is made of (SBOM), in CycloneDX 1.6: the same content gives the same bytes.

https://cyclonedx.org/docs/1.6/json/ ; package URLs by https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..host.docker import Image
from ..host.file_digests import Link
from ..host.image_contents import Contents, Distribution, Package
from .release import Release

Sbom = dict[str, Any]
IMAGE, BASE = "modelhost:image", "modelhost:base-image"
CODENAME, ARCHITECTURE = "modelhost:codename", "modelhost:architecture"
LINK = "modelhost:link"
SOURCE, SOURCE_VERSION = "modelhost:source-package", "modelhost:source-version"


def sbom_of_image(image: Image, contents: Contents) -> Sbom:
    """What is in an image: its Debian, that one's packages, and Python distributions."""
    parts = [_system(contents.system)]
    parts += [_package(contents.system, one) for one in contents.packages]
    parts += [_distribution(one) for one in contents.distributions]
    whole = _container(image)
    return _document(whole, parts, [_depends(whole, parts)])


def sbom_of_release(release: Release, image: Sbom, files: Mapping[str, Mapping[str, str | Link]]) -> Sbom:
    """What a release is made of: its image, with what is in that, and its models.

    `files` has for each bundle's folder the SHA-256 of each of its files, or where a link leads.
    """
    named = {"type": "application", "name": "modelhost-release", "version": release.id}
    whole = {**named, "bom-ref": f"release:{release.id}"}
    models = [_model(bundle, files[bundle["folder"]]) for bundle in _sorted(release)]
    container = image["metadata"]["component"]
    return _document(
        whole,
        [container, *models, *image["components"]],
        [_depends(whole, [container, *models]), *image["dependencies"]],
    )


def text_of(sbom: Sbom) -> str:
    """The document as it is kept and printed."""
    return json.dumps(sbom, indent=2, sort_keys=True) + "\n"


def property_of(component: Mapping[str, Any], name: str) -> str:
    """One of a component's own properties; empty where it has none of the name."""
    found = (one["value"] for one in component.get("properties", []) if one["name"] == name)
    return str(next(found, ""))


def system_of(sbom: Sbom) -> tuple[str, str]:
    """Which system an image is, as in ("debian", "trixie")."""
    (system,) = (one for one in sbom["components"] if one["type"] == "operating-system")
    return system["name"], property_of(system, CODENAME)


def image_of(sbom: Any) -> str:
    """The ID of the image that a list is of, be it that image's own or a release's; empty for what is no such list."""
    try:
        parts = [sbom["metadata"]["component"], *sbom["components"]]
        (image,) = (part["bom-ref"] for part in parts if part["type"] == "container")
        return str(image)
    except (KeyError, TypeError, ValueError):
        return ""


def packages_of(sbom: Sbom) -> dict[tuple[str, str], str]:
    """The versions of an image's Debian packages, by name and architecture."""
    packages = [one for one in sbom["components"] if one.get("purl", "").startswith("pkg:deb/")]
    return {(one["name"], property_of(one, ARCHITECTURE)): one["version"] for one in packages}


def _document(whole: dict[str, Any], parts: list[dict[str, Any]], dependencies: list[dict[str, Any]]) -> Sbom:
    tool = {"type": "application", "name": "modelhostctl", "version": __version__}
    # No date: the same image gives the same document.
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": whole},
        "components": parts,
        "dependencies": dependencies,
    }
    digest = hashlib.sha256(text_of(content).encode()).digest()
    return {**content, "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=5)}"}


def _depends(whole: dict[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ref": whole["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}


def _container(image: Image) -> dict[str, Any]:
    name, _, tag = image.name.rpartition(":")
    return {
        "type": "container",
        "bom-ref": image.id,
        "name": name,
        "version": tag,
        "properties": _properties({IMAGE: image.id, BASE: image.base}),
    }


def _system(system: Mapping[str, str]) -> dict[str, Any]:
    name, version = system["ID"] or "unknown", system["VERSION_ID"]
    named = {"type": "operating-system", "bom-ref": f"os:{name}@{version}", "name": name, "version": version}
    return {**named, "properties": _properties({CODENAME: system["VERSION_CODENAME"]})}


def _package(system: Mapping[str, str], package: Package) -> dict[str, Any]:
    source = package.source
    if package.source_version != package.version:
        source += f"@{package.source_version}"
    qualifiers = {"arch": package.architecture, "distro": system["VERSION_CODENAME"], "upstream": source}
    named = "&".join(f"{name}={_quoted(value)}" for name, value in qualifiers.items() if value)
    # Debian's own where it is not said.
    purl = f"pkg:deb/{system['ID'] or 'debian'}/{_quoted(package.name)}@{_quoted(package.version)}?{named}"
    properties = {ARCHITECTURE: package.architecture, SOURCE: package.source, SOURCE_VERSION: package.source_version}
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "properties": _properties(properties),
    }


def _distribution(distribution: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", distribution.name).lower()
    purl = f"pkg:pypi/{name}@{_quoted(distribution.version)}"
    named = {"type": "library", "bom-ref": purl, "name": name, "version": distribution.version, "purl": purl}
    if distribution.expression:
        return {**named, "licenses": [{"expression": distribution.expression}]}
    licences = [{"license": {"name": licence}} for licence in distribution.licences]
    return {**named, "licenses": licences} if licences else named


def _sorted(release: Release) -> list[dict[str, Any]]:
    return sorted(release.bundles, key=lambda bundle: (bundle["name"], bundle["version"]))


def _model(bundle: Mapping[str, Any], files: Mapping[str, str | Link]) -> dict[str, Any]:
    ref = f"model:{bundle['name']}@{bundle['version']}"
    return {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": bundle["name"],
        "version": str(bundle["version"]),
        "properties": _properties({"modelhost:bundle": bundle["digest"]}),
        "components": [_file(ref, name, content) for name, content in sorted(files.items())],
    }


def _file(ref: str, name: str, content: str | Link) -> dict[str, Any]:
    named = {"type": "file", "bom-ref": f"{ref}/{name}", "name": name}
    if isinstance(content, Link):
        return {**named, "properties": _properties({LINK: content.target})}
    return {**named, "hashes": [{"alg": "SHA-256", "content": content}]}


def _properties(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _quoted(text: str) -> str:
    return quote(text, safe=":~")
