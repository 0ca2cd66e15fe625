"""Paths of movers: laid along lanes node by node, blended across them, driven along.

Both axles run on the path; the box lies on the chord between them.
May import: scoring.compiled, scoring.geometry, types, world.episode, world.traffic.
"""

from __future__ import annotations

import math

from irl_vla.scoring.compiled import lean_kernel
from irl_vla.scoring.geometry import wrap
from irl_vla.world.traffic.fleet import (
    A_LAT,
    BASE,
    BIKE,
    BLEND_ASIDE,
    BLEND_FROM,
    BLEND_LENGTH,
    COMMIT,
    CON_IN,
    CON_OUT,
    CONNECTORS,
    COUNT,
    DS,
    FACTOR,
    KEPT_BEHIND,
    LENGTH,
    NODES,
    NOSE,
    OFFSET,
    REAR,
    Fleet,
    S,
    V,
    draw,
)
from irl_vla.world.traffic.lane_network import LaneNetwork

CYCLING = 12.0  # [m/s] stands for the limit where cyclists ride: they have a share of it
COMFORT_BRAKING = 1.2  # [m/s²] before bends and lower limits
LONG = 7.5  # [m] longer vehicles prefer to go straight
TURN_SHARE = (3.0, 1.0, 1.0)  # straight, left, right
LONG_SHARE = (8.0, 0.2, 0.1)
QUINTIC_BEND = 5.774  # greatest second derivative of the quintic from 0 to 1
BEND_STEP = 2  # nodes to either side over which curvature is taken


@lean_kernel
def on_lane(net: LaneNetwork, lane: int, arc: float) -> tuple[float, float, float]:
    """Centre pose of a lane at an arc length, held within the lane (cubic Hermite)."""
    first, last = net.first[lane], net.first[lane + 1] - 1
    low, high = first, last
    while high - low > 1:
        middle = (low + high) // 2
        if net.arc[middle] <= arc:
            low = middle
        else:
            high = middle
    span = net.arc[low + 1] - net.arc[low]
    r = min(max((arc - net.arc[low]) / span, 0.0), 1.0) if span > 0.0 else 0.0
    a, b = net.heading[low], net.heading[low + 1]
    h0, h1 = (1.0 + 2.0 * r) * (1.0 - r) * (1.0 - r), r * r * (3.0 - 2.0 * r)
    g0, g1 = span * r * (1.0 - r) * (1.0 - r), -span * r * r * (1.0 - r)
    x = h0 * net.xy[low, 0] + h1 * net.xy[low + 1, 0] + g0 * math.cos(a) + g1 * math.cos(b)
    y = h0 * net.xy[low, 1] + h1 * net.xy[low + 1, 1] + g0 * math.sin(a) + g1 * math.sin(b)
    return x, y, a + r * (b - a)


@lean_kernel
def next_lane(net: LaneNetwork, fleet: Fleet, i: int, lane: int) -> int:
    """A successor of a lane, drawn with the mover's own dice; -1 where there is none."""
    begin, end = net.succ_first[lane], net.succ_first[lane + 1]
    if begin == end:
        return -1
    if end - begin == 1:
        return int(net.succ[begin])
    share = LONG_SHARE if fleet.f[i, LENGTH] > LONG else TURN_SHARE
    total = 0.0
    for k in range(begin, end):
        total += share[net.turn[net.succ[k]]]
    pick = draw(fleet.dice, i) * total
    for k in range(begin, end):
        pick -= share[net.turn[net.succ[k]]]
        if pick < 0.0:
            return int(net.succ[k])
    return int(net.succ[end - 1])


@lean_kernel
def beside(fleet: Fleet, i: int, s: float) -> float:
    """How far left of its lane's centre the path lies at s: a quintic that fades out."""
    u = (s - fleet.f[i, BLEND_FROM]) / fleet.f[i, BLEND_LENGTH]
    u = min(max(u, 0.0), 1.0)
    faded = u * u * u * (10.0 - u * (15.0 - 6.0 * u))
    return float(fleet.f[i, OFFSET] + fleet.f[i, BLEND_ASIDE] * (1.0 - faded))


