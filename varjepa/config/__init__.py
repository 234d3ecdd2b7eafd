"""What the user can say: one strict, frozen configuration per job."""

from varjepa.config.load import as_flat, load_config, parse_config
from varjepa.config.sections import (
    DataSection,
    MaskingSection,
    ModelSection,
    ObjectiveSection,
    PreprocessSection,
    ProbeSection,
    RetrainConfig,
    SplitSection,
    TrainingSection,
)

__all__ = [
    "DataSection",
    "MaskingSection",
    "ModelSection",
    "ObjectiveSection",
    "PreprocessSection",
    "ProbeSection",
    "RetrainConfig",
    "SplitSection",
    "TrainingSection",
    "as_flat",
    "load_config",
    "parse_config",
]
