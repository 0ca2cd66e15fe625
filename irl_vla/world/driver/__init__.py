"""The privileged expert, whose drives are the imitation data.

In: Town, route, seed, every WorldState
Out: Expert, the Driver of a Simulation
May import: types, scoring, world.
"""
