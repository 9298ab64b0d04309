"""A loaded model: the core between every protocol and every runtime, arrays in and arrays out."""

import logging
import math
import signal
import threading
import time
from collections.abc import Generator
from typing import Any, Self

import orjson

from modelhost import InvalidInput
from modelhost.bundle.bundle import Bundle
from modelhost.models.memory import private_mb
from modelhost.models.runtimes import Runtime, open_runtime
from modelhost.payload.contents import own_copies
from modelhost.payload.datatypes import Arrays, grouped, stack
from modelhost.payload.errors import ClientError, ModelError, refused_by_model
from modelhost.payload.file_body import takes_file
from modelhost.payload.inputs import InputReader
from modelhost.payload.messages import as_json, shorten, truncate
from modelhost.payload.outputs import OutputWriter
from modelhost.payload.records import read_record

log = logging.getLogger(__name__)


class Model:
    """One version of one model, warm and known to answer its golden examples."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.manifest = bundle.manifest
        self.name = bundle.name
        self.version = bundle.version
        self.digest = bundle.digest
        # As JSON, since a large one takes many times as much as Python's lists.
        self.example_json = as_json(bundle.examples[0].inputs)
        self.example_outputs, _ = shorten(bundle.examples[0].outputs)
        self.shown_examples: dict[str, tuple[Any, bool]] = {}  # by protocol, see Protocol.shown_example
        self.inputs = [InputReader(schema) for schema in bundle.manifest.inputs]
        self.takes_file = takes_file(self.inputs)  # as the body of a request
        # As MLflow's clients send them: bytes as a string of base64.
        bare = any(schema.content == "bytes" for schema in bundle.manifest.inputs)
        self.inputs_in_base64 = [InputReader(reader.schema, True) for reader in self.inputs] if bare else self.inputs
        self.outputs = [OutputWriter(schema) for schema in bundle.manifest.outputs]
        self._numbers = [output for output in self.outputs if output.dtype.kind == "f"]  # which may be NaN or infinite
        self.varies = any(reader.varies for reader in self.inputs)  # in sizes that each request chooses
        self._runtime = runtime
        self._stream = getattr(runtime, "stream", None)  # only a Python class may have it
        self._tensors = {i.name: i.schema.tensor or i.name for i in self.inputs}

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """The bundle's model, warmed up; raises BundleError where it must not be served."""
        start, before = time.perf_counter(), private_mb()
        model = cls(bundle, open_runtime(bundle))
        loaded = time.perf_counter()
        model.check_examples(bundle)
        log.info(
            "model %s version %d (%s): loaded in %.1f ms, warmed up in %.1f ms, adds %.1f MB to this worker",
            bundle.name, bundle.version, bundle.manifest.format,
            (loaded - start) * 1e3, (time.perf_counter() - loaded) * 1e3, max(0.0, private_mb() - before),
            extra={"model": bundle.name, "version": bundle.version},
        )  # fmt: skip
        return model

    def predict(self, inputs: Arrays) -> Arrays:
        """Outputs by name, each (rows, *shape), for `inputs` by name, each (rows, *shape).

        Raises ModelError where the model raises, or returns what the schema does not say; ClientError where a
        runtime says that the request is at fault.
        """
        try:
            returned = self._runtime.predict(self._fed(inputs))
        except (ClientError, ModelError):
            raise
        except InvalidInput as error:
            raise refused_by_model(error) from error
        except BaseException as error:  # also what a library in Rust raises in a panic, or a model that wants to end
            if _is_ctrl_c(error):
                raise
            raise ModelError(f"predict raised {type(error).__name__}: {error}") from error
        return self._taken(returned, inputs, "predict")

    @property
    def example(self) -> Any:
        """A record that the model answers: the first golden example's."""
        return orjson.loads(self.example_json)

    @property
    def pure(self) -> bool:
        """Whether equal inputs always give equal outputs: a Python class must say so itself."""
        said = self.manifest.pure
        return self.manifest.format != "python" and not self.manifest.varies if said is None else said

    @property
    def streams(self) -> bool:
        """Whether the model has the verb `stream`."""
        return self._stream is not None

    def stream(self, inputs: Arrays) -> Generator[Arrays, None, None]:
        """What `predict` gives, as often as the model yields it; raises as `predict` does.

        Closing it closes the model's own iterator, so a client that goes away stops the work.
        """
        if self._stream is None:
            raise ModelError(f"{self.name} has no verb stream")
        chunks: Any = None
        try:
            chunks = iter(self._stream(self._fed(inputs)))
            for returned in chunks:
                yield self._taken(returned, inputs, "stream")
        except (ClientError, ModelError, GeneratorExit):
            raise
        except InvalidInput as error:
            raise refused_by_model(error) from error
        except BaseException as error:
            if _is_ctrl_c(error):
                raise
            raise ModelError(f"stream raised {type(error).__name__}: {error}") from error
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def not_finite(self, outputs: Arrays) -> dict[str, int]:
        """How many elements of each output are NaN or infinite, of those outputs that have any."""
        found = {output.name: output.not_finite(outputs[output.name]) for output in self._numbers}
        return {name: number for name, number in found.items() if number}

    def refuse_not_finite(self, outputs: Arrays) -> None:
        """Raise ClientError (500) where an output has a NaN or an infinity that its schema does not allow."""
        for output in self._numbers:
            output.refuse_not_finite(outputs[output.name])

    def rows(self, outputs: Arrays) -> list[dict[str, Any]]:
        """What `predict` gave, as one object for each row, for orjson to write."""
        names = [output.name for output in self.outputs]
        columns = [output.rows(outputs[output.name]) for output in self.outputs]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def unnamed_rows(self, outputs: Arrays) -> Any:
        """As `rows`, but the values alone where the model has one output."""
        if len(self.outputs) > 1:
            return self.rows(outputs)
        (output,) = self.outputs
        return output.column(outputs[output.name])

    def check_examples(self, bundle: Bundle) -> None:
        """Answer each golden example, alone and in one batch; BundleError where that differs.

        Of a model that varies, that the answers have the schema's shapes and datatypes is all that can be said.
        """
        examples = bundle.examples
        for number, example in enumerate(examples):
            unknown = set(example.outputs) ^ {output.name for output in self.outputs}
            if unknown:
                problem = f"example {number} and outputs disagree about {sorted(unknown)}"
                raise bundle.refuse("golden", problem)
        try:
            read = [read_record(self.inputs, example.inputs) for example in examples]
        except ClientError as error:
            raise bundle.refuse("golden", f"has an example that the schema refuses: {error.message}") from error
        try:
            answers = [self._as_client_sees(own_copies(arrays))[0] for arrays in read]
            together: list[Any] = [None] * len(read)
            alone = self.manifest.rows == "one"  # answers of two rows need not be of one size
            for places in [[n] for n in range(len(read))] if alone else grouped(read):  # others fit in no one batch
                rows = self._as_client_sees(own_copies(stack([read[place] for place in places])))
                for place, row in zip(places, rows, strict=True):
                    together[place] = row
        except ClientError as error:
            problem = "has an example that the model itself refuses" if error.status < 500 else "cannot be answered"
            raise bundle.refuse("golden", f"{problem}: {error.message}") from error
        except ModelError as error:
            raise bundle.refuse("golden", f"cannot be answered: {error}") from error
        if self.manifest.varies:
            return
        for way, answered in (("", answers), (" in a batch", together)):
            for number, (example, answer) in enumerate(zip(examples, answered, strict=True)):
                for name, wanted in example.outputs.items():
                    told = first_difference(answer[name], wanted, bundle.manifest.tolerance, name)
                    if told:
                        raise bundle.refuse(
                            "golden",
                            f"example {number} expects {told}{way}: record the example anew if the model is right",
                        )

    def _fed(self, inputs: Arrays) -> Arrays:
        return {self._tensors[name]: array for name, array in inputs.items()}

    def _taken(self, returned: Any, inputs: Arrays, verb: str) -> Arrays:
        if not isinstance(returned, dict):
            raise ModelError(f"{verb} returned {type(returned).__name__}, not a dict of arrays")
        rows = len(next(iter(inputs.values())))
        return {output.name: output.take(returned, rows) for output in self.outputs}

    def _as_client_sees(self, arrays: Arrays) -> list[dict[str, Any]]:
        outputs = self.predict(arrays)
        self.refuse_not_finite(outputs)
        written = orjson.dumps(self.rows(outputs), option=orjson.OPT_SERIALIZE_NUMPY)
        rows: list[dict[str, Any]] = orjson.loads(written)
        return rows


