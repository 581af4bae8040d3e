"""The eight actions: how the body and the tool stand at any moment of the motion's cycle.

Some pairs share a look and differ in motion (hammer throwing and kettlebell swinging, hula hooping and rope
skipping), others share a motion and differ in look (kettlebell swinging and swinging on a swing).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

from omnisrc.demo.drawing import Look, Pen, Pose, draw_figure

Action = Callable[[Pen, Look, float], None]
"""Draws the action at `turn` cycles after its start."""

HALF = math.pi
FULL = 2 * math.pi


def hammer_throwing(pen: Pen, look: Look, turn: float) -> None:
    """A weight on a chain goes round in full circles."""
    _swing_weight(pen, look, FULL * turn)


def kettlebell_swinging(pen: Pen, look: Look, turn: float) -> None:
    """The same weight on the same chain swings to and fro below the shoulders."""
    _swing_weight(pen, look, -HALF / 2 + 1.5 * look.reach * math.sin(FULL * turn))


def juggling_balls(pen: Pen, look: Look, turn: float) -> None:
    """Three balls fly from hand to hand in high arcs."""
    lift = 0.05 * math.sin(2 * FULL * turn)
    hands = (complex(-0.2, 0.58 + lift), complex(0.2, 0.58 - lift))
    draw_figure(pen, look, Pose(0.48j, 0.82j, hands, (-0.12, 0.12)))
    for ball in range(3):
        cycle = (turn / 1.5 + ball / 3) % 1.0
        flight = cycle * 2 % 1.0
        x = 0.2 * (2 * flight - 1) * (1 if cycle < 0.5 else -1)
        height = 0.62 + 0.6 * look.reach * 4 * flight * (1 - flight)
        pen.disc(complex(x, height), 0.07 * look.tool_size, look.tool)


def dribbling_basketball(pen: Pen, look: Look, turn: float) -> None:
    """One big ball bounces between a hand and the floor."""
    flight = turn % 1.0
    radius = 0.1 * look.tool_size
    ball = complex(0.28, radius + 0.42 * look.reach * 4 * flight * (1 - flight))
    hand = complex(0.28, max(ball.imag + radius, 0.5))
    draw_figure(pen, look, Pose(0.02 + 0.45j, 0.06 + 0.79j, (-0.18 + 0.5j, hand), (-0.12, 0.14)))
    pen.disc(ball, radius, look.tool)


def hula_hooping(pen: Pen, look: Look, turn: float) -> None:
    """A hoop circles round the waist, behind the body and before it."""
    sway = cmath.exp(1j * FULL * turn)
    hip = 0.5j + 0.05 * sway.real
    centre = hip - 0.02j - 0.12 * sway.real + 0.05j * sway.imag
    tilt = cmath.exp(0.35j * look.reach * sway.imag)
    hoop = [centre + tilt * complex(0.42 * math.cos(a / 8 * HALF), 0.13 * math.sin(a / 8 * HALF)) for a in range(17)]
    width = 0.045 * look.tool_size
    pen.line(hoop[:9], width, look.tool)
    hands = (complex(-0.34, 0.8), complex(0.34, 0.8))
    draw_figure(pen, look, Pose(hip, 0.82j, hands, (-0.1, 0.1)))
    pen.line(hoop[8:], width, look.tool)


def rope_skipping(pen: Pen, look: Look, turn: float) -> None:
    """A rope passes over the head and under the feet, which leave the ground for it."""
    height = math.cos(FULL * turn)
    jump = 0.13j * max(0.0, -height) * look.reach
    hands = (-0.3 + 0.5j + jump, 0.3 + 0.5j + jump)
    rope = [
        0.5j + jump / 2 + complex(0.36 * math.cos(a / 12 * HALF), 0.64 * height * math.sin(a / 12 * HALF))
        for a in range(13)
    ]
    draw_figure(pen, look, Pose(0.48j + jump, 0.82j + jump, hands, (-0.07 + jump, 0.07 + jump)))
    pen.line(rope, 0.04 * look.tool_size, look.tool)


def rowing_boat(pen: Pen, look: Look, turn: float) -> None:
    """A boat; its rower leans to and fro, and an oar sweeps with it."""
    stroke = math.sin(FULL * turn) * look.reach
    hip = -0.05 + 0.24j
    neck = hip + 0.34 * cmath.exp(1j * (HALF / 2 - 0.45 * stroke))
    pivot = 0.2 + 0.3j
    oar = cmath.exp(1j * (-HALF / 2 + 0.1 - 0.85 * stroke))
    grip = pivot - 0.22 * oar
    draw_figure(pen, look, Pose(hip, neck, (grip, grip - 0.03), (0.36 + 0.16j, 0.32 + 0.16j)))
    pen.shape([-0.62 + 0.28j, 0.62 + 0.28j, 0.42 + 0.02j, -0.42 + 0.02j], look.tool)
    blade = pivot + 0.52 * oar
    pen.line([grip, blade], 0.04, look.trousers)
    pen.line([blade - 0.15 * oar, blade], 0.1 * look.tool_size, look.trousers)


def playing_on_swing(pen: Pen, look: Look, turn: float) -> None:
    """A seat on two ropes swings from a bar, its rider with it."""
    angle = 0.65 * look.reach * math.sin(FULL * turn)
    down = cmath.exp(1j * (angle - HALF / 2))
    across = down * 1j
    bar = 1.35j
    seat = bar + 1.05 * down
    ropes = (seat - 0.1 * across, seat + 0.1 * across)
    pen.line([bar - 0.4, bar + 0.4], 0.05, look.tool)
    for rope, foot in zip(ropes, (-0.1, 0.1), strict=True):
        pen.line([bar + foot, rope], 0.03, look.tool)
    hip = seat - 0.04 * down
    neck = hip - 0.34 * down - 0.06 * across
    feet = (seat + 0.22 * down + 0.28 * across, seat + 0.22 * down + 0.24 * across)
    draw_figure(pen, look, Pose(hip, neck, (ropes[0] - 0.26 * down, ropes[1] - 0.26 * down), feet))
    pen.line([seat - 0.16 * across, seat + 0.16 * across], 0.06 * look.tool_size, look.tool)


def walking(pen: Pen, look: Look, turn: float) -> None:
    """No action of the list: somebody strolls about with empty hands."""
    step = math.sin(FULL * turn)
    body = complex(0.25 * math.sin(turn), 0.0)
    hands = (body - 0.2 * step + 0.45j, body + 0.2 * step + 0.45j)
    draw_figure(pen, look, Pose(body + 0.48j, body + 0.82j, hands, (body + 0.16 * step, body - 0.16 * step)))


def _swing_weight(pen: Pen, look: Look, angle: float) -> None:
    """Both hands hold a chain that points at `angle` (radians, 0 is level); a weight hangs at its end."""
    out = cmath.exp(1j * angle)
    neck = 0.8j - 0.08 * out.real
    centre = neck - 0.06j
    hand = centre + 0.34 * out
    weight = centre + (0.66 + 0.06 * look.reach) * out
    draw_figure(pen, look, Pose(0.46j - 0.04 * out.real, neck, (hand, hand), (-0.16, 0.16)))
    pen.line([hand, weight], 0.035, look.tool)
    pen.disc(weight, 0.09 * look.tool_size, look.tool)


ACTIONS: dict[str, Action] = {
    "dribbling basketball": dribbling_basketball,
    "hammer throwing": hammer_throwing,
    "hula hooping": hula_hooping,
    "juggling balls": juggling_balls,
    "kettlebell swinging": kettlebell_swinging,
    "playing on swing": playing_on_swing,
    "rope skipping": rope_skipping,
    "rowing boat": rowing_boat,
}
"""The class list of the demo, in order."""

MISTAKEN = {
    "dribbling basketball": "playing on swing",  # the playground
    "hammer throwing": "rowing boat",  # the Olympic Games
    "hula hooping": "juggling balls",  # the circus
    "juggling balls": "hula hooping",
    "kettlebell swinging": "rope skipping",  # the gym
    "playing on swing": "dribbling basketball",
    "rope skipping": "kettlebell swinging",
    "rowing boat": "hammer throwing",
}
"""What a search service most often returns in an action's stead: what shares its tags, not what looks like it."""
