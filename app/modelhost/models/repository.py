"""Which models are loaded, changed while the server runs and agreed on by all its workers.

A change is a new generation in the file `wanted`, in the directory through which workers tell that
they are ready. Each worker looks there once a second, loads and warms what is new in a thread, and
leaves in a file of its own the generation it has, or why it could not. Who asked for the change
waits for all of them; where one fails, the generation before is wanted again. A worker that starts
later loads what is wanted.
"""

import asyncio
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modelhost.bundle.bundle import BundleError, find_bundles
from modelhost.models.model import Model
from modelhost.models.readiness import Readiness
from modelhost.models.registry import Models, Registry, read_served
from modelhost.payload.errors import ClientError
from modelhost.payload.messages import truncate
from modelhost.settings import Settings

log = logging.getLogger(__name__)

Wanted = dict[str, list[int]]  # versions by name
Switch = Callable[[], None]  # from what is served to what shall be

WANTED, HAS, LOCK = "wanted", ".has", "lock"
POLL_SECONDS = 0.05
CHANGES = 4  # that a worker is asked for at once


class Repository:
    """The models directory of a server whose models may change."""

    def __init__(
        self, registry: Registry, settings: Settings, readiness: Readiness, prepare: Callable[[Models], Switch]
    ) -> None:
        self.registry = registry
        self.readiness = readiness
        self.seconds = settings.timeout_seconds
        self._models_dir = settings.models_dir
        self._allow_pickle = settings.allow_pickle
        self._directory = readiness.directory if settings.hot_models else None
        self._prepare = prepare  # to be called with what is loaded now, in a thread, and what it gives in the loop
        self._generation = 0
        self._applying = False
        self._failure = ""
        self._changing = threading.BoundedSemaphore(CHANGES)

    @property
    def hot(self) -> bool:
        """Whether models may be loaded and unloaded."""
        return self._directory is not None

    def index(self) -> list[dict[str, str]]:
        """Every version in the models directory or in memory, and its state; READY only if in all workers."""
        told = {}
        for path in find_bundles(self._models_dir) if self.hot else []:
            reason = self._failure if f"{path.parent.name}/{path.name}/" in self._failure else "unloaded"
            told[path.parent.name, path.name] = ("UNAVAILABLE", reason)
        agreed = self._agreed(self._wanted()[0]) is not None if self.hot else True
        for name, version in self.registry.loaded():
            told[name, str(version)] = ("READY", "") if agreed else ("LOADING", "not yet in every worker")
        return [
            {"name": name, "version": version, "state": state, "reason": reason}
            for (name, version), (state, reason) in sorted(told.items())
        ]

    def load(self, name: str) -> None:
        """Load every version of `name` in the models directory, in all workers.

        Raises ClientError where there is none (404) or one must not be served (400).
        """
        try:
            found = [path for path in find_bundles(self._models_dir) if path.parent.name == name]
            bundles = [read_served(path, self._allow_pickle) for path in found]
        except BundleError as error:
            self._failure = str(error)
            raise ClientError(f"The models are those of before: {error}.", "model", name) from error
        if not bundles:
            known = ", ".join(sorted({path.parent.name for path in find_bundles(self._models_dir)}))
            message = f"There is no model {truncate(name)} to load: use one of {known}."
            raise ClientError(message, "model", truncate(name), f"one of {known}", status=404)
        for bundle in bundles:
            loaded = self.registry.models.get(name, {}).get(bundle.version)
            if loaded and loaded.digest != bundle.digest:
                message = (
                    f"{name} version {bundle.version} is loaded with other contents: give what is new a new version."
                )
                raise ClientError(message, "model", name, status=409)
        self._change(lambda wanted: wanted | {name: [bundle.version for bundle in bundles]})

    def unload(self, name: str) -> None:
        """Take every version of `name` out of all workers; raises ClientError (404, or 409 for the default)."""
        self.registry.find(name)
        if name == self.registry.default:
            raise ClientError(f"{name} answers at /, so it stays loaded: deploy another default first.", status=409)
        self._change(lambda wanted: {other: versions for other, versions in wanted.items() if other != name})

    def look(self) -> None:
        """Begin to follow a change, if there is one; the worker calls this once a second, in its loop."""
        if self.hot and not self._applying and self._wanted()[0] > self._generation:
            self._applying = True
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._follow, args=[loop], name="models", daemon=True).start()

    def _change(self, change: Callable[[Wanted], Wanted]) -> None:
        """Have all workers agree on it, and wait for that; raises ClientError where one refuses."""
        with self._alone():
            generation, before = self._wanted()
            self._want(generation + 1, change(before))
            failure = self._wait_for(generation + 1)
            if failure:
                self._failure = failure
                self._want(generation + 2, before)
                self._wait_for(generation + 2)
                raise ClientError(f"The models are those of before: {failure}.", "model")

    def _wait_for(self, generation: int) -> str:
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            if (failure := self._agreed(generation)) is not None:
                return failure
            time.sleep(POLL_SECONDS)
        return f"not every worker has loaded it within {self.seconds} s"

    def _agreed(self, generation: int) -> str | None:
        """None until every worker has looked at `generation`; then why one refused it, or nothing."""
        assert self._directory
        if generation == 0:
            return ""
        looked = []
        for path in self._directory.glob(f"*{HAS}"):
            with suppress(FileNotFoundError):  # of a worker that has ended since
                told = json.loads(path.read_bytes())
                looked += [told] if told["generation"] >= generation else []
        if len(looked) < self.readiness.workers:
            return None
        return next((str(each["failure"]) for each in looked if each["failure"]), "")

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: make ready what is wanted; what is served meanwhile is what was."""
        failure, switch = "", _stay
        generation, wanted = self._wanted()
        try:
            switch = self._prepare(self._loaded(wanted))
        except BaseException as error:  # also a panic in a library that loads a model: no one else hears of it here
            if not isinstance(error, BundleError):
                log.exception("a change of the models failed")
            failure = str(error) or type(error).__name__
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._become, generation, switch, failure)

    def _become(self, generation: int, switch: Switch, failure: str) -> None:
        """In the loop, where no request is half-way between: serve what was made ready, and tell."""
        switch()
        self._generation = generation
        self._write(f"{os.getpid()}{HAS}", {"generation": generation, "failure": failure})
        self._applying = False
        log.info(
            "models of generation %d: %s",
            generation,
            failure or ", ".join(f"{n}/{v}" for n, v in self.registry.loaded()),
        )

    def _loaded(self, wanted: Wanted) -> Models:
        """What is wanted, of which what is loaded stays. Read by others meanwhile, so it is a new dictionary."""
        now = self.registry.models
        return {
            name: {
                version: now.get(name, {}).get(version)
                or Model.load(read_served(self._models_dir / name / str(version), self._allow_pickle))
                for version in versions
            }
            for name, versions in wanted.items()
            if versions
        }

    def _wanted(self) -> tuple[int, Wanted]:
        """The generation and what it is; 0 is what the server started with."""
        told = read_wanted(self._directory)
        if told is None:
            return 0, {name: sorted(versions) for name, versions in self.registry.models.items()}
        return told["generation"], told["models"]

    def _want(self, generation: int, models: Wanted) -> None:
        self._write(WANTED, {"generation": generation, "models": models})

    def _write(self, name: str, value: Any) -> None:
        """By a rename, so that no one reads half of it."""
        assert self._directory
        scratch = self._directory / f"{name}.{os.getpid()}.new"
        scratch.write_text(json.dumps(value))
        scratch.rename(self._directory / name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One change at a time, in whichever worker; the kernel lets go of the lock if that dies.

        Of those that wait for their turn each keeps a thread that would answer others: so few may.
        """
        assert self._directory
        if not self._changing.acquire(blocking=False):
            message = f"{CHANGES} changes of the models are under way: send this one again in a moment."
            raise ClientError(message, status=503, retry_after=1)
        try:
            with (self._directory / LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        finally:
            self._changing.release()


def _stay() -> None:
    """Serve what is served."""


def read_wanted(directory: Path | None) -> Any:
    """What the file `wanted` in `directory` says, or None where nothing was changed yet."""
    try:
        return json.loads((directory / WANTED).read_bytes()) if directory else None
    except FileNotFoundError:
        return None
