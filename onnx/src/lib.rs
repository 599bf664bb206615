//! The schema of ONNX files: the messages of `onnx.proto`. Weights are slices of the file that was read.

#![allow(clippy::all)]

include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
