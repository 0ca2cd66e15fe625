"""Named situations that a driver must handle a few seconds after the drive begins.

In: name, seed
Out: Situation (a Simulation and where it is over)
May import: types, scoring, world.
"""
