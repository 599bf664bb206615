"""The Python side of the benchmark `preprocess`: `preprocess.py FOLDER IMAGES` fills FOLDER with JPEGs of 500 x 375, cut at
random from the committed photos, says `ready`, and for each line that it is sent preprocesses all of them and says how many
seconds that took."""

import io
import random
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOS = Path(__file__).parents[3] / "tests/data/reference/images"
SIZE = (500, 375)
RESIZE, CROP = 256, 224
MEAN = np.array([0.498, 0.498, 0.498], np.float32)
STD = np.array([0.502, 0.502, 0.502], np.float32)


def make(folder, count):
    """Crops of 4 : 3 and of 60 to 100 % of a photo's width or height; Pillow's usual settings, or those of good cameras."""
    chance = random.Random(5)
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.iterdir())]
    for index in range(count):
        photo = photos[index % len(photos)]
        width = int(min(photo.width, photo.height * SIZE[0] / SIZE[1]) * chance.uniform(0.6, 1))
        height = width * SIZE[1] // SIZE[0]
        left, top = chance.randint(0, photo.width - width), chance.randint(0, photo.height - height)
        crop = photo.crop((left, top, left + width, top + height)).resize(SIZE, Image.Resampling.BICUBIC)
        crop.save(folder / f"{index:03}.jpg", quality=chance.choice([75, 90]))


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


main(Path(sys.argv[1]), int(sys.argv[2]))
