"""The peer of the benchmark `extract-peer`: LitServe with Pillow and ONNX Runtime, batching on.

`litserve_server.py MODEL PORT WORKERS THREADS BATCH` answers each POST of {"image": base64 of a JPEG} to /predict with the model's output, packed
float32. WORKERS are processes with a session of THREADS threads each; a worker waits at most 5 ms for a batch to fill.
"""

import base64
import sys

import litserve
import numpy as np
import onnxruntime
from fastapi import Response

from preprocess import preprocess


class Embed(litserve.LitAPI):
    """One worker: a session of its own."""

    def __init__(self, model, threads, batch):
        super().__init__(max_batch_size=batch, batch_timeout=0.005)
        self.model, self.threads = model, threads

    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def decode_request(self, request):
        return preprocess(base64.b64decode(request["image"]))

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pixels):
        if pixels.ndim == 3:
            pixels = pixels[None]
        return self.session.run(None, {self.input: pixels})[0]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return Response(np.ascontiguousarray(output, np.float32).tobytes(), media_type="application/octet-stream")


def main(model, port, workers, threads, batch):
    server = litserve.LitServer(Embed(model, threads, batch), accelerator="cpu", workers_per_device=workers, timeout=60)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="error")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
