"""Random images, resized by Pillow: `resize.py FOLDER` leaves cases.json and the pixels before and after."""

import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
# Width and height before and after: the extremes that chance seldom draws.
EXTREMES = [(1, 1, 9, 7), (1, 900, 64, 48), (900, 1, 48, 64), (1500, 1100, 11, 7), (224, 224, 224, 224), (300, 200, 300, 90)]
RANDOM = 14


def pixels(random, height, width, channels):
    """Noise, edges and slopes: a third of the cases each, so that weights and clipping both show."""
    kind = random.integers(3)
    if kind == 0:
        return random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    if kind == 1:
        return (random.integers(0, 2, (height, width, channels)) * 255).astype(np.uint8)
    slope = np.arange(height)[:, None, None] * 3 + np.arange(width)[None, :, None] * 2 + np.arange(channels) * 50
    return (slope % 256).astype(np.uint8)


def resized(image, size, interpolation):
    """Pillow's resize; what Pillow 13 makes of it where an older one is at work, which always begins with the columns."""
    rows_first = image.height - size[1] > max(0, 2 * (image.width - size[0]))
    if int(PIL.__version__.split(".")[0]) < 13 and rows_first and interpolation != Image.Resampling.NEAREST:
        image = image.resize((image.width, size[1]), interpolation)
    return image.resize(size, interpolation)


def main(folder):
    random = np.random.default_rng(7)
    cases = []
    for interpolation in FILTERS:
        sizes = EXTREMES + [tuple(int(side) for side in random.integers(1, 420, 4)) for _ in range(RANDOM)]
        for width, height, to_width, to_height in sizes:
            channels = int(random.choice([1, 3]))
            before = pixels(random, height, width, channels)
            image = Image.fromarray(before[:, :, 0] if channels == 1 else before)
            after = resized(image, (to_width, to_height), Image.Resampling[interpolation.upper()])
            index = len(cases)
            (folder / f"{index}.before").write_bytes(before.tobytes())
            (folder / f"{index}.after").write_bytes(after.tobytes())
            cases.append({
                "interpolation": interpolation, "channels": channels, "width": width, "height": height,
                "to_width": to_width, "to_height": to_height, "before": f"{index}.before", "after": f"{index}.after",
            })
    (folder / "cases.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
