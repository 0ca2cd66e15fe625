"""A run's recipe: which networks, on which samples, trained how. The shape of recipes/*.yaml.

Frozen dataclasses are documentation, check and file format in one; unknown keys are refused with
"did you mean". May import: irl_vla.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

from irl_vla.config import load_yaml, named
from irl_vla.foreign import brief

MOST_STEPS = 10**9  # or samples of a batch
MOST_WEIGHT = 1e6
RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True, kw_only=True)
class AugmentRecipe:
    """How samples are varied each time they are read; shares are chances per sample."""

    mirror: float = 0.5  # left and right exchanged, pixels and geometry
    crop: bool = True  # any window of the prepared margin, else its middle
    colour: float = 0.25  # most change of brightness and contrast; hue and saturation half of it
    blur: float = 0.1
    noise: float = 0.3
    drop_camera: float = 0.1  # one of several cameras is missing
    drop_tele: float = 0.15
    drop_memory: float = 0.25
    drop_status: float = 0.4  # ego's motion is not known
    drop_intent: float = 0.2
    drop_route: float = 0.5

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"augment.{name}: a share between 0 and 1, got {share}")


@dataclass(frozen=True, kw_only=True)
class OptimiserRecipe:
    """AdamW with warm-up and a cosine."""

    peak_rate: float = 1.5e-3
    last_share: float = 0.02  # of the peak, at the end
    warm_up: int = 150  # steps
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.02  # not of norms and biases
    clip_norm: float = 10.0
    explodes_at: float = 1e4  # gradient norm: the run stops and keeps the last good checkpoint

    def __post_init__(self) -> None:
        if not 0.0 < self.peak_rate < 1.0:
            raise ValueError(f"optimiser.peak_rate: between 0 and 1, got {self.peak_rate}")
        if not (self.clip_norm > 0.0 and self.explodes_at > 0.0):
            raise ValueError("optimiser: clip_norm and explodes_at must be positive")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"optimiser.betas: from 0 to below 1, got {self.betas}")
        if not (0.0 <= self.last_share <= 1.0 and 0.0 <= self.weight_decay < 1.0):
            raise ValueError("optimiser: last_share and weight_decay are between 0 and 1")
        if not 0 <= self.warm_up <= MOST_STEPS:
            raise ValueError(f"optimiser.warm_up: 0 to {MOST_STEPS}, got {self.warm_up}")


@dataclass(frozen=True, kw_only=True)
class LossRecipe:
    """How much each mistake of the eyes weighs; the formulas are in perception/."""

    seg: float = 1.0  # classes of the ground
    closed: float = 0.7  # lanes that a red light closes
    box_class: float = 2.0
    box: float = 1.0  # place, size, heading
    velocity: float = 1.0
    line_class: float = 1.0
    line: float = 0.5
    pixel_kind: float = 0.5  # the throw-away heads on the camera's features
    pixel_depth: float = 1.0
    pixel_lamp: float = 0.5
    actions: float = 0.6  # the ego token: what the expert does
    light: float = 0.3  # and what the light ahead shows

    def __post_init__(self) -> None:
        for name, weight in asdict(self).items():
            if not 0.0 <= weight < MOST_WEIGHT:
                raise ValueError(
                    f"losses.{name}: a weight of at least 0, below {MOST_WEIGHT:g}, got {weight}"
                )


@dataclass(frozen=True, kw_only=True)
class PerceiveRecipe:
    """Stage 1a: the eyes."""

    steps: int = 5000
    batch: int = 4  # samples per process and step
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)
    losses: LossRecipe = field(default_factory=LossRecipe)
    memory_from: float = 0.3  # share of the steps without memory, before it is worth remembering
    accumulate: int = 1  # batches per step
    precision: Literal["measured", "fp32", "channels_last", "bf16", "bf16+channels_last"] = (
        "measured"  # at the start of the run: the fastest on that machine
    )
    checkpoint_every: int = 250  # steps
    log_every: int = 10

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "checkpoint_every", "log_every"):
            if not 1 <= getattr(self, name) <= MOST_STEPS:
                raise ValueError(
                    f"perceive.{name}: 1 to {MOST_STEPS}, got {brief(getattr(self, name))}"
                )
        if not 0.0 <= self.memory_from <= 1.0:
            raise ValueError(f"perceive.memory_from: between 0 and 1, got {self.memory_from}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The whole file."""

    name: str
    preset: str  # of models/presets, or the path of a .yaml file
    seed: int = 0
    perceive: PerceiveRecipe = field(default_factory=PerceiveRecipe)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed: 0 to 2^32 - 1, got {brief(self.seed)}")

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all settings as resolved."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def load_recipe(name_or_path: str) -> Recipe:
    """A shipped recipe by its name ("tiny") or any YAML file by its path. Raises InputError."""
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        return load_yaml(path, Recipe)
    shipped = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    return load_yaml(named(shipped, name_or_path, "recipe"), Recipe)