@lean_kernel
def append(net: LaneNetwork, fleet: Fleet, i: int) -> None:
    """Lays nodes after the last one until the path is full or the lanes end."""
    n = fleet.g[i, COUNT]
    while n < NODES:
        lane, arc = fleet.lane[i, n - 1], fleet.sl[i, n - 1] + DS
        while arc > net.length[lane]:
            follower = next_lane(net, fleet, i, lane)
            if follower < 0:
                break
            arc -= net.length[lane]
            lane = follower
        if arc > net.length[lane]:
            break
        put(net, fleet, i, n, lane, arc)
        if abs(beside(fleet, i, n * DS)) > 0.05:  # beside a bend a metre is not a metre
            dx = fleet.xy[i, n, 0] - fleet.xy[i, n - 1, 0]
            dy = fleet.xy[i, n, 1] - fleet.xy[i, n - 1, 1]
            shorter = arc + DS * (DS / math.sqrt(dx * dx + dy * dy) - 1.0)
            put(net, fleet, i, n, lane, min(max(shorter, 0.0), net.length[lane]))
        n += 1
    fleet.g[i, COUNT] = n
    profile(net, fleet, i)


@lean_kernel
def put(net: LaneNetwork, fleet: Fleet, i: int, n: int, lane: int, arc: float) -> None:
    """Node n at an arc of a lane."""
    x, y, heading = on_lane(net, lane, arc)
    aside = beside(fleet, i, n * DS)
    fleet.xy[i, n, 0] = x - aside * math.sin(heading)
    fleet.xy[i, n, 1] = y + aside * math.cos(heading)
    fleet.hd[i, n] = heading
    fleet.lane[i, n] = lane
    fleet.sl[i, n] = arc
    fleet.cap[i, n] = CYCLING if fleet.g[i, BIKE] == 1 else net.limit[lane]


@lean_kernel
def profile(net: LaneNetwork, fleet: Fleet, i: int) -> None:
    """Speeds along the path: limit, bends, and braking in time for both."""
    n, factor = fleet.g[i, COUNT], fleet.f[i, FACTOR]
    allowed = math.inf
    length = fleet.f[i, BLEND_LENGTH]
    weave = QUINTIC_BEND * abs(fleet.f[i, BLEND_ASIDE]) / (length * length)
    for k in range(n - 1, -1, -1):
        a, b = max(k - BEND_STEP, 0), min(k + BEND_STEP, n - 1)
        turn = abs(wrap(fleet.hd[i, b] - fleet.hd[i, a]))
        bend = turn / max((b - a) * DS, DS)
        if 0.0 <= k * DS - fleet.f[i, BLEND_FROM] < length:
            bend += weave
        own = fleet.cap[i, k] * factor
        if bend > 3e-4:
            own = min(own, math.sqrt(fleet.f[i, A_LAT] / bend))
        allowed = min(own, math.sqrt(allowed * allowed + 2.0 * COMFORT_BRAKING * DS))
        fleet.vc[i, k] = allowed


@lean_kernel
def lay(
    net: LaneNetwork, fleet: Fleet, i: int, lane: int, arc: float, aside: float, length: float
) -> None:
    """A new path from an arc of a lane on; the rear axle stands at its begin (s = 0), `aside` to
    the left of the lane's middle, which it reaches after `length`."""
    f = fleet.f
    f[i, S], f[i, COMMIT] = 0.0, -1.0
    f[i, BLEND_FROM], f[i, BLEND_LENGTH], f[i, BLEND_ASIDE] = 0.0, length, aside
    put(net, fleet, i, 0, lane, arc)
    fleet.g[i, COUNT] = 1
    append(net, fleet, i)


@lean_kernel
def forget_behind(net: LaneNetwork, fleet: Fleet, i: int) -> None:
    """Drops nodes far behind and lays as many ahead."""
    drop = int(fleet.f[i, S] / DS) - KEPT_BEHIND
    if drop < 8:
        return
    n = fleet.g[i, COUNT] - drop
    for k in range(n):
        fleet.xy[i, k, 0], fleet.xy[i, k, 1] = fleet.xy[i, k + drop, 0], fleet.xy[i, k + drop, 1]
        fleet.hd[i, k], fleet.sl[i, k] = fleet.hd[i, k + drop], fleet.sl[i, k + drop]
        fleet.cap[i, k], fleet.lane[i, k] = fleet.cap[i, k + drop], fleet.lane[i, k + drop]
    fleet.g[i, COUNT] = n
    fleet.f[i, S] -= drop * DS
    fleet.f[i, COMMIT] -= drop * DS
    fleet.f[i, BLEND_FROM] -= drop * DS
    append(net, fleet, i)


