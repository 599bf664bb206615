//! Compiles the schema of ONNX files, without a protoc binary.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=onnx.proto");
    let schema = protox::compile(["onnx.proto"], ["."])?;
    // Weights stay slices of the file that was read.
    prost_build::Config::new().bytes(["."]).compile_fds(schema)?;
    Ok(())
}
