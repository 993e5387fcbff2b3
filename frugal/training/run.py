"""A training run on disk: what it needs to go on after an interruption, and the files of its folder."""

import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from safetensors import safe_open
from safetensors.torch import save
from torchvision.utils import make_grid

from .. import images
from ..base.checks import Refusal
from ..base.files import explained, understood, whole
from .objective import validation_loss
from .samples import draw

EMA_DECAY = 0.9999  # the limit; while the run is young the mean is over about its last ninth
SHEET = 4  # side of a sheet of samples, in pictures


@dataclass
class Progress:
    """How far a run is: its steps, the pictures seen and the seconds worked, and ``loss``, the sum of the
    training loss over the ``since`` steps after the last validation."""

    step: int = 0
    pictures: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    since: int = 0

    @classmethod
    def read(cls, text: str) -> "Progress":
        """Progress from its JSON. Raises ValueError for anything that is not the expected numbers."""
        content = json.loads(text)
        counts = ("step", "pictures", "since")
        if kinds(content) != kinds(asdict(cls())) or any(content[name] < 0 for name in counts):
            raise ValueError("no progress")
        return cls(**content)


def kinds(content: Mapping[str, object]) -> dict[str, type]:
    """{name: type of its value}. Raises ValueError or TypeError for what has no names."""
    return {name: type(value) for name, value in dict(content).items()}


def shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    """{name: shape}."""
    return {name: value.shape for name, value in tensors.items()}


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with ``prefix``, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


