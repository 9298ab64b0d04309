"""Files and folders that do not pack: each is refused with the lines that turn it into something that does.

Most become ONNX by their own library's exporter; what has none is served by a Python class.
"""

import zipfile
from pathlib import Path

from modelhost.packing.errors import PackError

TORCH_EXPORT = (
    'torch.onnx.export(model, (torch.randn(2, 4),), "{stem}.onnx", input_names=["x"], '
    'dynamic_shapes=({{0: "rows"}},), dynamo=True)  # with a batch as the model takes it'
)
STATE = (
    """
{what}: a model's weights without the model, so no one can run it alone. Export the model, with torch and onnxscript:
    model = Net(); model.load_state_dict(torch.load("{name}", weights_only=True)); model.eval()
    """
    + TORCH_EXPORT
)
CHECKPOINT = (
    """
{what}: a training's state. Export the model in it, with torch and onnxscript (a LightningModule is called Net here):
    model = Net.load_from_checkpoint("{name}").eval()
    """
    + TORCH_EXPORT
)
KERAS = """
{what}. Export it, with keras and tf2onnx (with Keras' torch backend, onnxscript):
    import keras
    model = keras.saving.load_model("{name}")
    model.export("{stem}.onnx", format="onnx")"""
SAVED_MODEL = """
{what}. Convert it, with tensorflow installed:
    pip install tf2onnx
    python -m tf2onnx.convert --saved-model {name} --output {stem}.onnx"""
GRAPH = """
{what}. Convert it, with tensorflow installed, naming its inputs and outputs:
    pip install tf2onnx
    python -m tf2onnx.convert --graphdef {name} --inputs x:0 --outputs y:0 --output {stem}.onnx"""
TFLITE = """
{what}. Convert it, with tensorflow installed:
    pip install tf2onnx
    python -m tf2onnx.convert --tflite {name} --output {stem}.onnx"""
SAFETENSORS = (
    """
{what}: a model's weights without the model, so no one can run it alone. Export the model, with torch and onnxscript:
    model = Net().eval(); safetensors.torch.load_model(model, "{name}")
    """
    + TORCH_EXPORT
    + """
or, of a folder of Hugging Face's, with optimum-onnx: optimum-cli export onnx --model FOLDER exported"""
)
GGUF = """
{what}. Serve it by a class in model.py, packed with --with {name}, with llama-cpp-python among its requirements:
    class Model:
        def load(self, directory): self.llm = llama_cpp.Llama(str(directory / "{name}"))
        def predict(self, inputs): return {{"text": np.array(
            [self.llm(prompt)["choices"][0]["text"] for prompt in inputs["prompt"]], object)}}"""
PMML = """
{what}. Pack the estimator that it was made of; or serve it by a class in model.py, packed with --with {name} (pypmml
needs Java):
    class Model:
        def load(self, directory): self.pmml = pypmml.Model.load(str(directory / "{name}"))
        def predict(self, inputs): return {{
            name: column.to_numpy() for name, column in self.pmml.predict(pd.DataFrame(inputs)).items()}}"""
MAR = """
{what}: an archive of a model and a handler. Take the model out of it, and pack that:
    unzip {name} -d {stem}
    modelhost pack {stem}/MODEL.pt ...  # the serializedFile of {stem}/MAR-INF/MANIFEST.json"""
COREML = """
{what}, which runs on Apple's machines alone. Export the model that it was made of; or convert it, with onnxmltools and
coremltools:
    spec = coremltools.utils.load_spec("{name}")
    onnxmltools.utils.save_model(onnxmltools.convert_coreml(spec), "{stem}.onnx")"""
ORT = """
{what}, which is bound to one build of it. Pack the .onnx file that it was made from."""
TENSORRT = """
{what}, which is bound to one graphics card. Pack the .onnx file that it was made from."""
TRANSFORMERS = """
{what}. Export it, and pack what that writes; its tokenizer stays with the client, or in a Python class:
    pip install optimum-onnx
    optimum-cli export onnx --model {name} {stem}-onnx
    modelhost pack {stem}-onnx/model.onnx ..."""

