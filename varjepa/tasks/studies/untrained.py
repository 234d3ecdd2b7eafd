"""An encoder that no step has trained: the control of every encoder that was."""

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.models.new_network import new_network
from varjepa.models.weights import NETWORK, save_network
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import HISTORY, Pretrained
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("untrained", __name__, settings=("model", "training.seed"))


@task(name="untrained", task_run_name="untrained {config.model.kind}")
def untrained(prepared: Prepared, config: RetrainConfig) -> Pretrained:
    """The network with which a training of this job would start, as if it were trained."""
    folder = STEP.folder(config, str(prepared.preprocessor))
    return reuse(folder, Pretrained, lambda: _untrained(prepared, config))


def _untrained(prepared: Prepared, config: RetrainConfig) -> Pretrained:
    preprocessor = Preprocessor.read(prepared.preprocessor)
    folder = STEP.folder(config, str(prepared.preprocessor))
    save_network(folder, new_network(preprocessor.sizes, config), kind=config.model.kind, names=preprocessor.names)
    write_text(folder / HISTORY, "[]")
    return Pretrained(folder / NETWORK, folder / HISTORY, best_epoch=0, stopped_early=False)
