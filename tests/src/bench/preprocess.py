"""The Python side of the benchmark `preprocess`: `preprocess.py FOLDER IMAGES` fills FOLDER with JPEGs of 500 x 375, cut at
random from the committed photos, says `ready`, and for each line that it is sent preprocesses all of them and says how many
seconds that took."""

import io
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from jpegs import make

RESIZE, CROP = 256, 224
MEAN = np.array([0.498, 0.498, 0.498], np.float32)
STD = np.array([0.502, 0.502, 0.502], np.float32)


def preprocess(file):
    """What torchvision's Resize, CenterCrop, ToTensor and Normalize do, with Pillow and numpy alone."""
    image = Image.open(io.BytesIO(file)).convert("RGB")
    short = min(image.size)
    width, height = (RESIZE * side // short for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - CROP) / 2), round((height - CROP) / 2)
    image = image.crop((left, top, left + CROP, top + CROP))
    pixels = np.asarray(image, np.float32) / np.float32(255)
    pixels = (pixels - MEAN) / STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def main(folder, count):
    make(folder, count)
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        for file in files:
            preprocess(file)
        print(time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
