"""The lists of what is in images and releases, kept on the host as long as those are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StepError
from ..host.docker import NGINX, Image
from ..host.file_digests import file_digests
from ..host.image_contents import read_contents
from ..host.layout import Layout
from ..printable import one_line
from .atomic_files import read_json, write
from .cyclonedx import Sbom, image_of, sbom_of_image, sbom_of_release, text_of
from .release import Record, Release

if TYPE_CHECKING:
    from ..host.host import Host

# What the roles build. Each says on which image it stands.
BUILT = ("modelhost-app", NGINX, "modelhost-acme")


def find_images(host: Host) -> list[Image]:
    """The images of modelhost on this host, and those that they stand on."""
    built = host.docker.describe_images([name for each in BUILT for name in host.docker.images(each)])
    bases = sorted({image.base for image in built if image.base} - {image.name for image in built})
    return built + host.docker.describe_images(bases)


def of_image(host: Host, image: Image) -> Sbom:
    """What is kept of an image, or else what it says now; raises StepError."""
    kept = kept_of_image(host, image)
    if kept is not None and image_of(kept) == image.id:
        return kept
    return sbom_of_image(image, read_contents(host.docker, image))


def kept_of_image(host: Host, image: Image) -> Sbom | None:
    """What is kept of an image; None where nothing is."""
    kept: Sbom | None = read_json(_file(host.layout, image))
    return kept


def of_release(host: Host, record: Record) -> Sbom:
    """What is kept of a release, or else what it is made of now; raises StepError."""
    release = record.read()
    if release is None:
        raise StepError(f"there is no release {record.id} on this host; `modelhostctl history` shows which there were")
    return _kept_of_release(host, record, release) or _made(host, release)


def missing_images(host: Host) -> list[Image]:
    """The images of which it is not kept what is in them."""
    return [image for image in find_images(host) if image_of(kept_of_image(host, image)) != image.id]


def keep_of_images(host: Host) -> tuple[bool, list[str]]:
    """Keep what is in each image, unless that is kept; returns whether any is new, and of which it is not known."""
    missing, problems = missing_images(host), []
    for image in missing:
        try:
            _keep_of_image(host, image)
        except (StepError, OSError) as error:
            problems.append(problem(f"image {image.name}", error))
    return len(missing) > len(problems), problems


def keep_of_release(host: Host, record: Record, release: Release) -> list[str]:
    """Keep what a release is made of, unless that is kept; returns why not, in words.

    A release is not refused for that: it says what is served, and decides nothing.
    """
    try:
        if _kept_of_release(host, record, release) is None:
            _keep_of_image(host, _image_of(host, release))
            write(_file_of_release(record), text_of(_made(host, release)))
    except (StepError, OSError) as error:
        return [problem(f"release {record.id}", error)]
    return []


def left_over(host: Host, removed: list[str]) -> list[Path]:
    """The files of images that are not on the host any more, or are among those to be removed."""
    there = {_file(host.layout, image) for image in find_images(host) if image.name not in removed}
    return [file for file in sorted(host.layout.sboms.glob("*.cdx.json")) if file not in there]


def _keep_of_image(host: Host, image: Image) -> None:
    write(_file(host.layout, image), text_of(of_image(host, image)))


def _kept_of_release(host: Host, record: Record, release: Release) -> Sbom | None:
    """None where nothing is, or what is of another image: one that was built anew has the same name.

    Of a release whose image is gone, what is kept says what it was made of.
    """
    kept: Sbom | None = read_json(_file_of_release(record))
    of, there = image_of(kept), host.docker.describe_images([release.image])
    return kept if of and all(of == image.id for image in there) else None


def _made(host: Host, release: Release) -> Sbom:
    files = {bundle["folder"]: file_digests(Path(bundle["folder"])) for bundle in release.bundles}
    return sbom_of_release(release, of_image(host, _image_of(host, release)), files)


def _image_of(host: Host, release: Release) -> Image:
    found = host.docker.describe_images([release.image])
    if not found:
        raise StepError(f"the image {release.image} is not on this host")
    return found[0]


def _file(layout: Layout, image: Image) -> Path:
    return layout.sboms / f"{image.id.rpartition(':')[2]}.cdx.json"


def _file_of_release(record: Record) -> Path:
    return record.folder / "sbom.cdx.json"


def problem(what: str, error: Exception) -> str:
    """Why something is not listed, in words."""
    return f"what is in {what} is not listed: {one_line(str(error))}"
