"""What a bundle's model.yaml may say, as types. Imports only msgspec: no numpy here."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "BYTES",
]  # fmt: skip
Format = Literal["onnx", "skops", "lightgbm", "xgboost", "catboost", "python", "pickle"]
Number = int | float
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,63}$"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Field = Annotated[str, Meta(min_length=1)]
Shape = tuple[Annotated[int, Meta(ge=-1)], ...]  # -1: a size that each request chooses; 0 is refused
Library = Literal["catboost", "lightgbm", "pandas", "scikit-learn", "xgboost"]  # beside the format's own
Table = Literal["", "matrix", "frame", "column"]
Content = Literal["text", "bytes", "json"]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Feature(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One column of an input of shape [n], which a client may send by its name.

    With `boolean`, its values are true and false, which clients may also write 1 and 0; the model gets
    1 and 0 in the input's datatype, as it does of pandas' columns of booleans.
    """

    name: Field
    description: str = ""
    unit: str = ""
    minimum: Number | None = None
    maximum: Number | None = None
    boolean: bool = False
    nullable: bool = False
    default: Any = UNSET


class Input(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One input. `shape` is that of one row; the batch dimension comes before it.

    With `nullable`, null (in CSV an empty cell, in binary a NaN) is a value: the model knows what to do
    about a missing one. With `default`, a record may leave the input out, and has this value then; it
    may be null where `nullable`. Of an input with features, each feature says so for itself.

    The array of a nullable input has NaN where a value is missing. Only floats have a NaN: of every
    other datatype it is an array of objects (str, int, bool), always, with None where one is missing.

    `content` says what an element of BYTES is: text (a str), bytes such as those of an image's file, or
    any JSON value, such as an object. Only a Python class takes other than text.
    """

    name: Field
    datatype: Datatype
    shape: Shape
    content: Content = "text"
    tensor: str = ""  # its name inside the model file, where it differs
    description: str = ""
    features: tuple[Feature, ...] = ()
    minimum: Number | None = None
    maximum: Number | None = None
    categories: tuple[str | int, ...] = ()
    nullable: bool = False
    default: Any = UNSET
    # Of the column in a data frame, where it is not the datatype's own: a pandas dtype such as category, or "none",
    # which is objects with None, and not NaN, where a value is missing.
    dtype: str = ""
    missing: str | UnsetType = UNSET  # what a model file that has no null is given for a missing text


class Output(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One output. With `labels`, the model's integer i is answered as labels[i].

    With `nullable: true`, NaN means that the model has no number there: null in JSON, an empty cell in CSV, NaN in
    binary. With `nullable: false`, every element is a number. An answer that breaks this is refused, and one with an
    infinity under either. Where nothing is said, as in older bundles, what is not finite is null in JSON.
    """

    name: Field
    datatype: Datatype
    shape: Shape
    tensor: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    nullable: bool | None = None


class Example(Struct, frozen=True, forbid_unknown_fields=True):
    """A row as a client sends it, and the outputs it must be answered with."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Objectives(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the model may cost in one worker; `modelhost check` measures it."""

    latency_ms: Annotated[float, Meta(gt=0)] | None = None  # p99 of one row, without HTTP
    memory_mb: Annotated[float, Meta(gt=0)] | None = None  # that the model adds to a worker


class Batching(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """That requests which wait for the same model are answered by one call of it."""

    max_rows: Annotated[int, Meta(ge=2)]  # in one such call; a client's own batch is never split
    difference: Annotated[float, Meta(ge=0)] = 0.0  # measured: the most that sharing changes an answer by


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of model.yaml."""

    name: Name
    version: Annotated[int, Meta(ge=1)]
    description: str
    format: Format
    entry: str
    files: dict[str, Digest]
    inputs: Annotated[tuple[Input, ...], Meta(min_length=1)]
    outputs: Annotated[tuple[Output, ...], Meta(min_length=1)]
    golden: str
    tolerance: Annotated[float, Meta(ge=0)] = 1e-5
    rows: Literal["", "one"] = ""  # how many the model takes a call: any number, or one
    table: Table = ""  # how an estimator takes the rows: an array, a data frame, or the only input's values
    libraries: tuple[Library, ...] = ()  # that the model needs beside its format's
    requirements: str = ""  # the lock file of what else the image has to install for the model
    allow_pickle: bool = False  # a pickle runs whatever its maker put in
    objectives: Objectives = Objectives()
    batching: Batching | None = None  # None: each request is a call of its own
    varies: bool = False  # equal inputs may give other outputs: examples say names, shapes and datatypes alone
    pure: bool | None = None  # equal inputs, equal outputs: may be cached. None: unless it is a Python class
    quick: bool | None = None  # never takes long, whatever the input: inference/placement.py. None: by its format
    statistics: str = ""  # the file that describes the sample; the server does not read it
    origin: dict[str, str] = {}  # where the model came from, for people
