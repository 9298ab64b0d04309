"""Every model of the models directory, loaded; and which one answers a URL."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from modelhost.bundle.bundle import Bundle, BundleError, find_bundles, read_bundle
from modelhost.models.model import Model
from modelhost.payload.errors import ClientError
from modelhost.payload.messages import truncate

Models = dict[str, dict[int, Model]]  # by name and version


def read_served(directory: Path, allow_pickle: Collection[str]) -> Bundle:
    """The bundle, by the rules for one that a server loads; raises BundleError."""
    bundle = read_bundle(directory)
    bundle.refuse_pickle(allow_pickle)
    return bundle


@dataclass
class Registry:
    """Loaded models, and the name of the one that answers at /.

    `models` is replaced as a whole where models change, since others read it meanwhile.
    """

    models: Models
    default: str

    @classmethod
    def load(
        cls,
        models_dir: Path,
        default: str,
        wanted: dict[str, list[int]] | None = None,
        allow_pickle: Collection[str] = (),
    ) -> Self:
        """All models below `models_dir`, or those `wanted`; raises BundleError where one must not be served.

        `default` names the model that answers at /; empty takes the only one there is. `allow_pickle` names the
        models that may be pickles.
        """
        directories = find_bundles(models_dir)
        if wanted is not None:
            directories = [models_dir / name / str(version) for name in wanted for version in wanted[name]]
        bundles = [read_served(directory, allow_pickle) for directory in directories]  # before any of them runs
        names = sorted({bundle.name for bundle in bundles})
        chosen = default or (names[0] if len(names) == 1 else "")
        if chosen not in names:
            found = f"{chosen!r} is not" if chosen else "none is named, though there is more than one"
            raise BundleError(
                f"MODELHOST_DEFAULT_MODEL must be one of the models in {models_dir} ({found}): "
                f"write one of {', '.join(names)}"
            )
        models: Models = {name: {} for name in names}
        for bundle in bundles:
            models[bundle.name][bundle.version] = Model.load(bundle)
        return cls(models, chosen)

    def versions(self, name: str) -> list[int]:
        """The numbers of a model's versions, none where it is gone by now."""
        return sorted(self.models.get(name, {}))

    def loaded(self) -> tuple[tuple[str, int], ...]:
        """Name and version of every model."""
        return tuple((name, version) for name, versions in self.models.items() for version in versions)

    def addresses(self, url: str) -> list[tuple[str, Model]]:
        """What `url`, a rule with <name> and perhaps <version>, is for each model that it leads to."""
        if "<name>" not in url:
            return [(url, self.find())]
        if "<version>" not in url:
            return [(url.replace("<name>", name), self.find(name)) for name in self.models]
        return [
            (url.replace("<name>", name).replace("<version>", str(version)), model)
            for name, versions in self.models.items()
            for version, model in versions.items()
        ]

    def find(self, name: str | None = None, version: str | None = None) -> Model:
        """The model called `name` (None: the default) of `version` (None: the highest).

        Raises ClientError (404) that lists what there is.
        """
        versions = self.models.get(name or self.default)
        if versions is None:
            known = ", ".join(self.models)
            message = f"There is no model {truncate(name)}: use one of {known}."
            raise ClientError(message, "model", truncate(name), f"one of {known}", status=404)
        if version is None:
            return versions[max(versions)]
        found = next((model for number, model in versions.items() if str(number) == version), None)
        if found is None:
            known = ", ".join(map(str, sorted(versions)))
            message = f"{name} has no version {truncate(version)}: use one of {known}."
            raise ClientError(message, "version", truncate(version), f"one of {known}", status=404)
        return found
