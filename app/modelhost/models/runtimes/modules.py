"""Python modules that come with a bundle: importable by the bundle's own code, and by nothing else.

A bundle's modules are a package of their own in `sys.modules`, under a name that no other bundle
has: two bundles with a `helpers.py` each have their own. Code in the bundle still writes
`import helpers`, at its top or later in `predict`: its modules are given an `__import__` that looks
into the bundle first. Nothing on `sys.path` changes, and nothing is written beside the files.
"""

import builtins
import importlib
import itertools
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PREFIX = "modelhost_bundle_"
_numbers = itertools.count(1)
_unpickling = threading.Lock()


class BundleModules:
    """The modules in `directory`, imported as a package called like `label` and a number.

    They are forgotten when this object is.
    """

    def __init__(self, directory: Path, label: str) -> None:
        self.directory = directory
        self.package = f"{PREFIX}{label.replace('.', '_')}_{next(_numbers)}"
        root = ModuleType(self.package, "The files of a bundle.")
        root.__path__ = [str(directory)]
        sys.modules[self.package] = root
        self._import = _Import(self.package, str(directory))
        _builtins[self.package] = {**vars(builtins), "__import__": self._import}
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        self.forget = weakref.finalize(self, _forget, self.package)
        self.forget.atexit = False

    def run(self, file: str) -> ModuleType:
        """The module in `file` of the directory, executed; raises what its code raises."""
        name = f"{self.package}.{Path(file).stem.replace('.', '_')}"
        path = str(self.directory / file)
        spec = spec_from_file_location(name, path, loader=_Source(name, path))
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    @contextmanager
    def unpickling(self) -> Iterator[None]:
        """While it lasts, a pickle finds the bundle's classes under the names they were made with.

        By one thread at a time, since a name then stands for this bundle's module.
        """
        finder, has = _Alias(self._import), self._import.has
        with _unpickling:
            hidden = {name: module for name, module in sys.modules.items() if has(name)}
            for name in hidden:
                del sys.modules[name]
            sys.meta_path.insert(0, finder)
            try:
                yield
            finally:
                sys.meta_path.remove(finder)
                for name in [name for name in sys.modules if has(name)]:
                    del sys.modules[name]
                sys.modules.update(hidden)

    def place_of(self, error: BaseException) -> str:
        """Where in the bundle's files an error arose, in brackets; empty where it did not."""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if Path(frame.filename).is_relative_to(self.directory)]
        if not ours:
            return ""
        first, last = (Path(frame.filename).relative_to(self.directory).as_posix() for frame in (ours[0], ours[-1]))
        return f" ({'' if first == last else f'{last}, '}line {ours[-1].lineno})"


class _Import:
    """What an import statement in a bundle's code calls. It looks into the bundle first, and then as Python does."""

    def __init__(self, package: str, directory: str) -> None:
        self.package = package
        self._directory = directory
        self._known: dict[str, bool] = {}

    def __call__(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """As builtins.__import__."""
        if level or not self.has(name):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        own = f"{self.package}.{name}"
        try:
            importlib.import_module(own)
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith(self.package + "."):
                missing = error.name.removeprefix(self.package + ".")
                raise ModuleNotFoundError(f"No module named {missing!r}", name=missing) from None
            raise
        if fromlist:
            return builtins.__import__(own, globals, locals, fromlist, 0)
        return sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    def has(self, name: str) -> bool:
        """Whether the module `name`, such as helpers.text, is one of the bundle's.

        As for Python itself, a folder without an __init__.py only counts where nothing else has the name.
        """
        top = name.partition(".")[0]
        if top not in self._known:
            spec = _find(f"{self.package}.{top}", [self._directory])
            folder = spec is not None and spec.loader is None
            self._known[top] = spec is not None and not (folder and _exists_elsewhere(top))
        return self._known[top]


def reason_of(error: BaseException) -> str:
    """The type and text of what someone else's code raised, which may fail at telling even that."""
    try:
        return f"{type(error).__name__}: {error}".strip(": ")
    except Exception:
        return type(error).__name__


@contextmanager
def importable(directory: Path) -> Iterator[None]:
    """While it lasts, all of this process can import the modules in `directory`, and is rid of them afterwards.

    For packing alone, where a pickle is read, asked and written anew under the names it was made with.
    """
    before, kept, writes = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = kept, writes
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(directory):
                del sys.modules[name]


class _Source(SourceFileLoader):
    """Source that is compiled anew and never stored, with the bundle's own way to import."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = _builtins[module.__name__.partition(".")[0]]
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds what is below the package of a bundle."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = fullname.startswith(PREFIX) and path
        return _find(fullname, list(path or ())) if ours else None


class _Alias(MetaPathFinder, Loader):
    """Gives a bundle's module to who asks for it by its plain name."""

    def __init__(self, own: _Import) -> None:
        self.own = own
        self.thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        mine = threading.get_ident() == self.thread and not fullname.startswith(PREFIX)
        return ModuleSpec(fullname, self) if mine and self.own.has(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{self.own.package}.{spec.name}")
        spec.loader_state = module.__spec__  # which importlib replaces by `spec`
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


_FINDER = _Finder()
_builtins: dict[str, dict[str, Any]] = {}  # the builtins of each bundle's modules


def _find(fullname: str, path: list[str]) -> ModuleSpec | None:
    """As Python's own finder does: the first of `path` that has it, or else all folders of that name."""
    folders: list[str] = []
    for entry in path:
        spec = FileFinder(entry, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Source, [".py"])).find_spec(fullname)
        if spec is not None and spec.loader is not None:
            return spec
        if spec is not None:
            folders += spec.submodule_search_locations or []
    if not folders:
        return None
    found = ModuleSpec(fullname, None, is_package=True)
    found.submodule_search_locations = folders
    return found


def _exists_elsewhere(top: str) -> bool:
    try:
        return top in sys.modules or importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _forget(package: str) -> None:
    for name in list(sys.modules):  # another thread may import meanwhile
        if name == package or name.startswith(package + "."):
            sys.modules.pop(name, None)
    _builtins.pop(package, None)
