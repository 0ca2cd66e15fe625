"""Scenes cut out of episodes, the frozen splits, and what plans are worth there.

In: Episode, split or seeds, plan makers
Out: scoring scenes, tables of sub-scores, statistics
May import: types, frames, scoring, language.labels, world.
"""
