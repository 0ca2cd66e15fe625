"""Evaluation: how well a stage's networks do on scenes that nobody trained on.

In: a run or a bundle, seeds   Out: summary.json, a page with the best and worst scenes painted
May import: irl_vla, irl_vla_training's ground floor and all stages.
"""
