"""Pickles as joblib.load reads them: behind what describes an array stand its bytes, which are no instructions.

Where a reader takes other bytes for an array than joblib does, it loses its place, and imports can be hidden. So an
array counts only where it is described as joblib.dump does it, by values that nothing else can have changed.
"""

import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, cast

from .pickle_reader import Budget, Import, Reader, StandIn, UnreadableError

WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
FIELDS = {"subclass", "shape", "order", "dtype", "allow_mmap"}
ALIGNMENT = "numpy_array_alignment_bytes"  # joblib writes it since 1.2
# Those of joblib before 0.10, whose arrays are files beside it.
WRAPPERS = {"NumpyArrayWrapper", "NDArrayWrapper", "ZNDArrayWrapper"}
# numpy's names of datatypes, by whether the name alone says how long they are, and the state need not.
FIXED = re.compile(r"b1|[iu](?:1|2|4|8)|f(?:2|4|8|12|16)|c(?:8|16|24|32)|[mM]8|O(?:4|8)")
SIZED = re.compile(r"[SUV]\d{1,12}")
REFCOUNT = 1  # numpy's flag of a datatype that holds Python objects


def reads_arrays(module: str, name: str) -> bool:
    """Whether this is one of joblib's own parts that read arrays, by whatever way it is reached."""
    parts = {*module.split("."), *name.split(".")}
    return bool(parts & WRAPPERS) or any(part.startswith("numpy_pickle") for part in parts)


def _refuse(*_given: Any, **_options: Any) -> NoReturn:
    raise UnreadableError("it uses what describes an array otherwise than joblib does")


class _ArrayClass(StandIn):
    """joblib's class of what describes an array: it makes such, and is used for nothing else."""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        if not isinstance(cls, _ArrayClass):
            return object.__new__(cls)
        return _refuse() if arguments or options else object.__new__(_Array)

    __call__ = __setstate__ = __setitem__ = append = extend = add = update = _refuse


class _Array(StandIn):
    """What describes an array: it is given its state, once."""

    __new__ = __call__ = __setitem__ = append = extend = add = update = _refuse


class _Loaded(StandIn):
    """An array that was read."""


class _Arguments(tuple[Any, ...]):
    """What the protocols 0 and 1 give to copyreg._reconstructor for an _Array."""

    __slots__ = ()


HELD = {_ArrayClass, _Array, _Arguments}  # what no other object may hold, and no function be given
# The instructions that take from the stack, and how many.
TAKE = {
    pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3, pickle.APPEND: 1, pickle.SETITEM: 2, pickle.NEWOBJ: 1,
    pickle.NEWOBJ_EX: 2, pickle.REDUCE: 1, pickle.BINPERSID: 1, pickle.STOP: 1,
}  # fmt: skip


class JoblibReader(Reader):
    """Steps over arrays as joblib does."""

    dispatch: ClassVar[dict[int, Any]] = dict(Reader.dispatch)

    def __init__(self, budget: Budget, found: set[Import]) -> None:
        super().__init__(budget, found)
        self.shared: dict[int, Any] = {}  # dicts that a function may have been given as well, by their ids
        self.aliased = False  # a datatype may have been changed under another name

    def find_class(self, module: str, name: str) -> StandIn:
        made: StandIn = super().find_class(module, name)
        if made.origin == WRAPPER:
            return cast(StandIn, _ArrayClass())
        if reads_arrays(*made.origin):
            raise UnreadableError(f"it imports {'.'.join(made.origin)}, a part of joblib that reads files")
        return made

    def pop_mark(self) -> list[Any]:
        if not HELD.isdisjoint(map(type, self.stack)):  # type: ignore[attr-defined]
            _refuse()
        items: list[Any] = super().pop_mark()  # type: ignore[misc]
        return items

    def load_tuple(self) -> None:
        items = self.stack  # type: ignore[attr-defined]
        if len(items) == 3 and type(items[0]) is _ArrayClass and _is_object(items[1]) and items[2] is None:
            made: tuple[Any, ...] = _Arguments(super().pop_mark())  # type: ignore[misc]
        else:
            made = tuple(self.pop_mark())
        self.append(made)  # type: ignore[attr-defined]

    def load_build(self) -> None:
        """As joblib: an array's bytes follow what describes it."""
        stack = self.stack  # type: ignore[attr-defined]
        state, made = stack[-1], stack[-2]
        if type(state) in HELD:
            _refuse()
        if type(made) is not _Array:
            self._watch(made, state)
            pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
            return
        if made.states or id(state) in self.shared:
            _refuse()
        made.states = 1
        stack[-2:] = [object.__new__(_Loaded)]
        self._skip_array(state)

    def _watch(self, made: Any, state: Any) -> None:
        """Note where a state may be a datatype's, of something that may be a datatype that is used elsewhere."""
        if isinstance(made, StandIn) and made.origin == ("numpy", "dtype"):
            return
        if type(state) is tuple and 5 <= len(state) <= 9:
            self.aliased |= type(state[0]) in (int, bool, StandIn) and (
                type(state[1]) is StandIn or (type(state[1]) in (str, bytes) and len(state[1]) == 1)
            )
        self.aliased |= type(state) is StandIn

    def _skip_array(self, state: Any) -> None:
        if type(state) is not dict or set(state) - {ALIGNMENT} != FIELDS or self.aliased:
            _refuse()
        size, objects = _element(state["dtype"])
        shape, alignment = state["shape"], state.get(ALIGNMENT)
        if type(shape) is not tuple or not all(type(length) is int and length >= 0 for length in shape):
            _refuse()
        if objects:
            self._read_objects()
            return
        if alignment is not None:
            if type(alignment) is not int:
                _refuse()
            self.budget.skip(self.budget.read(1)[0])
        for length in shape:
            size *= length
        self.budget.skip(size)

    def _read_objects(self) -> None:
        """An array of objects is a pickle of its own, which joblib gives to Python's unpickler: it has no arrays."""
        found: set[Import] = set()
        try:
            Reader(self.budget, found).load()
        finally:
            self.found |= found
        if any(reads_arrays(*each) for each in found):
            _refuse()

    dispatch[pickle.TUPLE[0]] = load_tuple
    dispatch[pickle.BUILD[0]] = load_build


