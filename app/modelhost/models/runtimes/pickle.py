"""Pickles (joblib's too): only where model.yaml says allow_pickle, and only the bytes it pins.

A pickle runs whatever its maker put in. `bundle/validation.py` refuses one without allow_pickle. Its
classes may be in modules of the bundle (see modules.py).
"""

import hashlib
import io

import joblib

from modelhost.bundle.bundle import Bundle
from modelhost.models.runtimes.estimator import EstimatorRuntime
from modelhost.models.runtimes.modules import BundleModules


class PickleRuntime(EstimatorRuntime):
    """An unpickled estimator."""

    def __init__(self, bundle: Bundle) -> None:
        entry = bundle.manifest.entry
        # These very bytes: a file changed since read_bundle checked it is not unpickled.
        source = (bundle.directory / entry).read_bytes()
        if not bundle.manifest.allow_pickle or hashlib.sha256(source).hexdigest() != bundle.manifest.files[entry]:
            raise bundle.refuse("allow_pickle", f"does not hold for {entry}: it is not the file of that digest")
        self._modules = BundleModules(bundle.directory, f"{bundle.name}_{bundle.version}")
        try:
            with self._modules.unpickling():
                estimator = joblib.load(io.BytesIO(source))
        except Exception as error:
            problem = f"{entry} cannot be unpickled: {type(error).__name__}: {error}"
            raise bundle.refuse("entry", problem) from error
        super().__init__(bundle, estimator)
