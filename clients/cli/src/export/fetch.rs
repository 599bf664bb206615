//! What an export is made of, from the services.

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use graft_client::{
    Service, export_head,
    heads::HeadFile,
    proto::{BackboneModel, ExportBackboneRequest, Head},
};
use prost::bytes::{Bytes, BytesMut};

use crate::progress::Progress;

/// The largest file that is fetched, in bytes: what an ONNX file can hold.
const MOST_BYTES: u64 = i32::MAX as u64;

/// A head, its report left out, and its safetensors file.
pub async fn head(trainer: &Service, name: String) -> Result<(Head, Bytes)> {
    let HeadFile { head, size, mut pieces } = export_head(trainer, &name).await?;
    let mut file = Received::new("head");
    while let Some(piece) = pieces.try_next().await? {
        file.add(size, &piece)?;
    }
    Ok((head, file.whole()?))
}

/// What the file of a backbone is, and the file.
pub async fn backbone(extractor: &Service, name: String) -> Result<(BackboneModel, Bytes)> {
    let answer = extractor.backbones().export_backbone(ExportBackboneRequest { name }).await;
    let mut parts = answer.map_err(|status| extractor.error(status))?.into_inner();
    let (mut model, mut file) = (None, Received::new("backbone"));
    while let Some(part) = parts.message().await.map_err(|status| extractor.error(status))? {
        let size = part.model.as_ref().map_or(0, |model| model.size);
        model = model.or(part.model);
        file.add(size, &part.data)?;
    }
    let (model, file) = (model.context("the extractor described no backbone")?, file.whole()?);
    let hash = blake3::hash(&file).to_hex();
    ensure!(hash.as_str() == model.hash, "the backbone's file is not what the extractor sent; try again");
    Ok((model, file))
}

/// A file that comes in parts.
struct Received {
    name: &'static str,
    size: u64,
    bytes: BytesMut,
    progress: Progress,
}

impl Received {
    fn new(name: &'static str) -> Received {
        Received { name, size: 0, bytes: BytesMut::new(), progress: Progress::of_bytes(name) }
    }

    /// The next part; the first tells the size of the whole.
    fn add(&mut self, size: u64, part: &[u8]) -> Result<()> {
        self.size = self.size.max(size);
        let there = (self.bytes.len() + part.len()) as u64;
        let most = self.size.min(MOST_BYTES);
        ensure!(there <= most, "the {}'s file is longer than {most} bytes", self.name);
        self.bytes.extend_from_slice(part);
        self.progress.bytes(there, self.size);
        Ok(())
    }

    fn whole(self) -> Result<Bytes> {
        let (there, size) = (self.bytes.len() as u64, self.size);
        ensure!(there == size, "the {}'s file ended after {there} of {size} bytes; try again", self.name);
        Ok(self.bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_as_long_as_was_said() {
        let mut file = Received::new("head");
        file.add(4, b"ab").unwrap();
        file.add(0, b"cd").unwrap();
        assert!(file.add(0, b"e").unwrap_err().to_string().contains("longer than 4"));
        assert_eq!(file.whole().unwrap(), b"abcd"[..]);
        let mut short = Received::new("head");
        short.add(4, b"ab").unwrap();
        assert!(short.whole().unwrap_err().to_string().contains("2 of 4"));
    }
}
