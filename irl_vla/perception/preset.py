"""Every size of the policy in one place: the shape of models/presets/*.yaml.

A preset says how big the networks are, never what they learnt. No torch here: car, desk and lab
read the same file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from irl_vla.camera.preprocess import ImageSpec
from irl_vla.camera.projection import BevGrid
from irl_vla.config import load_yaml, named
from irl_vla.perception.backbones import BACKBONES
from irl_vla.resources import resource
from irl_vla.types import InputError

PRESETS = "models/presets"
LAST_STRIDE = 32  # [px] of the backbone's coarsest map
POOL = 2  # sampled cells per cell of the grid that the planner reads, along one axis
AGENT_QUERIES = 30  # the paper's "30 agents + 1 ego"
POLYLINE_POINTS = 20  # points of a map element (DiffVLA)

AGENT_CLASSES = ("vehicle", "pedestrian", "bicycle", "obstacle")
MAP_CLASSES = ("centerline", "divider", "boundary", "crosswalk", "stop_line", "red_stop_line")
SEG_CLASSES = ("nothing", "road", "walkway", "centerline", "obstacle", "vehicle", "pedestrian")


@dataclass(frozen=True, kw_only=True)
class PlannerSize:
    """Sizes of the diffusion planner; its width is the preset's `d_model`."""

    layers: int
    heads: int
    anchors: int  # K trajectories
    denoise_steps: int = 2  # at inference (DiffusionDrive: 1/2/3 steps give 87.9/88.1/88.1 PDMS)

    def __post_init__(self) -> None:
        _refuse_empty(self, "planner.")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """All sizes of one policy."""

    name: str
    backbone: str  # name of one of BACKBONES; a bundle's graphs run where it is not known
    image: ImageSpec  # what the `camera` graph reads
    feature_stride: Literal[8, 16]  # pixels per cell of the one feature map
    feature_channels: int  # of that map; what the BEV reads from each camera
    bev: BevGrid  # sampled cells; row i runs along x (forward), column j along y (left)
    bev_blocks: int  # residual blocks of the BEV encoder, on the pooled grid
    d_model: int  # D, width of every token
    decoder_layers: int  # of the agent, ego and map queries
    decoder_heads: int
    map_queries: int  # M
    meta_tokens: int  # Nm, places for tokens of the vision-language model
    planner: PlannerSize
    score_threshold: float = 0.3  # an agent or map element below it is not valid

    def __post_init__(self) -> None:
        _refuse_empty(self, "")
        if self.image.width % LAST_STRIDE or self.image.height % LAST_STRIDE:
            raise ValueError(
                f"image: width and height must be multiples of {LAST_STRIDE} px, got "
                f"{self.image.width} x {self.image.height}"
            )
        for heads, where in (
            (self.decoder_heads, "decoder_heads"),
            (self.planner.heads, "planner.heads"),
        ):
            if self.d_model % heads:
                raise ValueError(f"{where}: must divide d_model {self.d_model}, got {heads}")
        if any(count % POOL for count in self.bev.cells):
            raise ValueError(f"bev: cells must be multiples of {POOL}, got {self.bev.cells}")
        if not 0.01 < self.score_threshold < 1.0:
            raise ValueError(
                "score_threshold: between the untrained prior 0.01 and 1, got "
                f"{self.score_threshold}"
            )

    @property
    def feature_size(self) -> tuple[int, int]:
        """(height, width) of one camera's feature map."""
        return self.image.height // self.feature_stride, self.image.width // self.feature_stride

    @property
    def points(self) -> int:
        """Points of the sampling grid per camera: cells x heights."""
        return self.bev.cells[0] * self.bev.cells[1] * len(self.bev.heights)

    @property
    def pooled(self) -> tuple[int, int]:
        """(rows, columns) of the grid that the planner reads and that serves as memory."""
        return self.bev.cells[0] // POOL, self.bev.cells[1] // POOL


def _refuse_empty(sizes: PlannerSize | Preset, prefix: str) -> None:
    """Every whole number of a preset counts something that must exist."""
    for field in fields(sizes):
        value = getattr(sizes, field.name)
        if isinstance(value, int) and value < 1:
            raise ValueError(f"{prefix}{field.name}: expected at least 1, got {value}")


def preset_names() -> tuple[str, ...]:
    """The presets that ship with the project, by name."""
    return tuple(sorted(path.stem for path in resource(PRESETS).glob("*.yaml")))


def load_preset(name_or_path: str) -> Preset:
    """A shipped preset by its name ("tiny") or any YAML file by its path. Raises InputError."""
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        preset = load_yaml(path, Preset)
        named(BACKBONES, preset.backbone, f"{path}: backbone")
        return preset
    if name_or_path not in preset_names():
        raise InputError(
            f"preset: expected one of {', '.join(preset_names())} or the path of a .yaml file, "
            f"got '{name_or_path}'"
        )
    return load_yaml(resource(f"{PRESETS}/{name_or_path}.yaml"), Preset)
