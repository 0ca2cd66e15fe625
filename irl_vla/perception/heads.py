"""What stands and moves on the BEV: agents, ego, map elements, classes of the ground.

One decoder serves 30 agent queries, 1 ego query and M map queries: they attend to each other, to
the whole BEV, and once more to the BEV at the place they point to, which moves layer by layer.

Symbols: B batch, A = 30 agents, M map elements, Q = A + 1 + M queries, D width, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irl_vla.camera.projection import BevGrid
from irl_vla.perception.attention import Attention, FeedForward
from irl_vla.perception.bev import bev_coordinates, pooled_centers
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.perception.preset import (
    AGENT_QUERIES,
    POLYLINE_POINTS,
    POOL,
    Preset,
)
from irl_vla.perception.tokens import EGO_VECTOR_SIZE
from irl_vla.perception.vovnet import conv_block

PRIOR = 0.01  # score of every class before training (focal loss, arXiv 1708.02002, section 3.3)
PRIOR_LOGIT = -math.log((1.0 - PRIOR) / PRIOR)
QUIET = 0.01  # standard deviation of the last weights, so that the prior stands at first
FREQUENCIES = 6  # of the position code: wave lengths of 2, 1, 1/2 .. of the grid's side
CAR = (4.5, 1.9, 1.6)  # [m] a box before training: a passenger car
SPEED_SCALE = 10.0  # [m/s] per unit of the velocity output
POLYLINE_SCALE_M = 10.0  # [m] per unit of a polyline point's offset


@dataclass(frozen=True)
class Detections:
    """What one decoder layer found; every layer speaks, so that training can ask each.

    boxes: (B, A, 10) x y z l w h sin(yaw) cos(yaw) vx vy [m, m/s], sine and cosine not normalised
    agent_logits: (B, A, K); polylines: (B, M, 20, 2) x, y [m]; map_logits: (B, M, K); ego frame
    """

    boxes: Tensor
    agent_logits: Tensor
    polylines: Tensor
    map_logits: Tensor


@dataclass(frozen=True)
class Decoded:
    """agents: (B, A, D), ego: (B, 1, D), map: (B, M, D) tokens; found: one per decoder layer."""

    agents: Tensor
    ego: Tensor
    map: Tensor
    found: tuple[Detections, ...]


class PositionCode(nn.Module):
    """A place on the grid -> D numbers: sines and cosines of several wave lengths, mixed."""

    octaves: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(4 * FREQUENCIES, width)
        octaves = math.pi * 2.0 ** torch.arange(FREQUENCIES, dtype=torch.float32)
        self.register_buffer("octaves", octaves, persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        """(..., 2) sampling coordinates, -1..1 -> (..., D)."""
        phases = (places[..., None] * self.octaves).flatten(-2)
        out: Tensor = self.mix(torch.cat([phases.sin(), phases.cos()], dim=-1))
        return out


class DecoderLayer(nn.Module):
    """Queries read each other, the whole BEV and the BEV at their own place."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.each_other = Attention(width, heads)
        self.whole_bev = Attention(width, heads)
        self.own_place = nn.Linear(width, width)
        self.think = FeedForward(width)
        self.move = nn.Linear(width, 2)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)

    def forward(
        self, queries: Tensor, code: Tensor, keys: Tensor, here: Tensor
    ) -> tuple[Tensor, Tensor]:
        """-> (B, Q, D) queries and (B, Q, 2) how far each moves, in logits of the place.

        queries, code (of the place), here (BEV at the place): (B, Q, D); keys: (B, Hp * Wp, D)
        """
        normed = self.norms[0](queries) + code
        queries = queries + self.each_other(normed, normed)
        normed = self.norms[1](queries) + code
        queries = queries + self.whole_bev(normed, keys) + self.own_place(here)
        queries = queries + self.think(self.norms[2](queries))
        return queries, self.move(queries)


class ElementHeads(nn.Module):
    """Tokens and places -> boxes, polylines and class logits; shared by all decoder layers."""

    origin: Tensor
    span: Tensor
    default_size: Tensor

    def __init__(self, width: int, bev: BevGrid, classes: SceneClasses) -> None:
        super().__init__()
        self.box = nn.Sequential(nn.Linear(width, width), nn.ReLU(), _quiet(width, 8))
        self.line = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), _quiet(width, 2 * POLYLINE_POINTS)
        )
        self.agent_class = _quiet(width, len(classes.agents), PRIOR_LOGIT)
        self.map_class = _quiet(width, len(classes.map), PRIOR_LOGIT)
        corner, far = (bev.x[0], bev.y[0]), (bev.x[1], bev.y[1])
        self.register_buffer("origin", torch.tensor(corner), persistent=False)
        self.register_buffer("span", torch.tensor(far) - torch.tensor(corner), persistent=False)
        self.register_buffer("default_size", torch.tensor(CAR), persistent=False)

    def meters(self, places: Tensor) -> Tensor:
        """(..., 2) logits of the place -> (..., 2) x, y [m], always inside the grid."""
        return self.origin + places.sigmoid() * self.span

    def forward(self, agents: Tensor, elements: Tensor, places: Tensor) -> Detections:
        """(B, A, D) agents, (B, M, D) map elements, (B, Q, 2) logits of the places ->
        Detections."""
        xy = self.meters(places)
        raw = self.box(agents)
        z = CAR[2] / 2.0 + raw[..., 0:1]
        size = (
            self.default_size * raw[..., 1:4].clamp(-4.0, 3.0).exp()
        )  # 2 % to 20 times the default
        heading = torch.cat([raw[..., 4:5], raw[..., 5:6] + 1.0], dim=-1)  # sin, cos; ahead
        velocity = SPEED_SCALE * raw[..., 6:8]
        offsets = POLYLINE_SCALE_M * self.line(elements)
        offsets = offsets.reshape(*offsets.shape[:2], POLYLINE_POINTS, 2)
        return Detections(
            torch.cat([xy[:, : agents.shape[1]], z, size, heading, velocity], dim=-1),
            self.agent_class(agents),
            xy[:, -elements.shape[1] :, None] + offsets,
            self.map_class(elements),
        )


