"""Names an emoji: a model that needs a package which no server has."""

import emoji
import numpy as np


class Model:
    """Answers each text with its emoji in words."""

    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`text` (rows,) becomes `words` (rows,)."""
        return {"words": np.array([emoji.demojize(text) for text in inputs["text"]], dtype=object)}
