"""What a pickle imports, without importing it: it is read as the real thing is, and makes stand-ins that do nothing."""

import _compat_pickle
import pickle
from typing import Any, BinaryIO, ClassVar

Import = tuple[str, str]  # module and name

MOST_BYTES = 2 * 2**30  # of instructions and what they hold, which all has to fit into memory; arrays do not count
PIECE = 2**20
MAKERS = {("copyreg", name) for name in ("_reconstructor", "__newobj__")}  # which make what their first argument names


class UnreadableError(Exception):
    """A pickle that cannot be read to its end; its text is a clause that says why."""


class StandIn:
    """Whatever a pickle names or makes: takes what it is given, and does nothing."""

    origin: Import = ("", "")  # what it stands for, or what it is made by
    imported = False  # it stands for something of a module's, which others share
    arguments: tuple[Any, ...] = ()
    state: Any = None
    states = 0  # how many it was given

    def __new__(cls, *arguments: Any, **_options: Any) -> "StandIn":
        made: StandIn = object.__new__(StandIn)
        if isinstance(cls, StandIn):  # as pickle does it: cls.__new__(cls, ...), and ours are never classes
            made.origin, made.arguments = cls.origin, arguments
        return made

    def __call__(self, *arguments: Any, **_options: Any) -> "StandIn":
        maker = arguments[0] if self.origin in MAKERS and arguments else self
        made = StandIn()
        if isinstance(maker, StandIn):
            made.origin, made.arguments = maker.origin, arguments
        return made

    def __setstate__(self, state: Any) -> None:
        self._change()
        self.state, self.states = state, self.states + 1

    def __setitem__(self, _key: Any, _value: Any) -> None:
        """As a dict."""
        self._change()

    def append(self, _value: Any) -> None:
        """As a list."""
        self._change()

    extend = add = update = append

    def _change(self) -> None:
        if self.imported:  # such as pickle's own table of names
            raise UnreadableError(f"it changes {'.'.join(self.origin)}, which it imports")


class Budget:
    """A file of which only so much is taken into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.left = file, MOST_BYTES

    def read(self, size: int) -> bytes:
        self._take(size)
        return self.file.read(size)

    def readinto(self, buffer: Any) -> int:
        self._take(len(buffer))
        found: int = self.file.readinto(buffer)  # type: ignore[attr-defined]
        return found

    def readline(self) -> bytes:
        line = self.file.readline(self.left + 1)
        self._take(len(line))
        return line

    def skip(self, size: int) -> None:
        """Step over bytes, which are not taken into memory."""
        while size > 0:
            piece = self.file.read(min(size, PIECE))
            if not piece:
                raise EOFError
            size -= len(piece)

    def _take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise UnreadableError(f"it has more than {MOST_BYTES // 2**30} GB that are no arrays of joblib's")


# What is ignored below: Python's types say nothing of its own reader written in Python, whose parts are replaced here.
class Reader(pickle._Unpickler):
    """Python's own unpickler, which follows the instructions and makes nothing but stand-ins."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, budget: Budget, found: set[Import]) -> None:
        super().__init__(budget)
        self.budget, self.found = budget, found

    def find_class(self, module: str, name: str) -> StandIn:
        self.found.add((module, name))
        if self.proto < 3:  # type: ignore[attr-defined]
            # Python 2's names, which the real one maps.
            old = (module, name)
            module, name = _compat_pickle.NAME_MAPPING.get(
                old, (_compat_pickle.IMPORT_MAPPING.get(module, module), name)
            )
            self.found.add((module, name))
        made = StandIn()
        made.origin, made.imported = (module, name), True
        return made

    def persistent_load(self, pid: Any) -> StandIn:
        """PyTorch's tensors, which are in files beside it."""
        return StandIn()

    def get_extension(self, code: int) -> None:
        """What a number stands for is known to the process that opens it, not here."""
        raise UnreadableError(f"it imports by the number {code}, not by a name")
