"""Whether the parts of a model that was read from files fit together: shapes, ranges, and what must be there.

Digests say that files are those that were written. These checks also hold for models without a manifest, and for those
whose manifest somebody wrote for other files.
"""

import math

from varjepa.config import RetrainConfig
from varjepa.config.data import MOST_BINS
from varjepa.data.encode.features import NumericFeature
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.drift.samples import Numbers, Sample
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.evaluation.uncertainty.prediction_sets import SetRule
from varjepa.inference.drift_reference import Profile
from varjepa.inference.fitted_uncertainty import FittedUncertainty
from varjepa.inference.generator.soundness import require_reference
from varjepa.inference.heads.soundness import HeadSizes, require_head, require_probe, require_shape
from varjepa.inference.intervals import ANSWERS, FittedIntervals
from varjepa.inference.model import TrainedModel
from varjepa.inference.ranges import is_share, ordered, require, rises
from varjepa.inference.vectors.compact import LARGEST, CompactBasis


def require_sound(model: TrainedModel) -> None:
    """Checks a model that was read from files.

    Raises:
        ValueError: a part does not fit the others, or holds what no training writes.
    """
    label = model.preprocessor.label
    classes = 0 if label is None else len(label.classes)
    flat = model.preprocessor.sizes.n_features * model.network.d_hidden
    sizes = HeadSizes(flat, model.preprocessor.sizes, classes)
    if model.probe is not None:
        require(label is not None, "there is a probe, and no label")
        require_probe("probe", model.probe, flat, sizes.outputs)
    if model.chosen_head is not None:
        require(model.probe is not None, "there is a head, and no probe")
        require_head(model.chosen_head, sizes)
    if model.fitted is not None:
        _require_uncertainty(model, model.fitted, sizes)
    if model.intervals is not None:
        _require_intervals(model.intervals, sizes)
    if model.sets is not None:
        _require_sets(model.sets, classes)
    if model.generator is not None:
        require_reference(model.generator)
    if model.profile is not None:
        _require_profile(model.profile, flat)
    if model.compact is not None:
        _require_compact(model.compact, flat)


def require_preprocessor(preprocessor: Preprocessor) -> None:
    """Checks a preprocessor, before anything is built by its sizes.

    Raises:
        ValueError: it is none that fitting writes.
    """
    names = preprocessor.names
    require(len(names) > 0, "the preprocessor has no feature")
    require(len(set(names)) == len(names), "two features have the same name")
    for feature in (*preprocessor.numeric, *preprocessor.clocks):
        _require_numeric(feature)
    for category in preprocessor.categorical:
        require(len(set(category.vocabulary)) == len(category.vocabulary), f"{category.name} has a category twice")
    label = preprocessor.label
    if label is not None:
        require((label.task == "classification") == bool(label.classes), "the classes of the label do not fit its task")
        require(len(set(label.classes)) == len(label.classes), "the label has a class twice")


def _require_numeric(feature: NumericFeature) -> None:
    require(feature.clip > 0, f"{feature.name} is cut at {feature.clip}")
    require(feature.smallest <= feature.largest, f"the range of {feature.name} ends before it begins")
    knots, scores = feature.knots, feature.scores
    needed = feature.transform == "quantile"
    sound = len(knots) == len(scores) and (len(knots) > 0 or not needed) and rises(knots) and ordered(scores)
    require(sound, f"the knots of {feature.name} do not rise")
    ends = feature.bins
    require(len(ends) != 1 and len(ends) <= MOST_BINS + 1 and rises(ends), f"the bins of {feature.name} do not rise")


def _require_uncertainty(model: TrainedModel, fitted: FittedUncertainty, sizes: HeadSizes) -> None:
    require(sizes.n_classes > 0 and model.probe is not None, "there is an uncertainty, and no classes")
    require(math.isfinite(fitted.temperature) and fitted.temperature > 0, f"the temperature is {fitted.temperature}")
    if fitted.error is not None:
        require_probe("error", fitted.error, sizes.flat, 2)
    for number, member in enumerate(fitted.members):
        require_probe(f"members.{number}", member, sizes.flat, sizes.n_classes)
    require_shape("center", fitted.center, sizes.flat)
    require_shape("basis", fitted.basis, sizes.flat, None)
    require_shape("neighbours", fitted.neighbours, None, fitted.basis.shape[1])
    for head in (*fitted.resampled, *([] if fitted.second is None else [fitted.second])):
        require_head(head, sizes)
    if fitted.error_model is not None:
        require_probe("error_model", fitted.error_model, 2 * len(fitted.error_inputs), 2)
    measures = model.measures()
    lacking = {fitted.measure, *fitted.error_inputs} - set(measures.available() if measures is not None else ())
    require(not lacking, f"the model has no measure {', '.join(sorted(lacking))}")
    _require_certificate(fitted.certificate)


