"""JPEGs of 500 x 375 for the benchmarks: `jpegs.py FOLDER COUNT` cuts them at random, but the same each time, from the committed
photos."""

import random
import sys
from pathlib import Path

from PIL import Image

PHOTOS = Path(__file__).parents[3] / "tests/data/reference/images"
SIZE = (500, 375)


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
        crop.save(folder / f"{index:05}.jpg", quality=chance.choice([75, 90]))


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
