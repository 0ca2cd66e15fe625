"""Perception's lessons: what the eyes are told about their mistakes, and the loop that tells them.

Formulas stand in files without loops (`*_losses`, `matching`, `dropout`); `eyes` puts networks and
formulas together, `perceive` is the loop.
In: Batch, recipe   Out: weights of the `camera` and `bev` networks
May import: irl_vla, irl_vla_training's ground floor, irl_vla_training.samples.
"""
