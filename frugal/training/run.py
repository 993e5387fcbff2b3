"""A training run on disk: what it needs to go on after an interruption, and the files of its folder."""

import json
import os
import shutil
from copy import deepcopy
from pathlib import Path

import torch
from diffusers import DDPMPipeline, DDPMScheduler
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .. import images
from ..checks import Refusal
from ..files import explained, whole
from .objective import validation_loss
from .samples import draw, sheet

EMA_DECAY = 0.9999  # the limit; while the run is young the mean is over about its last ninth
SHEET = 4  # side of a sheet of samples, in pictures


class Run:
    """What a training run needs to go on, and the files of its folder.

    state.safetensors   network, mean, optimizer and progress: one file, whole or absent, not pickled
    curve.jsonl         a line for each validation
    samples/            sheets of pictures that the model drew
    model_index.json, scheduler/, unet/   the averaged weights in diffusers' format
    """

    def __init__(self, out, unet, scheduler):
        self.out, self.unet, self.scheduler = Path(out), unet, scheduler
        self.averaged = deepcopy(unet).eval().requires_grad_(False)
        self.ema = EMAModel(unet.parameters(), decay=EMA_DECAY, foreach=True)
        self.optimizer = torch.optim.AdamW(unet.parameters())
        self.progress = {"step": 0, "pictures": 0, "seconds": 0.0, "loss": 0.0, "since": 0}
        self.curve = []
        with explained(self.out):
            (self.out / "samples").mkdir(parents=True, exist_ok=True)
        self.state = self.out / "state.safetensors"
        if self.state.exists():
            self.load()

    def advance(self, **step):
        """Take one step into the mean of the weights and add its pictures, seconds and loss to the progress."""
        self.ema.step(self.unet.parameters())
        for name, value in {"step": 1, "since": 1, **step}.items():
            self.progress[name] += value

    def save(self):
        """Write the state."""
        tensors = {f"network.{name}": value for name, value in self.unet.state_dict().items()}
        tensors |= {f"mean.{i}": value for i, value in enumerate(self.ema.shadow_params)}
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in moments.items()}
        metadata = {
            "progress": json.dumps(self.progress),
            "prediction_type": self.scheduler.config.prediction_type,
        }
        with whole(self.state) as partial:
            save_file(tensors, partial, metadata)

    def load(self):
        """Read what ``save`` wrote."""
        try:
            with safe_open(self.state, "pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            self.progress = json.loads(metadata["progress"])
            kind = metadata["prediction_type"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            raise Refusal(
                f"out: {self.state} is not the state of a run; delete it or change out"
            ) from None

        def part(prefix):
            return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

        network, mean = part("network."), part("mean.")
        shapes = {name: value.shape for name, value in self.unet.state_dict().items()}
        if {
            name: t.shape for name, t in network.items()
        } != shapes or kind != self.scheduler.config.prediction_type:
            raise Refusal(
                f"out: {self.state} is of another network; give its channels or init, or change out"
            )
        self.unet.load_state_dict(network)
        self.ema.load_state_dict(
            {
                "shadow_params": [mean[str(i)].to(self.unet.device) for i in range(len(mean))],
                "optimization_step": self.progress["step"],
            }
        )
        moments = {i: part(f"optimizer.{i}.") for i in range(len(mean))}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        if (curve := self.out / "curve.jsonl").exists():
            lines = map(json.loads, curve.read_text().splitlines())
            self.curve = [line for line in lines if line["step"] <= self.progress["step"]]

    def report(self, held_out):
        """Validate the averaged weights, write them, a sheet of samples and the curve; returns its new line."""
        self.ema.copy_to(self.averaged.parameters())
        done = self.progress
        line = {
            "step": done["step"],
            "pictures": done["pictures"],
            "seconds": round(done["seconds"]),
            "loss": done["loss"] / done["since"],
            "validation": validation_loss(self.averaged, self.scheduler, held_out),
        }
        self.curve.append(line)
        self.progress = {**done, "loss": 0.0, "since": 0}
        drawn = draw(self.averaged, self.scheduler, SHEET**2)
        images.save(sheet(drawn, SHEET), self.out / "samples" / f"{done['step']:07d}.png")
        self.export()
        with whole(self.out / "curve.jsonl") as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in self.curve))
        return line

    def export(self):
        """Write the averaged weights in diffusers' format, each file whole."""
        partial = self.out / "prior.part"
        try:
            with explained(self.out):
                DDPMPipeline(self.averaged, self.scheduler).save_pretrained(partial)
                for file in (path for path in partial.rglob("*") if path.is_file()):
                    final = self.out / file.relative_to(partial)
                    final.parent.mkdir(exist_ok=True)
                    os.replace(file, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