SUFFIXES = {
    ".pth": ("a PyTorch file", STATE), ".pt": ("a PyTorch file", STATE), ".bin": ("a PyTorch file", STATE),
    ".ckpt": ("a PyTorch checkpoint", CHECKPOINT),
    ".keras": ("a Keras model", KERAS), ".h5": ("a Keras model", KERAS), ".hdf5": ("a Keras model", KERAS),
    ".pb": ("a TensorFlow graph", GRAPH), ".tflite": ("a TensorFlow Lite model", TFLITE),
    ".safetensors": ("a safetensors file", SAFETENSORS),
    ".gguf": ("a language model of llama.cpp", GGUF),
    ".pmml": ("a PMML file", PMML),
    ".mar": ("an archive of TorchServe", MAR),
    ".mlmodel": ("a Core ML model", COREML), ".mlpackage": ("a Core ML model", COREML),
    ".ort": ("a model of ONNX Runtime's own format", ORT),
    ".engine": ("an engine of TensorRT", TENSORRT), ".plan": ("an engine of TensorRT", TENSORRT),
}  # fmt: skip
# Folders, by a file that each has.
FOLDERS = {
    "saved_model.pb": ("a TensorFlow SavedModel", SAVED_MODEL),
    "config.json": ("a folder of Hugging Face's transformers", TRANSFORMERS),
}

HUGGING_FACE_CLASS = """
    from transformers import pipeline

    class Model:
        def load(self, directory):
            self.ask = pipeline("text-classification", model=str(directory / "{name}"))

        def predict(self, inputs):
            found = self.ask(list(inputs["text"]))
            return {{"label": [each["label"] for each in found], "score": [each["score"] for each in found]}}
"""
SPACY_CLASS = """
    import spacy

    class Model:
        def load(self, directory):
            self.ask = spacy.load(directory / "{name}")

        def predict(self, inputs):
            return {{"entities": [", ".join(e.text for e in self.ask(text).ents) for text in inputs["text"]]}}
"""
TENSORFLOW_CLASS = """
    import tensorflow as tf

    class Model:
        def load(self, directory):
            self.ask = tf.saved_model.load(str(directory / "{name}")).signatures["serving_default"]

        def predict(self, inputs):
            answers = self.ask(**{{name: tf.constant(array) for name, array in inputs.items()}})
            return {{name: tensor.numpy() for name, tensor in answers.items()}}
"""
ANY_CLASS = """
    class Model:
        def load(self, directory):
            self.model = ...  # what reads directory / "{name}"

        def predict(self, inputs):
            return {{"prediction": self.model(inputs)}}
"""
# Folders again: the kind, a file that each has, and the class that would serve it.
CLASSES = (
    ("a SavedModel of TensorFlow", "saved_model.pb", TENSORFLOW_CLASS),
    ("a pipeline of spaCy", "config.cfg", SPACY_CLASS),
    ("a model of Hugging Face", "config.json", HUGGING_FACE_CLASS),
    ("a folder", "", ANY_CLASS),
)


def refusal(path: Path) -> PackError | None:
    """The error with what to do about any folder, and about a file of another library; None for other files."""
    exported = _export(path)
    if not path.is_dir():
        return exported
    kind, _, source = next(each for each in CLASSES if (path / each[1]).exists())
    shown = source.format(name=path.absolute().name)
    first = f"{exported}\nOr write" if exported else f"{path} is {kind}: write"
    return PackError(
        f"{first} a Python class that loads it, and give the folder with --with:\n{shown}\n"
        f"    # modelhost pack model.py --with {path} --name NAME --sample rows.csv"
    )


def is_torchscript(path: Path) -> bool:
    """Whether a file is a PyTorch model with its code (torch.jit.save), and not weights alone."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _export(path: Path) -> PackError | None:
    """How to export the model in a file or folder of another library; None where `path` is none of those."""
    what, text = "", ""
    if path.is_dir():
        found = next((kind for file, kind in FOLDERS.items() if (path / file).is_file()), None)
        what, text = found or SUFFIXES.get(path.suffix, ("", ""))
    elif path.suffix in SUFFIXES and not is_torchscript(path):
        what, text = SUFFIXES[path.suffix]
    if not text:
        return None
    filled = text.strip().format(what=what, name=path.name, stem=path.stem)
    return PackError(f"{path} is {filled}")
