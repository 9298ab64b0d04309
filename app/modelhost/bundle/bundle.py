"""A bundle: one version of one model, in a directory models/<name>/<version>/.

Imports only the standard library, yaml and msgspec, since the control machine reads bundles too.
"""

import hashlib
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .manifest import MANIFEST, SIGNATURE, BundleError, label, read_manifest, wrong
from .schema import Example, Manifest
from .validation import violations

__all__ = [
    "MANIFEST", "SIGNATURE", "Bundle", "BundleError", "check_files", "file_digest", "find_bundles", "read_bundle",
]  # fmt: skip

SETTLED_SECONDS = 2  # file systems tick at most so slowly

_digests: dict[tuple[int, ...], str] = {}  # by device, inode, size, mtime and ctime


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files have been checked against their digests."""

    directory: Path
    manifest: Manifest
    examples: tuple[Example, ...]
    digest: str  # of model.yaml, every file and the signature, hex sha256

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """The model's version, from 1."""
        return self.manifest.version

    def refuse_pickle(self, allowed: Collection[str]) -> None:
        """Raise BundleError where it is a pickle and `allowed` does not name the model.

        Its model.yaml is its author's word; whose code runs here is for whoever runs the server to say.
        """
        if self.manifest.format == "pickle" and self.name not in allowed:
            names = ",".join(sorted({*allowed, self.name}))
            raise self.refuse(
                "format",
                "is pickle, which can run any code in this server, and no one allowed that here: where you trust it, "
                f"set MODELHOST_ALLOW_PICKLE={names} (release_allow_pickle: [{self.name}] where it is deployed)",
            )

    def refuse(self, field: str, problem: str) -> BundleError:
        """The error to raise when `field` of this bundle's model.yaml turns out wrong."""
        return BundleError(f"{label(self.directory)}: {field} {problem}")


def _user() -> str:
    return f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"  # Windows has no such number


@contextmanager
def _reading() -> Iterator[None]:
    """Raise BundleError for what the system does not let this process read."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        where, why = getattr(error, "filename", None), getattr(error, "strerror", None) or error
        raise BundleError(f"{where or 'a bundle'} cannot be read ({why}): allow {_user()} to read it") from error


@_reading()
def find_bundles(models_dir: Path) -> list[Path]:
    """The bundle directories <models_dir>/<name>/<version>/, sorted; other files are ignored."""
    if not models_dir.is_dir():
        raise BundleError(f"{models_dir} is not a directory: put bundles at <name>/<version>/ in it")
    models = [path for path in sorted(models_dir.iterdir()) if _is_visible_directory(path)]
    found = [path for model in models for path in sorted(model.iterdir())]
    bundles = [path for path in found if _is_visible_directory(path)]
    if not bundles:
        raise BundleError(f"{models_dir} holds no bundle: put one at <name>/<version>/{MANIFEST}")
    return bundles


@_reading()
def read_bundle(directory: Path) -> Bundle:
    """The bundle in `directory`, every file checked; raises BundleError saying what to change."""
    directory = Path(os.path.abspath(directory))
    manifest, source = read_manifest(directory)
    _check_place(directory, manifest)
    for field, value, instead in violations(manifest):
        raise wrong(directory, field, value, instead)
    check_files(directory, manifest)
    _check_requirements(directory, manifest)
    examples = _read_examples(directory, manifest)
    files = manifest.files
    if (directory / SIGNATURE).is_file():
        # Not listed, since it signs the list. With it the bundle is another one, which is copied to a host anew.
        files = files | {SIGNATURE: file_digest(directory / SIGNATURE)}
    listed = "".join(f"{digest}  {file}\n" for file, digest in sorted(files.items()))
    digest = hashlib.sha256(listed.encode() + source).hexdigest()
    return Bundle(directory, manifest, examples, digest)


def file_digest(path: Path) -> str:
    """The hex sha256 of a file, read in pieces: models may be larger than memory.

    Kept by what the file system knows of it, so that what is read twice is hashed once: by the master
    of a server for all its workers, which are forked afterwards. A file's ctime cannot be set by its
    owner, and changes with every write and rename. Files changed within the last seconds are hashed
    anew: a second write within one tick of the clock would leave the same ctime.
    """
    found = path.stat()
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if state in _digests:
        return _digests[state]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = os.fstat(file.fileno())
    unchanged = (after.st_dev, after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns) == state
    if unchanged and time.time_ns() - found.st_ctime_ns > SETTLED_SECONDS * 10**9:
        _digests[state] = digest
    return digest


def _check_place(directory: Path, manifest: Manifest) -> None:
    version, name = directory.name, directory.parent.name
    if version != str(manifest.version):
        instead = f"{version}, as the directory is called, or rename the directory"
        raise wrong(directory, "version", manifest.version, instead)
    if name != manifest.name:
        instead = f"{name}, as the directory is called, or rename the directory"
        raise wrong(directory, "name", manifest.name, instead)


def check_files(directory: Path, manifest: Manifest) -> None:
    """Raise BundleError where a file is not the one that `manifest` lists."""
    root = directory.resolve()
    for file, digest in manifest.files.items():
        path = directory / file
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise wrong(directory, "files", file, "a path below the bundle's directory")
        if not path.resolve().is_relative_to(root):
            raise wrong(directory, "files", file, "a file inside the bundle, not a link out of it")
        if not path.is_file():
            raise wrong(directory, "files", file, "only files that are there (this one is missing)")
        actual = file_digest(path)
        if actual != digest:
            raise wrong(directory, f"files[{file}]", digest, f"{actual}, or restore the file")
    if (directory / SIGNATURE).is_symlink():
        raise BundleError(f"{label(directory)}: {SIGNATURE} beside it is a link: put the file itself there")
    present = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if _is_leaf(path)}
    for extra in sorted(present - {MANIFEST, SIGNATURE, *manifest.files}):
        problem = f"files does not list {extra}: add it with its sha256, or remove it"
        raise BundleError(f"{label(directory)}: {problem}")


def _check_requirements(directory: Path, manifest: Manifest) -> None:
    """Before anything is installed: whoever builds the image gives the file to pip."""
    if not manifest.requirements:
        return
    from .lock_files import LockError, read_pins

    try:
        read_pins((directory / manifest.requirements).read_text(encoding="utf-8"))
    except (LockError, UnicodeDecodeError) as error:
        raise BundleError(f"{label(directory)}: requirements: {manifest.requirements} {error}") from error


def _read_examples(directory: Path, manifest: Manifest) -> tuple[Example, ...]:
    try:
        source = (directory / manifest.golden).read_bytes()
        examples = msgspec.json.decode(source, type=tuple[Example, ...])
    except msgspec.DecodeError as error:
        raise wrong(
            directory, "golden", manifest.golden,
            f'a JSON list of {{"inputs": {{...}}, "outputs": {{...}}}} ({error})',
        ) from error  # fmt: skip
    if not examples:
        raise wrong(directory, "golden", manifest.golden, "a file with at least one example")
    return examples


def _is_visible_directory(path: Path) -> bool:
    return path.is_dir() and path.name[0] not in "._"


def _is_leaf(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()
