"""JSON Schemas (2020-12, as OpenAPI 3.1 uses) of what a model takes and answers.

They say what the readers check: what is valid here is answered, what is not is refused.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from modelhost.bundle.base64_text import KEY
from modelhost.bundle.schema import Feature, Input, Output
from modelhost.models.model import Model
from modelhost.payload.datatypes import DTYPES, limits
from modelhost.payload.inputs import InputReader

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
FORMATS = {"FP32": "float", "FP64": "double", "INT32": "int32", "INT64": "int64"}


# Bytes in JSON; MLflow's clients also write them as a bare string.
ENCODED: Schema = {
    "properties": {KEY: {"type": "string", "contentEncoding": "base64"}},
    "required": [KEY],
    "additionalProperties": False,
}


def array_of(items: Schema, sizes: Sequence[int] = (-1,), least: int = 1) -> Schema:
    """Nested lists of exactly `sizes`; of -1, of any length from `least`."""
    for size in reversed(sizes):
        bounds = {"minItems": least} if size == -1 else {"minItems": size, "maxItems": size}
        items = {"type": "array", "items": items, **bounds}
    return items


def tuple_of(items: list[Schema]) -> Schema:
    """A list of exactly these items."""
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def object_of(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object of exactly these properties, and any of the optional ones."""
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def fields_of(fields: dict[str, Schema]) -> Schema:
    """An object of these properties, of which those with a default may be left out."""
    optional = {name: field for name, field in fields.items() if "default" in field}
    return object_of({name: field for name, field in fields.items() if name not in optional}, optional)


def element(reader: InputReader, bounded: Input | Feature) -> Schema:
    """One element of an input, with the bounds of its feature."""
    schema = _value(reader, bounded)
    if bounded.nullable:
        schema["type"] = [*([schema["type"]] if type(schema["type"]) is str else schema["type"]), "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _value(reader: InputReader, bounded: Input | Feature) -> Schema:
    """One element that is not missing."""
    schema, dtype = reader.schema, reader.dtype
    said: Schema = {"description": bounded.description} if bounded.description else {}
    if dtype.kind == "b" or (isinstance(bounded, Feature) and bounded.boolean):
        return said | {"type": ["boolean", "integer"], "enum": [True, False, 0, 1]}
    if schema.content == "bytes":
        bare = {"type": ["string", "object"], "contentEncoding": "base64"}
        return said | ENCODED | (bare if reader.bare_base64 else {"type": "object"})
    if schema.content == "json":
        return said | {"type": ["object", "array", "string", "number", "boolean"]}
    kind = {"O": "string", "f": "number"}.get(dtype.kind, "integer")
    if schema.categories:
        return said | {"type": kind, "enum": list(schema.categories)}
    if dtype.kind == "O":
        return said | {"type": kind}
    low, high = limits(dtype)
    bounds = {
        "minimum": low if bounded.minimum is None else max(bounded.minimum, low),
        "maximum": high if bounded.maximum is None else min(bounded.maximum, high),
    }
    unit = bounded.unit if isinstance(bounded, Feature) else ""
    if unit:
        said["description"] = f"{said.get('description', bounded.name)} ({unit})"
    form = {"format": FORMATS[schema.datatype]} if schema.datatype in FORMATS else {}
    return said | {"type": kind} | form | bounds


def whole(reader: InputReader) -> Schema:
    """A row of an input, given whole."""
    schema = reader.schema
    if schema.features:
        return tuple_of([element(reader, feature) for feature in schema.features])
    return array_of(element(reader, schema), schema.shape)


def record(inputs: list[InputReader]) -> Schema:
    """One record: each input whole, or by its features."""
    ways = [_ways(reader) for reader in inputs]
    records = [fields_of({k: v for way in chosen for k, v in way.items()}) for chosen in itertools.product(*ways)]
    return records[0] if len(records) == 1 else {"anyOf": records}


def row(inputs: list[InputReader]) -> Schema:
    """One plain row."""
    if len(inputs) == 1:
        return whole(inputs[0])
    return tuple_of([field for reader in inputs for field in _ways(reader)[0].values()])


def columns(inputs: list[InputReader]) -> Schema:
    """Columns by feature, at least one and all of one length (which JSON Schema cannot say)."""
    fields = {name: field for reader in inputs for name, field in _ways(reader)[0].items()}
    given = {name: array_of(field) for name, field in fields.items()}
    optional = {name: given.pop(name) for name, field in fields.items() if "default" in field}
    return object_of(given, optional) | {"minProperties": 1}


def prediction(model: Model) -> Schema:
    """The outputs for one row, by name."""
    return object_of({writer.name: output(writer.schema) for writer in model.outputs})


def values(model: Model) -> Schema:
    """The outputs for one row, or the only one without its name."""
    return prediction(model) if len(model.outputs) > 1 else output(model.outputs[0].schema)


def output(schema: Output) -> Schema:
    """One output for one row."""
    kind = {"b": "boolean", "O": "string", "f": "number"}.get(DTYPES[schema.datatype].kind, "integer")
    may_be_null = kind == "number" and schema.nullable is not False  # where nothing is said, it is not ruled out
    item: Schema = {"type": [kind, "null"] if may_be_null else kind} | (
        {"enum": list(schema.labels)} if schema.labels else {}
    )
    value = array_of(item, schema.shape, least=0)
    return value | ({"description": schema.description} if schema.description else {})


def tensor(schema: Input | Output) -> Schema:
    """A tensor of the Open Inference Protocol, as JSON. `shape` starts with the rows."""
    rank, least = len(schema.shape) + 1, 1
    if isinstance(schema, Output) and -1 in schema.shape:
        least = 0  # an answer may be empty, such as that of a detector that finds nothing
    return object_of(
        {
            "name": {"const": schema.name},
            "datatype": {"const": schema.datatype},
            "shape": array_of({"type": "integer", "minimum": least}, [rank]),
            "data": {"type": "array", "minItems": least},
        },
        {"parameters": {"type": "object"}},
    )


def _ways(reader: InputReader) -> list[dict[str, Schema]]:
    """The ways in which a record may give an input, the best one first."""
    schema = reader.schema
    if not schema.features:
        return [{reader.name: _field(schema, whole(reader))}]
    by_feature = {feature.name: _field(feature, element(reader, feature)) for feature in schema.features}
    return [by_feature, {reader.name: whole(reader)}]


def _field(bounded: Input | Feature, schema: Schema) -> Schema:
    return schema if bounded.default is UNSET else schema | {"default": bounded.default}
