"""Perception: calibrated images -> BEV with half a second of memory -> scene tokens.

In:  CalibratedImages, sampling grid, EgoStatus, Intent, memory   Out: SceneTokens
May import: types, frames, config, camera. `preset` and `tokens` need no torch; the networks do.
"""
