"""One process of a distributed training: `torchrun ... -m varjepa.tasks.retrain.worker JOB`.

The flow starts `training.devices` of them on its own machine, and `varjepa join` on others (docs/machines.md).
"""

import sys

from varjepa.tasks.processes.bound import end_with_parent


def main(path: str) -> None:
    """Joins the other processes, trains, writes the result next to the job, and ends the process."""
    # Imported here: imports take seconds, in which the process would not end with its launcher yet.
    import json
    import logging
    from pathlib import Path

    from pydantic import TypeAdapter

    from varjepa.tasks.steps.imports import quick_imports

    with quick_imports():
        from varjepa.config import RetrainConfig
        from varjepa.errors import VarjepaError
        from varjepa.tasks.joint_training.launch import FAILURE, FINISHED, TRAINED, Job
        from varjepa.tasks.retrain.pretrain import Pretrained, train
        from varjepa.tasks.steps.files import write_text
        from varjepa.tasks.tracking.runs import CurveLogger
        from varjepa.training.device import resolve_device
        from varjepa.training.distributed import joined_world, leave

    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("varjepa").setLevel(logging.INFO)
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    job, config = TypeAdapter(Job).validate_python(content["job"]), RetrainConfig.model_validate(content["config"])
    with joined_world(resolve_device(config.training.device)) as world:
        try:
            curves = CurveLogger(job.run_id, config.tracking) if world.leads else None
            pretrained = train(job, config, world, curves)
        except VarjepaError as error:
            # The parent process shows this message instead of a traceback from torchrun.
            if world.leads:
                write_text(job.folder / FAILURE, str(error))
            raise
        if world.leads:
            write_text(job.folder / TRAINED, TypeAdapter(Pretrained).dump_json(pretrained).decode())
        # Every machine knows by its own file that the result is written, whenever it looks: the leading machine waits
        # for the others at the end of this block, and ends its call only afterwards.
        world.wait()
        (job.folder / FINISHED).touch()
    leave()


if __name__ == "__main__":
    end_with_parent()  # the launcher, which ends with the process of the flow
    main(sys.argv[1])