@lean_kernel
def change_to(net: LaneNetwork, fleet: Fleet, i: int, lane: int, arc: float, length: float) -> None:
    """Lays the path anew from the front axle on, over to a neighbour that is at `arc` there."""
    f = fleet.f
    n = int((f[i, S] + f[i, BASE]) / DS) + 2
    x, y, heading = on_lane(net, lane, arc)
    k = n - 1
    aside = (fleet.xy[i, k, 1] - y) * math.cos(heading)
    aside -= (fleet.xy[i, k, 0] - x) * math.sin(heading)
    f[i, BLEND_FROM], f[i, BLEND_LENGTH] = k * DS, length
    f[i, BLEND_ASIDE] = aside - f[i, OFFSET]
    put(net, fleet, i, k, lane, arc)
    fleet.g[i, COUNT] = n
    append(net, fleet, i)


@lean_kernel
def at(fleet: Fleet, i: int, s: float) -> tuple[float, float, float, float]:
    """Point and tangent of the path at s: a Catmull-Rom spline through the nodes, straight on
    beyond the last one."""
    k = min(max(int(s / DS), 0), fleet.g[i, COUNT] - 2)
    x, tx = along(fleet, i, k, s / DS - k, 0)
    y, ty = along(fleet, i, k, s / DS - k, 1)
    return x, y, tx, ty


@lean_kernel
def along(fleet: Fleet, i: int, k: int, r: float, c: int) -> tuple[float, float]:
    """Coordinate c of the path r nodes beyond node k, and its slope."""
    n = fleet.g[i, COUNT]
    x0, x1 = fleet.xy[i, k, c], fleet.xy[i, k + 1, c]
    before = fleet.xy[i, k - 1, c] if k > 0 else 2.0 * x0 - x1
    after = fleet.xy[i, k + 2, c] if k + 2 < n else 2.0 * x1 - x0
    if r > 1.0:
        return x1 + (r - 1.0) * (x1 - x0), (x1 - x0) / DS
    m0, m1 = (x1 - before) / 2.0, (after - x0) / 2.0
    bend, twist = 3.0 * (x1 - x0) - 2.0 * m0 - m1, 2.0 * (x0 - x1) + m0 + m1
    return x0 + r * (m0 + r * (bend + r * twist)), (m0 + r * (2.0 * bend + 3.0 * r * twist)) / DS


@lean_kernel
def place(fleet: Fleet, i: int) -> None:
    """Both axles on the path -> the state of the box's middle."""
    x, y, heading, vx, vy = state_at(fleet, i, fleet.f[i, S])
    fleet.states[i, 0], fleet.states[i, 1], fleet.states[i, 2] = x, y, heading
    fleet.states[i, 3], fleet.states[i, 4] = vx, vy


@lean_kernel
def state_at(fleet: Fleet, i: int, s: float) -> tuple[float, float, float, float, float]:
    """State of the box's middle where the rear axle is at s."""
    f = fleet.f
    rear, front = at(fleet, i, s), at(fleet, i, s + f[i, BASE])
    heading = math.atan2(front[1] - rear[1], front[0] - rear[0])
    ahead = (f[i, NOSE] - f[i, REAR]) / 2.0
    share = ahead / f[i, BASE]
    x, y = rear[0] + ahead * math.cos(heading), rear[1] + ahead * math.sin(heading)
    vx = f[i, V] * (rear[2] + share * (front[2] - rear[2]))
    vy = f[i, V] * (rear[3] + share * (front[3] - rear[3]))
    return x, y, heading, vx, vy


@lean_kernel
def find_connectors(net: LaneNetwork, fleet: Fleet, i: int, horizon: float) -> None:
    """The junction lanes that the mover is in or comes to, and where they begin and end."""
    f, found = fleet.f, 0
    k = max(int((f[i, S] - f[i, REAR]) / DS), 0)
    last = min(fleet.g[i, COUNT] - 1, int((f[i, S] + f[i, NOSE] + horizon) / DS))
    for c in range(CONNECTORS):
        fleet.con[i, c] = -1
    while k <= last and found < CONNECTORS:
        lane = fleet.lane[i, k]
        begin = k * DS - fleet.sl[i, k]
        end = begin + net.length[lane]
        if net.junction[lane] >= 0:
            fleet.con[i, found] = lane
            fleet.con_s[i, found, CON_IN], fleet.con_s[i, found, CON_OUT] = begin, end
            found += 1
        k = max(k + 1, math.ceil(end / DS))
