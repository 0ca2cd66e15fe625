"""Evaluation: a bundle over something: a recording, a drive in the world, a split's scenes.
In:  bundle, recording, situation, split   Out: plans, scores, plan files
May import: everything but view and cli."""
