"""The `planner` graph's tensors: names, types, shapes, and how they are filled. No torch here.

Legend: K anchors, T = 8 poses, A = 2 action channels, D token width, Nm meta tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.perception.preset import AGENT_QUERIES, Preset
from irl_vla.perception.tokens import GraphIo, TensorSpec
from irl_vla.types import F32, HORIZON_POSES, SECOND_NS, Command, SceneTokens

ACTION_CHANNELS = 2
MAX_META_AGE_S = 10.0  # [s] the age input saturates here; validity is the core's decision


def planner_io(preset: Preset) -> GraphIo:
    """The whole sampling in one graph; everything has a fixed size."""
    width, count = preset.d_model, preset.planner.anchors
    return GraphIo(
        "planner",
        (
            TensorSpec("bev", "float16", (width, *preset.pooled)),
            TensorSpec("agents", "float16", (AGENT_QUERIES, width)),
            TensorSpec("agent_valid", "bool", (AGENT_QUERIES,)),
            TensorSpec("ego", "float16", (1, width)),
            TensorSpec("map", "float16", (preset.map_queries, width)),
            TensorSpec("map_valid", "bool", (preset.map_queries,)),
            TensorSpec("meta", "float16", (preset.meta_tokens, width)),
            TensorSpec("meta_valid", "bool", (preset.meta_tokens,)),
            TensorSpec("meta_age_s", "float32", (1,)),
            TensorSpec("noise", "float32", (count, HORIZON_POSES, ACTION_CHANNELS)),
        ),
        (
            TensorSpec("trajectories", "float32", (count, HORIZON_POSES, 3)),
            TensorSpec("confidence", "float32", (count,)),
        ),
    )


def noise_for(preset: Preset, anchor_stamp_ns: int, seed: int) -> F32:
    """(K, T, 2) standard normal numbers that depend on anchor stamp and seed alone.

    Philox counts instead of remembering (Salmon et al., SC11), with the two numbers as its key.
    """
    key = np.array([anchor_stamp_ns % 2**64, seed % 2**64], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    size = (preset.planner.anchors, HORIZON_POSES, ACTION_CHANNELS)
    return generator.standard_normal(size, dtype=np.float32)


def planner_inputs(
    preset: Preset, tokens: SceneTokens, command: Command, noise: F32
) -> dict[str, NDArray[Any]]:
    """Inputs of the `planner` graph. Without meta tokens, or with those of another epoch, every
    place is invalid, and then without influence. Their age is counted from the pictures that the
    command was made from to the anchor."""
    meta = np.zeros((preset.meta_tokens, preset.d_model), np.float16)
    valid, age = np.zeros(preset.meta_tokens, np.bool_), 0.0
    if command.meta is not None and command.meta.epoch == tokens.epoch:
        count = min(len(command.meta.tokens), preset.meta_tokens)
        meta[:count] = command.meta.tokens[:count]
        valid[:count] = command.meta.valid[:count]
        seconds = (tokens.anchor_stamp_ns - command.stamp_ns) / SECOND_NS
        age = min(max(seconds, 0.0), MAX_META_AGE_S)
    return {
        "bev": tokens.bev,
        "agents": tokens.agents,
        "agent_valid": tokens.agent_valid,
        "ego": tokens.ego,
        "map": tokens.map,
        "map_valid": tokens.map_valid,
        "meta": meta,
        "meta_valid": valid,
        "meta_age_s": np.array([age], np.float32),
        "noise": noise,
    }
