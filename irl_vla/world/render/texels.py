"""Where everything lies in the one flat array of packed colours that pictures are shaded from.

First the atlas of small pictures, then the sky, then the ground. May import: nothing of ours.
"""

from __future__ import annotations

ATLAS_SIDE = 64  # [px] of a tile of the atlas; its levels lie one after the other
ATLAS_LEVELS = 7
ATLAS_TEXELS = sum((ATLAS_SIDE >> level) ** 2 for level in range(ATLAS_LEVELS))
ATLAS_MOST = 96  # tiles that there is room for
BODY_TILE, PANE_TILE = 0, 1  # the sheen of painted metal and of glass: those two come first
ATLAS_START = 0
WHITE = ATLAS_START + ATLAS_MOST * ATLAS_TEXELS - 1  # a white texel, for plain colours

SKY_WIDTH, SKY_HEIGHT = 4096, 300  # [px] of the sky's panorama, all around
SKY_START = ATLAS_START + ATLAS_MOST * ATLAS_TEXELS

TEXEL_M = 0.08  # [m] of the finest ground texture
LEVELS = 7  # of ground textures, each twice as coarse as the one before
PAGED = 2  # levels of which only the surroundings are kept
BLOCK = 256  # [px] side of the blocks that those are painted in
PAGE = 4 * BLOCK  # [px] side of what is kept of them; a place lies at its coordinates modulo PAGE
GROUND_START = SKY_START + SKY_WIDTH * SKY_HEIGHT
