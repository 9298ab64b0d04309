"""The errors of packing and of trials, and what led to one."""

from collections.abc import Iterator

from modelhost.bundle.manifest import BundleError


class PackError(Exception):
    """A model or sample that cannot be packed; its text is a sentence that says what to do."""


class ConsentError(PackError):
    """What packs only with an `option` that consents to it."""

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class TrialError(BundleError):
    """A bundle that the server would refuse; `missing` is the module that it imports in vain, if that is why."""

    def __init__(self, message: str, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and the errors that led to it, the last one first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def missing_module(error: BaseException) -> str:
    """The module that was imported in vain, which led to `error`, such as emoji.core; empty where none was."""
    return next((each.name for each in causes(error) if isinstance(each, ModuleNotFoundError) and each.name), "")