class Run:
    """What a training run needs to go on, and the files of its folder.

    state.safetensors   network, mean, optimizer, progress and settings: one file, whole or absent, not pickled
    curve.jsonl         a line for each validation
    samples/            sheets of pictures that the model drew
    model_index.json, scheduler/, unet/   the averaged weights in diffusers' format, with 16 bits a number, which is how a
                        prior ships; the state has all bits

    out: the folder, made where it does not exist. unet, scheduler: what is trained; a state in the folder
    takes the place of the network's weights. settings: JSON values that have to be the same when the run goes
    on, by name. Raises Refusal for a folder that cannot be written, and for a state of another run (``load``).
    """

    def __init__(
        self, out: str | Path, unet: UNet2DModel, scheduler: DDPMScheduler, settings: Mapping[str, object]
    ) -> None:
        self.out, self.unet, self.scheduler, self.settings = Path(out), unet, scheduler, dict(settings)
        self.averaged = deepcopy(unet).eval().requires_grad_(False)
        self.ema = EMAModel(unet.parameters(), decay=EMA_DECAY, foreach=True)
        self.optimizer = torch.optim.AdamW(unet.parameters())
        self.progress = Progress()
        self.curve: list[dict] = []
        with explained(self.out):
            (self.out / "samples").mkdir(parents=True, exist_ok=True)
        self.state, self.lines = self.out / "state.safetensors", self.out / "curve.jsonl"
        if self.state.exists():
            self.load()

    def advance(self, pictures: int, seconds: float, loss: float) -> None:
        """Take one step into the mean of the weights, and its pictures, seconds and loss into the progress."""
        self.ema.step(self.unet.parameters())
        self.progress.step += 1
        self.progress.since += 1
        self.progress.pictures += pictures
        self.progress.seconds += seconds
        self.progress.loss += loss

    def save(self) -> None:
        """Write the state. Raises Refusal where the disk is full; the last state then stays."""
        tensors = {f"network.{name}": value for name, value in self.unet.state_dict().items()}
        tensors |= {f"mean.{i}": value for i, value in enumerate(self.ema.shadow_params)}
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in moments.items()}
        metadata = {
            "progress": json.dumps(asdict(self.progress)),
            "settings": json.dumps(self.settings),
            "prediction_type": self.scheduler.config["prediction_type"],
        }
        with whole(self.state) as partial:
            partial.write_bytes(save(tensors, metadata))

    def expected(self) -> dict[str, torch.Size]:
        """{name: shape} of a state's tensors, after one step or more of AdamW."""
        wanted = {f"network.{name}": shape for name, shape in shapes(self.unet.state_dict()).items()}
        for i, parameter in enumerate(self.unet.parameters()):
            moments = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
            wanted |= {f"optimizer.{i}.{name}": shape for name, shape in moments.items()}
            wanted[f"mean.{i}"] = parameter.shape
        return wanted

    def load(self) -> None:
        """Read what ``save`` wrote, and the lines of the curve up to there.

        Raises Refusal for a damaged file, for the state of another network, and for one of other settings.
        """
        damaged = f"out: {self.state} is not the state of a run; delete it or change out"
        with understood(damaged):
            with safe_open(self.state, "pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
            progress = Progress.read(metadata["progress"])
            settings, kind = json.loads(metadata["settings"]), metadata["prediction_type"]
        network, predicted = below("network.", tensors), self.scheduler.config["prediction_type"]
        if shapes(network) != shapes(self.unet.state_dict()) or kind != predicted:
            raise Refusal(
                f"out: {self.state} is of another network; give its channels or init, or change out"
            )
        if shapes(tensors) != self.expected() or not isinstance(settings, dict):
            raise Refusal(damaged)
        other = [name for name, value in self.settings.items() if settings.get(name) != value]
        if other:
            raise Refusal(
                f"out: {self.state} was trained with another {', '.join(other)}; give the same or change out"
            )
        self.unet.load_state_dict(network)
        mean = [tensors[f"mean.{i}"].to(self.unet.device) for i in range(len(self.ema.shadow_params))]
        self.ema.load_state_dict({"shadow_params": mean, "optimization_step": progress.step})
        moments = {i: below(f"optimizer.{i}.", tensors) for i in range(len(mean))}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.progress = progress
        self.curve = [line for line in self.read_curve() if line["step"] <= progress.step]

    def read_curve(self) -> list[dict]:
        """The lines of ``curve.jsonl``. Raises Refusal where one is no line of ``report``."""
        if not self.lines.exists():
            return []
        with understood(f"out: {self.lines} holds lines that are no validation; mend or delete it"):
            curve = [json.loads(line) for line in self.lines.read_text().splitlines()]
            if not all(
                isinstance(line["step"], int) and isinstance(line["validation"], dict) for line in curve
            ):
                raise ValueError
        return curve

    def report(self, held_out: torch.Tensor) -> dict:
        """Validate the averaged weights and write them, a sheet of samples and the curve; returns its new line.

        held_out: uint8 (N, 3, S, S). Raises Refusal where the folder cannot be written.
        """
        self.ema.copy_to(self.averaged.parameters())
        done = self.progress
        line = {
            "step": done.step,
            "pictures": done.pictures,
            "seconds": round(done.seconds),
            "loss": done.loss / done.since,
            "validation": validation_loss(self.averaged, self.scheduler, held_out),
        }
        self.curve.append(line)
        done.loss, done.since = 0.0, 0
        drawn = draw(self.averaged, self.scheduler, SHEET**2)
        sheet = make_grid(drawn, nrow=SHEET, padding=0)
        images.save(sheet, self.out / "samples" / f"{done.step:07d}.png")
        self.export()
        with whole(self.lines) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in self.curve))
        return line

    def export(self) -> None:
        """Write the averaged weights in diffusers' format and half precision, each file whole."""
        partial, stored = self.out / "prior.part", deepcopy(self.averaged).half()
        try:
            with explained(self.out):
                DDPMPipeline(stored, self.scheduler).save_pretrained(partial)
                for file in (path for path in partial.rglob("*") if path.is_file()):
                    final = self.out / file.relative_to(partial)
                    final.parent.mkdir(exist_ok=True)
                    with whole(final) as place:
                        shutil.move(file, place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
