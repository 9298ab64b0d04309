"""Bodies and examples that are large: refused in words, shown cut short."""

SIDE = 300
SOURCE = (
    "class Model:\n    def predict(self, inputs):\n        return {'colour': inputs['image'].mean(axis=(1, 2, 3))}\n"
)
