"""Runs an exported classifier as its file says: `run_onnx.py MODEL IMAGE...` prints JSON with the file's metadata and, for each
image, the probability of each label."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
from PIL import Image


def preprocess(path: str, options: dict) -> np.ndarray:
    """An image as the metadata says, with Pillow and numpy alone."""
    image = Image.open(path).convert("RGB")
    short = options["resize_shorter_side"]
    if short:
        size = tuple(short * side // min(image.size) for side in image.size)
    else:
        size = options["resize_width"], options["resize_height"]
    image = image.resize(size, Image.Resampling[options["interpolation"].upper()])
    height, width = options["crop_height"], options["crop_width"]
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    image = image.crop((left, top, left + width, top + height))
    levels = np.asarray(image, np.float32)
    scaled = {"unit": levels / np.float32(255), "symmetric": levels / np.float32(127.5) - 1, "raw": levels}[options["scale"]]
    pixels = (scaled - np.array(options["mean"], np.float32)) / np.array(options["std"], np.float32)
    if options["channels"] == "bgr":
        pixels = pixels[:, :, ::-1]
    return pixels.transpose(2, 0, 1) if options["layout"] == "nchw" else pixels


def main(path: str, images: list[str]) -> None:
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    labels, options = json.loads(metadata["labels"]), json.loads(metadata["preprocessing"])
    (taken,) = session.get_inputs()
    shapes = {output.name: output.shape for output in session.get_outputs()}
    pixels = np.stack([preprocess(image, options) for image in images])
    # A number in place of a name: that many images at once and no others.
    together = len(images) if isinstance(taken.shape[0], str) else taken.shape[0]
    rows, wrong = [], []
    for start in range(0, len(images), together):
        some = {taken.name: np.ascontiguousarray(pixels[start : start + together])}
        found = dict(zip(shapes, session.run(None, some), strict=True))
        rows.append(found["probabilities"])
        if found["logits"].shape != found["probabilities"].shape or found["embedding"].shape[0] != some[taken.name].shape[0]:
            wrong.append(f"shapes: {[(name, value.shape) for name, value in found.items()]}")
    print(
        json.dumps(
            {
                "metadata": metadata,
                "doc": onnx.load(path).doc_string,
                "shapes": shapes,
                "together": together,
                "wrong": wrong,
                "rows": [dict(zip(labels, map(float, row), strict=True)) for row in np.concatenate(rows)],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
