"""The smallest model: a colour by its place in a list."""

import numpy as np

COLOURS = np.array(["red", "green", "blue", "yellow", "black"], dtype=object)


class Model:
    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"colour": COLOURS[inputs["index"]]}
