"""Samples: what training reads, whatever it was made from.

In: seeds of the built-in world, imported scenarios, NAVSIM logs, bags   Out: Sample, Batch
May import: irl_vla, irl_vla_training's ground floor.
"""
