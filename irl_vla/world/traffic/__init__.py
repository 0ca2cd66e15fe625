"""Everybody but the ego: vehicles, cyclists, people, parked cars, and what is scripted.

In: Town, seed, ego pose
Out: Traffic, the Others of a Simulation
May import: types, scoring.compiled, scoring.scene, world.
"""
