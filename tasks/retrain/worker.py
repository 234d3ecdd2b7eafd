"""One process of a distributed training: `torchrun ... -m tasks.retrain.worker JOB`.

The flow starts `training.devices` of them on its own machine. On several machines they are started by hand, with a JOB
file and folders that all machines can access (docs/speed.md).
"""

import json
import logging
import sys
from pathlib import Path

from pydantic import TypeAdapter

from tasks.retrain.pretrain import FAILURE, TRAINED, Job, Pretrained, train
from tasks.steps.files import write_text
from tasks.tracking.runs import CurveLogger
from varjepa.config import RetrainConfig
from varjepa.errors import VarjepaError
from varjepa.training.device import resolve_device
from varjepa.training.distributed import joined_world, leave


def main(path: str) -> None:
    """Joins the other processes, trains, and writes the result next to the job."""
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("varjepa").setLevel(logging.INFO)
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    job, config = TypeAdapter(Job).validate_python(content["job"]), RetrainConfig.model_validate(content["config"])
    with joined_world(resolve_device(config.training.device)) as world:
        try:
            pretrained = train(job, config, world, CurveLogger(job.run_id, config.tracking))
        except VarjepaError as error:
            # The parent process shows this message instead of a traceback from torchrun.
            if world.leads:
                write_text(job.folder / FAILURE, str(error))
            raise
        if world.leads:
            write_text(job.folder / TRAINED, TypeAdapter(Pretrained).dump_json(pretrained).decode())


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
