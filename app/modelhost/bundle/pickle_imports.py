"""What a pickle imports, without importing it: it is read as the real thing is, and makes stand-ins that do nothing.

Scanners that only list a pickle's instructions lose their place at an array of joblib's, whose bytes stand between
them: what comes after the first one is not seen. Here such an array is stepped over, as joblib does.
"""

import _compat_pickle
import contextlib
import pickle
import re
from typing import Any, BinaryIO, ClassVar

Import = tuple[str, str]  # module and name

MOST_BYTES = 2 * 2**30  # of instructions and what they hold, which all has to fit into memory; arrays do not count
PIECE = 2**20
DTYPE = re.compile(r"[<>=|]?([a-zA-Z?])(\d*)")  # a numpy dtype's short name, such as f8
REFCOUNT = 1  # numpy's flag of a dtype that holds Python objects


class UnreadableError(Exception):
    """A pickle that cannot be read to its end; its text is a clause that says why."""


class StandIn:
    """Whatever a pickle names or makes: takes what it is given, and does nothing."""

    origin: Import = ("", "")  # what it stands for, or what it is made by
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any, **_options: Any) -> "StandIn":
        made: StandIn = object.__new__(StandIn)
        if isinstance(cls, StandIn):  # as pickle does it: cls.__new__(cls, ...), and ours are never classes
            made.origin, made.arguments = cls.origin, arguments
        return made

    def __call__(self, *arguments: Any, **_options: Any) -> "StandIn":
        maker = arguments[0] if self.origin[1] in ("_reconstructor", "__newobj__") and arguments else self
        made = StandIn()
        if isinstance(maker, StandIn):
            made.origin, made.arguments = maker.origin, arguments
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, _key: Any, _value: Any) -> None:
        """As a dict."""

    def append(self, _value: Any) -> None:
        """As a list."""

    extend = add = update = append


class _Budget:
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


class _Reader(pickle._Unpickler):
    """Python's own unpickler, which follows the instructions and makes nothing but stand-ins."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, budget: _Budget, found: set[Import]) -> None:
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
        made.origin = (module, name)
        return made

    def persistent_load(self, pid: Any) -> StandIn:
        """PyTorch's tensors, which are in files beside it."""
        return StandIn()

    def load_build(self) -> None:
        """As joblib: an array's bytes follow what describes it."""
        pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
        top = self.stack[-1]  # type: ignore[attr-defined]
        if isinstance(top, StandIn) and top.origin[1].rpartition(".")[2] == "NumpyArrayWrapper":
            self._skip_array(top.state)

    dispatch[pickle.BUILD[0]] = load_build

    def _skip_array(self, state: dict[str, Any]) -> None:
        size, objects = _element(state["dtype"])
        if objects:  # a pickle of its own
            _Reader(self.budget, self.found).load()
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self.budget.skip(self.budget.read(1)[0])
        for length in state["shape"]:
            size *= int(length)
        self.budget.skip(size)


def read_imports(file: BinaryIO, found: set[Import]) -> None:
    """Add to `found` what the pickle at the file's place imports, and those behind it, as PyTorch used to write them.

    Raises UnreadableError where the first one cannot be read to its end: `found` is what it imports until there.
    """
    budget = _Budget(file)
    _read(budget, found)
    with contextlib.suppress(UnreadableError):  # what stands behind a pickle need not be one
        while True:
            _read(budget, found)


def _read(budget: _Budget, found: set[Import]) -> None:
    try:
        _Reader(budget, found).load()
    except UnreadableError:
        raise
    except EOFError:
        raise UnreadableError("it ends too early") from None
    except Exception as error:  # whatever instructions that fit together wrongly raise
        raise UnreadableError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None


def _element(dtype: Any) -> tuple[int, bool]:
    """The bytes of an array's element, and whether it is a Python object, by what makes its numpy dtype."""
    name = dtype.arguments[0] if isinstance(dtype, StandIn) and dtype.arguments else None
    short = DTYPE.fullmatch(name) if isinstance(name, str) else None
    if short is None:
        raise UnreadableError("an array in it has no datatype of numpy's")
    state = dtype.state if isinstance(dtype.state, tuple) else ()
    size = state[5] if len(state) > 5 and isinstance(state[5], int) and state[5] >= 0 else int(short[2] or 1)
    objects = short[1] == "O" or (len(state) > 7 and isinstance(state[7], int) and bool(state[7] & REFCOUNT))
    return size, objects
