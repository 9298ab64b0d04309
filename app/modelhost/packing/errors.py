"""The one error of packing."""


class PackError(Exception):
    """A model or sample that cannot be packed; its text is a sentence that says what to do."""