def _require_certificate(certificate: Certificate | None) -> None:
    if certificate is None:
        return
    promise = (certificate.accuracy, certificate.confidence)
    require(all(0 < share < 1 for share in promise), f"the certificate promises {promise}")
    require(is_share(certificate.coverage), f"the certificate covers {certificate.coverage}")
    require(certificate.rows >= 0 and (certificate.tolerance or 0) >= 0, "the certificate has no rows or no tolerance")


def _require_intervals(fitted: FittedIntervals, sizes: HeadSizes) -> None:
    require(sizes.n_classes == 0, "there are intervals, and classes")
    sizes_of_errors = (fitted.spread, fitted.typical, fitted.tolerance)
    sound = all(math.isfinite(size) and size >= 0 for size in sizes_of_errors) and fitted.spread > 0
    require(sound, f"spread, size and tolerance of errors are {sizes_of_errors}")
    require(set(fitted.trees) <= set(ANSWERS), "trees predict what no interval needs")
    if fitted.components is not None:
        require_shape("center", fitted.components.center, sizes.flat)
        require_shape("basis", fitted.components.basis, sizes.flat, None)
    rule = fitted.rule
    if rule is not None:
        require(rule.method in fitted.methods, f"the trees of {rule.method} intervals are missing")
        sound = 0 < rule.level < 1 and rule.low <= rule.high and ordered(rule.quantiles) and len(rule.quantiles) > 0
        require(sound and rule.rows > 0, "the rule of the intervals is none")
    _require_certificate(fitted.certificate)


def _require_sets(rule: SetRule, classes: int) -> None:
    require(0 < rule.level < 1 and rule.penalty >= 0 and rule.free >= 0, "the rule of the sets is none")
    lengths = {len(rule.thresholds), len(rule.basis), len(rule.class_rows)}
    require(lengths == {classes}, f"the rule of the sets has {lengths} classes, expected {classes}")


def require_weights(config: RetrainConfig, weights: int) -> None:
    """Checks that a file holds at least as many weights as its network has, before this is built.

    Args:
        config: of the job.
        weights: numbers in the file.

    Raises:
        ValueError: the configuration is that of a larger model, which may not fit into memory.
    """
    model = config.model
    width, narrow = model.d_hidden, model.pred_d
    # Attention and feed-forward part of every block alone: there is more.
    fewest = model.n_layers * width * (4 * width + 2 * model.d_feedforward) + model.n_cls * width
    fewest += model.pred_n_layers * narrow * (4 * narrow + 2 * model.pred_d_feedforward)
    fewest += model.n_pool * width if model.is_variational else model.n_aux * narrow
    require(fewest <= weights, f"the configuration is of a network of at least {fewest:,} weights, not {weights:,}")


def _require_profile(profile: Profile, flat: int) -> None:
    require_shape("center", profile.directions.center, flat)
    require_shape("basis", profile.directions.basis, flat, None)
    counts = profile.counts
    label = [] if counts.label is None else [counts.label]
    for sample in (*counts.columns.values(), *counts.statistics.values(), *label):
        _require_sample(sample)


def _require_sample(sample: Sample) -> None:
    require(min(sample.counts, default=0) >= 0 and sample.missing >= 0, "the profile has negative counts")
    require(is_share(sample.alike) and sample.cluster_rows >= 1, "the profile has clusters that are none")
    if isinstance(sample, Numbers):
        sound = len(sample.counts) == 2 * len(sample.knots) + 1 and rises(sample.knots) and sample.spread >= 0
        require(sound, "the profile has knots that do not rise")
    else:
        require(len(sample.counts) == len(sample.names), "the profile counts other categories than it names")


def _require_compact(compact: CompactBasis, flat: int) -> None:
    require(
        0 < compact.shape.power <= 1 and is_share(compact.shape.whitening), f"vectors have the shape {compact.shape}"
    )
    require_shape("center", compact.center, flat)
    require_shape("spread", compact.spread, flat)
    require_shape("middle", compact.middle, flat)
    require_shape("basis", compact.basis, flat, None)
    require(compact.basis.shape[1] <= LARGEST and bool((compact.spread > 0).all()), "the basis of vectors is none")
