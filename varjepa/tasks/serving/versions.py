"""The versions in service: they follow their aliases, and a request keeps the version that it began with."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from varjepa.errors import ModelError
from varjepa.inference.columns import require_groups, scored
from varjepa.inference.model import TrainedModel
from varjepa.tasks.registry.open_model import REGISTRY, open_model, registered_version, version_of
from varjepa.tasks.serving.settings import ServeSettings
from varjepa.tasks.steps.log import log


@dataclass(frozen=True)
class Served:
    """A loaded model.

    Attributes:
        name: of the version, such as models:/people/3.
        model: itself; it is never changed.
    """

    name: str
    model: TrainedModel


class Versions:
    """Holds the version that answers, the one in its shadow, and the one that answered before.

    A thread loads new ones when the aliases move.

    Args:
        settings: of the service.
        on_change: is told the name of each version that begins to answer.

    Raises:
        ModelError: there is no such model, it cannot be read, or lacks what an answer has.
    """

    def __init__(self, settings: ServeSettings, on_change: Callable[[str], None] = lambda _: None) -> None:
        self.settings, self.on_change = settings, on_change
        self.current = self._loaded(self._wanted())
        self.shadow: Served | None = None
        self.last: Served | None = None
        self.fault = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follow-alias", daemon=True)
        on_change(self.current.name)

    def start(self) -> None:
        """Begins to follow the aliases."""
        self._thread.start()

    def stop(self) -> None:
        """Ends that."""
        self._end.set()

    def refresh(self) -> None:
        """Loads what the aliases point to, if it is not loaded. The old version answers until the new one is ready."""
        wanted = self._wanted()
        if wanted != self.current.name:
            served = self._ready(wanted)
            log.info("%s answers from now on, after %s", served.name, self.current.name)
            self.last = self.current
            self.current = served  # one assignment: whoever has read the old one goes on with it
            self.on_change(served.name)
        shadow = self._shadow_wanted()
        if shadow is None:
            self.shadow = None
        elif self.shadow is None or self.shadow.name != shadow:
            self.shadow = self._ready(shadow)
            log.info("%s scores in the shadow", shadow)

    def _follow(self) -> None:
        while not self._end.wait(self.settings.every):
            try:
                self.refresh()
                self.fault = ""
            except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 (the old version goes on)
                if (fault := f"{type(error).__name__}: {error}") != self.fault:
                    log.warning("%s goes on, because the alias cannot be followed: %s", self.current.name, error)
                self.fault = fault

    def _wanted(self) -> str:
        model = self.settings.model
        found = version_of(model, self.settings.tracking_uri)
        return model if found is None else f"{REGISTRY}{found[0]}/{found[1]}"

    def _shadow_wanted(self) -> str | None:
        alias, current = self.settings.shadow, self.current.name
        if alias is None or not current.startswith(REGISTRY):
            return None
        name = current.removeprefix(REGISTRY).rsplit("/", 1)[0]
        try:
            _, number = registered_version(f"{REGISTRY}{name}@{alias}", self.settings.tracking_uri)
        except ModelError:
            return None  # nobody has the alias now
        found = f"{REGISTRY}{name}/{number}"
        return None if found == current else found

    def _ready(self, name: str) -> Served:
        """A version, which need not be loaded again if it is the shadow, or answered before: rolling back is quick."""
        for known in (self.last, self.shadow):
            if known is not None and known.name == name:
                return known
        return self._loaded(name)

    def _loaded(self, name: str) -> Served:
        model = open_model(name, self.settings.tracking_uri, self.settings.device)
        require_groups(model, self.settings.groups)
        # A first answer imports and compiles what later ones need.
        columns = {feature: [None] for feature in model.preprocessor.columns}
        scored(model, pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)), self.settings.groups)
        return Served(name, model)