def _is_object(value: Any) -> bool:
    return isinstance(value, StandIn) and value.imported and value.origin == ("builtins", "object")


def _taking(plain: Callable[[Any], None], count: int) -> Callable[[Any], None]:
    def load(reader: Any) -> None:
        if not HELD.isdisjoint(map(type, reader.stack[-count:])):
            _refuse()
        plain(reader)

    return load


def _reducing(plain: Callable[[Any], None]) -> Callable[[Any], None]:
    def load(reader: Any) -> None:
        if type(reader.stack[-1]) is not _Arguments:
            plain(reader)
            return
        maker = reader.stack[-2]
        if not (isinstance(maker, StandIn) and maker.imported and maker.origin == ("copyreg", "_reconstructor")):
            _refuse()
        reader.stack[-2:] = [object.__new__(_Array)]

    return load


def _sharing(plain: Callable[[Any], None]) -> Callable[[Any], None]:
    """Of what is put on the stack once more, a function may be given the one and change the other."""

    def load(reader: Any) -> None:
        plain(reader)
        top = reader.stack[-1]
        if type(top) is dict:
            reader.shared[id(top)] = top

    return load


for _code, _count in TAKE.items():
    JoblibReader.dispatch[_code[0]] = _taking(Reader.dispatch[_code[0]], _count)
JoblibReader.dispatch[pickle.REDUCE[0]] = _reducing(JoblibReader.dispatch[pickle.REDUCE[0]])
for _code in (pickle.GET, pickle.BINGET, pickle.LONG_BINGET, pickle.DUP):
    JoblibReader.dispatch[_code[0]] = _sharing(Reader.dispatch[_code[0]])


def _element(dtype: Any) -> tuple[int, bool]:
    """The bytes of an array's element, and whether it is a Python object, by what makes its numpy dtype."""
    unknown = UnreadableError("an array in it has no datatype of numpy's, as numpy writes it")
    if not (isinstance(dtype, StandIn) and dtype.origin == ("numpy", "dtype") and dtype.states == 1):
        raise unknown
    name, *options = dtype.arguments or ("",)
    state = dtype.state
    # A copy, as numpy asks for: what is not one is shared, and others can change it.
    if type(name) is not str or options != [False, True] or type(state) is not tuple or len(state) not in (8, 9):
        raise unknown
    length, flags = state[5], state[7]
    if type(length) is not int or type(flags) is not int or state[2] is not None:
        raise unknown
    objects = bool(flags & REFCOUNT)
    if FIXED.fullmatch(name):
        size, says = int(name[1:]), -1
    elif SIZED.fullmatch(name):
        size = says = int(name[1:]) * (4 if name[0] == "U" else 1)
    else:
        raise unknown
    if length != says or (name[0] != "V" and objects != (name[0] == "O")):
        raise unknown
    return size, objects
