"""Masks for sample pictures, drawn by code: sky and land, and a subject with a soft border."""

from __future__ import annotations

import numpy as np
from common import SAMPLES
from PIL import Image, ImageDraw, ImageFilter

SKY, LAND = "#3060ff", "#208020"


def camera_regions() -> Image.Image:
    """Sky above, and the man and the grass below, of samples/content/camera.jpg: bright pixels above the horizon."""
    picture = Image.open(SAMPLES / "content" / "camera.jpg").convert("L").filter(ImageFilter.MedianFilter(5))
    sky = np.asarray(picture) > 150
    sky[235:] = False
    mask = Image.new("RGB", picture.size, LAND)
    mask.paste(SKY, mask=Image.fromarray(sky).convert("L").filter(ImageFilter.MedianFilter(7)))
    return mask


def waves_regions() -> Image.Image:
    """Sky above, and the mountain and the waves below, of samples/style/block_print_waves.jpg."""
    width, height = Image.open(SAMPLES / "style" / "block_print_waves.jpg").size
    outline = [(0, 0.6), (0.13, 0.56), (0.36, 0.3), (0.58, 0.56), (1, 0.6), (1, 1), (0, 1)]
    mask = Image.new("RGB", (width, height), SKY)
    ImageDraw.Draw(mask).polygon([(x * width, y * height) for x, y in outline], fill=LAND)
    return mask


def astronaut_subject() -> Image.Image:
    """Black on the woman, white around her, grey between, of samples/content/astronaut.jpg."""
    width, height = Image.open(SAMPLES / "content" / "astronaut.jpg").size
    mask = Image.new("L", (width, height), 255)
    drawing = ImageDraw.Draw(mask)
    drawing.ellipse((0.28 * width, 0.0, 0.62 * width, 0.42 * height), fill=0)
    drawing.ellipse((0.02 * width, 0.3 * height, 0.72 * width, 1.5 * height), fill=0)
    return mask.filter(ImageFilter.GaussianBlur(width / 40)).point(lambda grey: 0 if grey < 8 else grey)
