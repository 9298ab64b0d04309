"""Files of other libraries: each is refused with the lines that make of it something that packs.

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
{what}, which is bound to one build of it. Pack the .onnx file that it was made of."""
TENSORRT = """
{what}, which is bound to one graphics card. Pack the .onnx file that it was made of."""
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


def instead(path: Path) -> PackError | None:
    """The error with what to do about a file or folder of another library; None where `path` is none of those."""
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


def is_torchscript(path: Path) -> bool:
    """Whether a file is a PyTorch model with its code (torch.jit.save), and not weights alone."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())
