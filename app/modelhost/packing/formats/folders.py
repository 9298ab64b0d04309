"""Folders that are no model of ours: which they are, and the Python class that would serve each."""

from pathlib import Path

from modelhost.packing.errors import PackError

HUGGING_FACE = """
    from transformers import pipeline

    class Model:
        def load(self, directory):
            self.ask = pipeline("text-classification", model=str(directory / "{name}"))

        def predict(self, inputs):
            found = self.ask(list(inputs["text"]))
            return {{"label": [each["label"] for each in found], "score": [each["score"] for each in found]}}
"""
SPACY = """
    import spacy

    class Model:
        def load(self, directory):
            self.ask = spacy.load(directory / "{name}")

        def predict(self, inputs):
            return {{"entities": [", ".join(e.text for e in self.ask(text).ents) for text in inputs["text"]]}}
"""
TENSORFLOW = """
    import tensorflow as tf

    class Model:
        def load(self, directory):
            self.ask = tf.saved_model.load(str(directory / "{name}")).signatures["serving_default"]

        def predict(self, inputs):
            answers = self.ask(**{{name: tf.constant(array) for name, array in inputs.items()}})
            return {{name: tensor.numpy() for name, tensor in answers.items()}}
"""
ANY = """
    class Model:
        def load(self, directory):
            self.model = ...  # what reads directory / "{name}"

        def predict(self, inputs):
            return {{"prediction": self.model(inputs)}}
"""
# The kind of folder, a file that tells it, and the class.
KINDS = (
    ("a SavedModel of TensorFlow", "saved_model.pb", TENSORFLOW),
    ("a pipeline of spaCy", "config.cfg", SPACY),
    ("a model of Hugging Face", "config.json", HUGGING_FACE),
    ("a folder", "", ANY),
)


def refusal(path: Path, other: PackError | None = None) -> PackError:
    """The error for a bare folder, with the class that would serve it; after the `other` way, if there is one."""
    kind, _, source = next(each for each in KINDS if (path / each[1]).exists())
    shown = source.format(name=path.absolute().name)
    first = f"{other}\nOr write" if other else f"{path} is {kind}: write"
    return PackError(
        f"{first} a Python class that loads it, and give the folder with --with:\n{shown}\n"
        f"    # modelhost pack model.py --with {path} --name NAME --sample rows.csv"
    )
