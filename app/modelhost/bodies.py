"""JSON Schemas of whole bodies: what each protocol takes and answers for one model."""

from typing import Any

from modelhost import jsonschema
from modelhost.jsonschema import array_of, object_of
from modelhost.models.model import Model
from modelhost.protocols.tensorflow import SIGNATURE

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
OBJECT: Json = {"type": "object"}


def bodies(model: Model) -> Json:
    """The schemas of one model, by their names' last part."""
    record, row, columns = jsonschema.record(model), jsonschema.row(model), jsonschema.columns(model)
    prediction = jsonschema.prediction(model)
    values = prediction if len(model.outputs) > 1 else jsonschema.output(model.outputs[0].schema)
    told: Json = {"model": {"const": model.name}, "version": {"const": model.version}}
    split = object_of({"columns": array_of(TEXT), "data": array_of({"type": "array"})}, {"index": {"type": "array"}})
    instances: Json = {"anyOf": [array_of(record), array_of(row)]}
    signature: Json = {"signature_name": {"const": SIGNATURE}}
    inputs: Json = {"anyOf": [array_of(row), columns]}
    return {
        "Record": record,
        "Prediction": prediction,
        "native.Request": {
            "anyOf": [
                record,
                array_of(record),
                array_of(row),
                object_of({"records": array_of(record)}),
                object_of({"rows": array_of(row)}),
                object_of({"columns": columns}),
            ]
        },
        "native.Answer": {
            "anyOf": [
                object_of(told | {"prediction": prediction}),
                object_of(told | {"predictions": array_of(prediction)}),
            ]
        },
        "infer.Request": object_of(
            {"inputs": _tensors(model)},
            {"id": TEXT, "parameters": OBJECT, "outputs": {"type": "array", "items": OBJECT}},
        ),
        "infer.Answer": object_of(
            {
                "model_name": told["model"],
                "model_version": {"const": str(model.version)},
                "outputs": array_of({"anyOf": [jsonschema.tensor(w.schema) for w in model.outputs]}),
            },
            {"id": TEXT},
        ),
        "tensorflow.Request": {
            "anyOf": [object_of({"instances": instances}, signature), object_of({"inputs": inputs}, signature)]
        },
        "tensorflow.Answer": {"anyOf": [object_of({"predictions": array_of(values)}), object_of({"outputs": {}})]},
        "mlflow.Request": {
            "anyOf": [
                object_of({"dataframe_records": array_of(record)}),
                object_of({"dataframe_split": split}),
                object_of({"instances": instances}),
                object_of({"inputs": inputs}),
            ]
        },
        "mlflow.Answer": object_of({"predictions": array_of(values)}),
    }


def _tensors(model: Model) -> Json:
    """The tensors of a request: each input, but for those that have defaults."""
    every = array_of({"anyOf": [jsonschema.tensor(reader.schema) for reader in model.inputs]}, [len(model.inputs)])
    return every | {"minItems": max(1, sum(bool(reader.required) for reader in model.inputs))}