def _is_ctrl_c(error: BaseException) -> bool:
    """Whether a person has interrupted a command. A server hears of signals otherwise: there the model raised it."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, KeyboardInterrupt) and heard and threading.current_thread() is threading.main_thread()


def close(answer: Any, wanted: Any, tolerance: float) -> bool:
    """Whether two JSON values are alike, floats within `tolerance` (absolute or relative)."""
    if isinstance(answer, list) and isinstance(wanted, list):
        pairs = zip(answer, wanted, strict=False)
        return len(answer) == len(wanted) and all(close(a, w, tolerance) for a, w in pairs)
    if _are_numbers(answer, wanted) and float in (type(answer), type(wanted)):
        return math.isclose(answer, wanted, rel_tol=tolerance, abs_tol=tolerance)
    return type(answer) is type(wanted) and bool(answer == wanted)


def first_difference(answer: Any, wanted: Any, tolerance: float, place: str) -> str | None:
    """Where two JSON values, found at `place`, are first not alike (see `close`), in a clause; None where they are."""
    if isinstance(answer, list) and isinstance(wanted, list) and len(answer) == len(wanted):
        pairs = enumerate(zip(answer, wanted, strict=True))
        found = (first_difference(a, w, tolerance, f"{place}[{number}]") for number, (a, w) in pairs)
        return next((told for told in found if told), None)
    if close(answer, wanted, tolerance):
        return None
    by = f" (a difference of {abs(answer - wanted):.2g})" if _are_numbers(answer, wanted) else ""
    lengths = isinstance(answer, list) and isinstance(wanted, list)
    expected, got = (f"a list of {len(value)}" if lengths else repr(truncate(value)) for value in (wanted, answer))
    return f"{place} {expected}, but the model answers {got}{by}"


def _are_numbers(*values: Any) -> bool:
    return {type(value) for value in values} <= {int, float}