class SceneDecoder(nn.Module):
    """BEV and ego vector -> agent, ego and map tokens with what they stand for."""

    cells: Tensor

    def __init__(self, preset: Preset, classes: SceneClasses = CLASSES) -> None:
        super().__init__()
        width = preset.d_model
        self.bev, self.elements = preset.bev, preset.map_queries
        self.queries = nn.Parameter(torch.randn(AGENT_QUERIES + self.elements, width))
        self.places = nn.Parameter(_spread(preset))
        self.encode_ego = nn.Sequential(
            nn.Linear(EGO_VECTOR_SIZE, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.code = PositionCode(width)
        self.layers = nn.ModuleList(
            DecoderLayer(width, preset.decoder_heads) for _ in range(preset.decoder_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.heads = ElementHeads(width, preset.bev, classes)
        cells = bev_coordinates(pooled_centers(preset.bev), preset.bev).reshape(-1, 2)
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, bev: Tensor, ego_vector: Tensor) -> Decoded:
        """(B, D, Hp, Wp) BEV, (B, E) ego vector -> Decoded."""
        batch = bev.shape[0]
        keys = bev.flatten(2).transpose(1, 2) + self.code(self.cells)
        learnt = self.queries.expand(batch, -1, -1)
        queries = torch.cat(
            [learnt[:, :AGENT_QUERIES], self.encode_ego(ego_vector)[:, None],
             learnt[:, AGENT_QUERIES:]], dim=1,
        )  # fmt: skip
        places, found = self.places.expand(batch, -1, -1), []
        for layer in self.layers:
            where = bev_coordinates(self.heads.meters(places), self.bev)
            here = nn.functional.grid_sample(
                bev, where[:, :, None], "bilinear", "border", align_corners=False
            )
            queries, step = layer(queries, self.code(where), keys, here[..., 0].transpose(1, 2))
            places = places + step
            tokens = self.norm(queries)
            agents, elements = tokens[:, :AGENT_QUERIES], tokens[:, -self.elements :]
            found.append(self.heads(agents, elements, places))
            places = places.detach()  # each layer answers for its own step only
        ego = tokens[:, AGENT_QUERIES : AGENT_QUERIES + 1]
        return Decoded(agents, ego, elements, tuple(found))


class Segmentation(nn.Module):
    """BEV and fine map -> per sampled cell its class, and apart from it whether a red light closes
    the lane there: that overlaps road, so it is no class."""

    def __init__(self, preset: Preset, classes: SceneClasses = CLASSES) -> None:
        super().__init__()
        width, half = preset.d_model, preset.d_model // 2
        self.coarse = nn.Conv2d(width, half, 1)
        self.fine = nn.Conv2d(width, half, 1)
        self.mix = conv_block(half, half, 3)
        self.classes = nn.Conv2d(half, len(classes.seg), 1)
        nn.init.normal_(self.classes.weight, std=QUIET)
        prior = torch.full((len(classes.seg),), PRIOR)
        nothing = classes.index("seg", "nothing", "the network, for untrained ground,")
        prior[nothing] = 1.0 - PRIOR * (len(classes.seg) - 1)
        self.classes.bias = nn.Parameter(prior.log())
        self.closed = nn.Conv2d(half, 1, 1)
        nn.init.normal_(self.closed.weight, std=QUIET)
        self.closed.bias = nn.Parameter(torch.full((1,), PRIOR_LOGIT))

    def forward(self, bev: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D, Hp, Wp), (B, D, R, S) -> (B, K, R, S) and (B, 1, R, S) logits."""
        coarse = nn.functional.interpolate(self.coarse(bev), scale_factor=float(POOL))
        mixed = self.mix(coarse + self.fine(fine))
        return self.classes(mixed), self.closed(mixed)


def _quiet(width: int, out: int, bias: float = 0.0) -> nn.Linear:
    """A last layer that at first says little more than its bias."""
    layer = nn.Linear(width, out)
    nn.init.normal_(layer.weight, std=QUIET)
    nn.init.constant_(layer.bias, bias)
    return layer


def _spread(preset: Preset) -> Tensor:
    """(Q, 2) logits of the places at the start: evenly over the grid, the ego at its own place."""
    golden = (math.sqrt(5.0) - 1.0) / 2.0  # the golden-ratio sequence fills a square evenly

    def cover(count: int) -> Tensor:
        index = torch.arange(count) + 0.5
        return torch.stack([index / count, (index * golden) % 1.0], dim=-1)

    x, y = preset.bev.x, preset.bev.y
    ego = torch.tensor([[-x[0] / (x[1] - x[0]), -y[0] / (y[1] - y[0])]])
    places = torch.cat([cover(AGENT_QUERIES), ego, cover(preset.map_queries)])
    return places.clamp(0.02, 0.98).logit()
