"""Random views of random images, made by Pillow: `augment.py FOLDER` leaves cases.json and the pixels before and after.

A view is a window that is resized, mirrored, and given other colours, with the operations that torchvision's `resized_crop`,
`hflip`, `adjust_brightness`, `adjust_contrast` and `adjust_saturation` are on images of Pillow.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance
from resize import pixels, resized

SIZE = 64
FILTERS = ["bilinear", "bicubic"]
CASES = 60


def view(image, window, mirrored, factors, interpolation):
    """The view, `[SIZE, SIZE]`."""
    left, top, width, height = window
    image = image.crop((left, top, left + width, top + height))
    image = resized(image, (SIZE, SIZE), Image.Resampling[interpolation.upper()])
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if factors is not None:
        for enhance, factor in zip((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True):
            image = enhance(image).enhance(factor)
    return image


def main(folder):
    random = np.random.default_rng(11)
    cases = []
    for index in range(CASES):
        height, width = (int(side) for side in random.integers(1, 300, 2))
        channels = int(random.choice([1, 3]))
        before = pixels(random, height, width, channels)
        image = Image.fromarray(before[:, :, 0] if channels == 1 else before)
        columns, rows = int(random.integers(1, width + 1)), int(random.integers(1, height + 1))
        window = [int(random.integers(0, width - columns + 1)), int(random.integers(0, height - rows + 1)), columns, rows]
        mirrored = bool(random.integers(2))
        # Every third has its colours as they are; 0, 1 and 2 are the ends and the middle.
        factors = None if index % 3 == 0 else [float(f) for f in random.choice([0.0, 1.0, 2.0, *random.uniform(0, 2, 9)], 3)]
        interpolation = FILTERS[index % 2]
        after = np.asarray(view(image, window, mirrored, factors, interpolation))
        (folder / f"{index}.before").write_bytes(before.tobytes())
        (folder / f"{index}.after").write_bytes(after.tobytes())
        cases.append({
            "channels": channels, "width": width, "height": height, "window": window, "mirrored": mirrored, "factors": factors,
            "interpolation": interpolation, "size": SIZE, "before": f"{index}.before", "after": f"{index}.after",
        })
    (folder / "cases.json").write_text(json.dumps(cases))


main(Path(sys.argv[1]))
