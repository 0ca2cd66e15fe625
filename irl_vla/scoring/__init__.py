"""Scoring: a scene and planned trajectories -> EPDMS, exactly as the benchmark's own code scores.
In:  Scene (scene.py), trajectories (P, 8, 3)   Out: SubScores (epdms.py), Explanation (explain.py)
May import: types, frames, config, paths, unpack; no torch.
"""
