"""What the user can say: one strict, frozen configuration per job."""

from varjepa.config.benchmark import PredictorSettings
from varjepa.config.comparison import (
    PREDICTORS,
    BenchmarkConfig,
    FeatureSet,
    PredictorName,
    Protocol,
)
from varjepa.config.load import as_flat, benchmark_config, load_config, parse_config, study_config
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
    "PREDICTORS",
    "BenchmarkConfig",
    "DataSection",
    "FeatureSet",
    "MaskingSection",
    "ModelSection",
    "ObjectiveSection",
    "PredictorName",
    "PredictorSettings",
    "PreprocessSection",
    "ProbeSection",
    "Protocol",
    "RetrainConfig",
    "SplitSection",
    "StudyConfig",
    "TrainingSection",
    "as_flat",
    "benchmark_config",
    "load_config",
    "parse_config",
    "study_config",
]
