"""What the user can say: one strict, frozen configuration per job."""

from varjepa.config.load import as_flat, load_config, parse_config, study_config
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
from varjepa.config.study import StudyConfig

__all__ = [
    "DataSection",
    "MaskingSection",
    "ModelSection",
    "ObjectiveSection",
    "PreprocessSection",
    "ProbeSection",
    "RetrainConfig",
    "SplitSection",
    "StudyConfig",
    "TrainingSection",
    "as_flat",
    "load_config",
    "parse_config",
    "study_config",
]
