"""The lab: training stages, evaluation and the official devkit's agent.

In: the core (`irl_vla`) and data sets   Out: bundles, scores, submissions   May import: irl_vla."""
