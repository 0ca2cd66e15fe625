"""Recorded scenarios as worlds: ScenarioNet exports, CommonRoad.

In: files of others
Out: Episode, Town with what was derived named, a Driver that does as was recorded
May import: types, frames, unpickle, scoring, world.
"""
