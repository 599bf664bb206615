"""Models for the benchmarks: `models.py int8 MODEL JPEGS OUT` quantises MODEL to int8 (static, QDQ, calibrated on the folder JPEGS);
`models.py small OUT` writes a network so small that it hardly costs anything: 3 x 32 x 32 to 64 features to 10 classes."""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from preprocess import preprocess

CALIBRATION = 64


class Photos(quantization.CalibrationDataReader):
    """The preprocessed photos, one at a time."""

    def __init__(self, folder):
        self.files = iter(sorted(folder.iterdir())[:CALIBRATION])

    def get_next(self):
        file = next(self.files, None)
        return None if file is None else {"pixel_values": preprocess(file.read_bytes())[None]}


def int8(model, jpegs, out):
    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        out,
        Photos(jpegs),
        quant_format=quantization.QuantFormat.QDQ,
        # What x86 processors multiply fastest.
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )
    prepared.unlink()


def small(out):
    chance = np.random.default_rng(5)
    weights = {
        "filters": chance.normal(size=(64, 3, 32, 32)).astype(np.float32),
        "classes": chance.normal(size=(64, 10)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "filters"], ["map"], name="filter"),
        helper.make_node("Flatten", ["map"], ["feature"], name="flatten"),
        helper.make_node("MatMul", ["feature", "classes"], ["logits"], name="classifier"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), out)


if __name__ == "__main__":
    kind, *paths = sys.argv[1], *map(Path, sys.argv[2:])
    {"int8": int8, "small": small}[kind](*paths)
