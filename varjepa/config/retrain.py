"""A whole retrain job."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import model_validator

from varjepa.config.base import OPERATIONAL, Section
from varjepa.config.data import ContractSection, DataSection, PreprocessSection
from varjepa.config.heads import GeneratorSection, ProbeSection, UncertaintySection
from varjepa.config.learning import ADAMW, MaskingSection, ModelSection, ObjectiveSection, TrainingSection
from varjepa.config.operations import (
    DriftSection,
    GateSection,
    NotifySection,
    RegistrySection,
    RetentionSection,
    TrackingSection,
    WatchSection,
    WorkSection,
)
from varjepa.config.signing import SigningSection


class RetrainConfig(Section):
    """The settings of one retrain job."""

    data: DataSection
    contract: ContractSection = ContractSection()
    preprocess: PreprocessSection = PreprocessSection()
    model: ModelSection = ModelSection()
    masking: MaskingSection = MaskingSection()
    objective: ObjectiveSection = ObjectiveSection()
    training: TrainingSection = TrainingSection()
    probe: ProbeSection = ProbeSection()
    uncertainty: UncertaintySection = UncertaintySection()
    generator: GeneratorSection = GeneratorSection()
    gate: GateSection = GateSection()
    drift: DriftSection = DriftSection()
    registry: RegistrySection = RegistrySection()
    tracking: Annotated[TrackingSection, OPERATIONAL] = TrackingSection()
    work: Annotated[WorkSection, OPERATIONAL] = WorkSection()
    signing: Annotated[SigningSection, OPERATIONAL] = SigningSection()
    retention: Annotated[RetentionSection, OPERATIONAL] = RetentionSection()
    watch: Annotated[WatchSection, OPERATIONAL] = WatchSection()
    notify: Annotated[tuple[NotifySection, ...], OPERATIONAL] = ()
    """Rules by which people get messages."""

    @model_validator(mode="before")
    @classmethod
    def _optimizer_of_its_kind(cls, content: Any) -> Any:
        """T-JEPA is trained by AdamW, unless something else is given."""
        if not isinstance(content, Mapping):
            return content
        model, training = content.get("model"), content.get("training", {})
        if isinstance(model, Mapping) and model.get("kind") == "t_jepa" and isinstance(training, Mapping):
            return {**content, "training": {"optimizer": ADAMW["optimizer"], **training}}
        return content

    def sized(self, rows: int, features: int) -> Self:
        """The job with the sizes of its model, its masks, its epochs, its schedules and its generator as numbers.

        See `ModelSection`, `MaskingSection`, `TrainingSection`, `ObjectiveSection` and `GeneratorSection`.

        Args:
            rows: of its table.
            features: that its columns are encoded as. Text, times and groups of columns are several or one.
        """
        trained = rows if self.data.split.seen == "all" else round(rows * self.data.split.train)
        model = self.model.sized(rows=rows, features=features)
        training = self.training.sized(rows=trained, features=features)
        masking, generator = self.masking.sized(features), self.generator.sized(features)
        objective = self.objective.sized(training.max_epochs)
        sized = {"model": model, "masking": masking, "objective": objective, "training": training}
        return self.model_copy(update=sized | {"generator": generator})

    @model_validator(mode="after")
    def _check(self) -> Self:
        labelled = self.data.label is not None and self.data.task != "none"
        if self.uncertainty.known is not None and self.uncertainty.known not in self.data.drop:
            raise ValueError(
                f'uncertainty.known is "{self.uncertainty.known}", which must not be a feature: list it in data.drop'
            )
        if not labelled and self.training.selection in ("probe", "selective_probe"):
            raise ValueError(f"training.selection is {self.training.selection}, which needs data.label")
        if not self.model.is_variational and self.training.selection in ("elbo", "selective_probe"):
            lacking = {"elbo": "ELBO", "selective_probe": "uncertainty"}[self.training.selection]
            raise ValueError(
                f"training.selection is {self.training.selection}, but model.kind {self.model.kind} has no {lacking}; "
                "choose auto, probe or rankme"
            )
        return self
