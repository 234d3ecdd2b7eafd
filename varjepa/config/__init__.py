"""The configuration: one strict, frozen object per job."""

from varjepa.config.base import result_settings
from varjepa.config.benchmark import (
    LIBRARIES,
    ON_FRAMES,
    PREDICTORS,
    PUBLISHED,
    BenchmarkConfig,
    FeatureSet,
    PredictorName,
    Protocol,
    Selection,
)
from varjepa.config.data import DataSection, PreprocessSection, SplitSection
from varjepa.config.heads import ProbeSection
from varjepa.config.learning import MaskingSection, ModelSection, ObjectiveSection, TrainingSection
from varjepa.config.load import as_flat, benchmark_config, load_config, parse_config, study_config
from varjepa.config.predictors import PredictorSettings
from varjepa.config.retrain import RetrainConfig
from varjepa.config.study import StudyConfig

__all__ = [
    "LIBRARIES",
    "ON_FRAMES",
    "PREDICTORS",
    "PUBLISHED",
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
    "Selection",
    "SplitSection",
    "StudyConfig",
    "TrainingSection",
    "as_flat",
    "benchmark_config",
    "load_config",
    "parse_config",
    "result_settings",
    "study_config",
]
