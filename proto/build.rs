//! Compiles the contract without a protoc binary and keeps its descriptor set, comments included.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// The folders of the contract, one a package.
const FOLDERS: [&str; 2] = ["graft/v1", "inference"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in FOLDERS {
        println!("cargo:rerun-if-changed={folder}");
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    files.sort();
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    // protox keeps the comments that prost's own types would drop; the CLI turns them into help.
    fs::write(out.join("graft_descriptor.bin"), compiler.encode_file_descriptor_set())?;

    let descriptors = prost_types_set(&compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .bytes(".")
        // An empty tensor is two bytes on the wire and must not be hundreds in memory.
        .boxed(".inference.ModelInferRequest.InferInputTensor.contents")
        .btree_map(".inference")
        .compile_fds(descriptors)?;
    Ok(())
}

fn prost_types_set(bytes: &[u8]) -> Result<protox::prost_reflect::prost_types::FileDescriptorSet, Box<dyn Error>> {
    Ok(protox::prost_reflect::prost_types::FileDescriptorSet::decode(bytes)?)
}
