"""Towns from a seed.

In: seed, TownRequest
Out: Town (build_town)
May import: types, scoring.compiled, scoring.scene, world.town, world.roads.
"""
