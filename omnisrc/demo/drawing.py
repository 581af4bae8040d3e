"""A pen for articulated figures: points are complex numbers (x to the right, y up), a body is one unit tall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Frame = np.ndarray  # (H, W, 3) uint8, RGB
Colour = tuple[int, int, int]

SHIFT = 4  # OpenCV draws at sixteenths of a pixel
ARM = 0.19  # the length of each of an arm's two bones
LEG = 0.26


@dataclass(frozen=True)
class Look:
    """What an actor and its tool look like: the colours, and how big the tool is."""

    skin: Colour
    shirt: Colour
    trousers: Colour
    tool: Colour
    build: float  # limb thickness, about 1
    tool_size: float  # about 1
    reach: float  # how far the motion goes, about 1
    present: bool = True  # False: the tool is there and nobody with it


@dataclass(frozen=True)
class Pose:
    """Where the joints are; elbows and knees follow from the lengths of the bones."""

    hip: complex
    neck: complex
    hands: tuple[complex, complex]
    feet: tuple[complex, complex]
    knees: float = 1.0  # the side to which the knees bend


class Pen:
    """Draws onto one frame; `origin` is the pixel of the point 0, `scale` the pixels in a unit."""

    def __init__(self, frame: Frame, origin: complex, scale: float, mirrored: bool) -> None:
        self.frame = frame
        self.origin = origin
        self.scale = scale
        self.side = -1.0 if mirrored else 1.0

    def pixel(self, point: complex) -> tuple[int, int]:
        x = self.origin.real + self.side * point.real * self.scale
        y = self.origin.imag - point.imag * self.scale
        return round(x * 2**SHIFT), round(y * 2**SHIFT)

    def thickness(self, width: float) -> int:
        return max(1, round(width * self.scale))

    def line(self, points: Sequence[complex], width: float, colour: Colour) -> None:
        path = np.array([self.pixel(point) for point in points], np.int32)
        cv2.polylines(self.frame, [path], False, colour, self.thickness(width), cv2.LINE_AA, SHIFT)

    def disc(self, centre: complex, radius: float, colour: Colour) -> None:
        size = max(2**SHIFT, round(radius * self.scale * 2**SHIFT))
        cv2.circle(self.frame, self.pixel(centre), size, colour, -1, cv2.LINE_AA, SHIFT)

    def shape(self, points: Sequence[complex], colour: Colour) -> None:
        path = np.array([self.pixel(point) for point in points], np.int32)
        cv2.fillConvexPoly(self.frame, path, colour, cv2.LINE_AA, SHIFT)


def joint(start: complex, end: complex, bone: float, side: float) -> tuple[complex, complex]:
    """The middle joint of a limb of two equal bones, and where its end comes to lie if the limb is too short."""
    way = end - start
    length = abs(way) or 1e-6
    reach = min(length, 2 * bone)
    along = way / length
    bend = max(0.0, bone**2 - (reach / 2) ** 2) ** 0.5
    return start + along * (reach / 2) + along * 1j * bend * side, start + along * reach


def draw_figure(pen: Pen, look: Look, pose: Pose) -> None:
    """Draws the actor, from the limbs behind to the arms in front."""
    if not look.present:
        return
    thick = 0.075 * look.build
    for foot in pose.feet:
        knee, end = joint(pose.hip, foot, LEG, pose.knees)
        pen.line([pose.hip, knee, end], thick * 1.15, look.trousers)
    up = pose.neck - pose.hip
    pen.line([pose.hip, pose.neck], thick * 2.1, look.shirt)
    pen.disc(pose.neck + up / (abs(up) or 1) * 0.1, 0.085, look.skin)
    shoulder = pose.neck - up * 0.12
    for hand, side in zip(pose.hands, (1.0, -1.0), strict=True):
        elbow, end = joint(shoulder, hand, ARM, side)
        pen.line([shoulder, elbow], thick * 0.9, look.shirt)
        pen.line([elbow, end], thick * 0.8, look.skin)
        pen.disc(end, thick * 0.45, look.skin)
