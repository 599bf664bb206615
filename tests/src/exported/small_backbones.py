"""Writes small networks, of 3 x 32 x 32 pixels to 64 features to 10 classes: `small_backbones.py FOLDER` makes FOLDER/half.onnx (of
float16), FOLDER/int8.onnx (quantised, QDQ), FOLDER/alone.onnx (an image at a time) and FOLDER/outputs.onnx (whose inner tensors are
named as a classifier's outputs are)."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

CHANCE = np.random.default_rng(7)
FILTERS = CHANCE.normal(scale=0.1, size=(64, 3, 32, 32)).astype(np.float32)
CLASSES = CHANCE.normal(size=(64, 10)).astype(np.float32)


def network(path: Path, images: str | int = "batch", number=np.float32, names=("map", "feature"), opset=17) -> None:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(number))
    inner, feature = names
    nodes = [
        helper.make_node("Conv", ["pixels", "filters"], [inner], name="filter"),
        helper.make_node("Relu", [inner], ["above"], name="relu"),
        helper.make_node("Flatten", ["above"], [feature], name="flatten"),
        helper.make_node("MatMul", [feature, "classes"], ["scores"], name="classifier"),
    ]
    if images == 1:
        # A batch dimension that is written into the network.
        shape = numpy_helper.from_array(np.array([1, 64], np.int64), "shape")
        nodes[2] = helper.make_node("Reshape", ["above", "shape"], [feature], name="flatten")
    weights = [numpy_helper.from_array(FILTERS.astype(number), "filters")]
    weights += [numpy_helper.from_array(CLASSES.astype(number), "classes")] + ([shape] if images == 1 else [])
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", kind, [images, 3, 32, 32])],
        [helper.make_tensor_value_info("scores", kind, [images, 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


class Noise(quantization.CalibrationDataReader):
    """Images of nothing, one at a time."""

    def __init__(self):
        self.images = iter(CHANCE.uniform(-1, 1, size=(32, 1, 3, 32, 32)).astype(np.float32))

    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {"pixels": image}


def main(folder: Path) -> None:
    network(folder / "plain.onnx")
    network(folder / "half.onnx", number=np.float16)
    network(folder / "alone.onnx", images=1)
    network(folder / "outputs.onnx", names=("logits", "embedding"), opset=9)
    quantization.quantize_static(
        folder / "plain.onnx",
        folder / "int8.onnx",
        Noise(),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )
    print(json.dumps(["half", "int8", "alone", "outputs"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
