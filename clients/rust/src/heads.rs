//! Heads as files: out, and in from elsewhere.

use std::io::{self, Write};

use futures::{Stream, StreamExt};
use graft_proto::v1::{ExportHeadRequest, ExportHeadResponse, Head, ImportHeadOptions, ImportHeadRequest};
use prost::bytes::Bytes;
use tonic::Streaming;

use crate::{Error, Replies, Service};

/// The largest piece of a file in a message, in bytes.
const PIECE: usize = 1 << 20;

/// The file of a head.
pub struct HeadFile {
    /// The head, its report left out.
    pub head: Head,
    /// Bytes of the whole file.
    pub size: u64,
    /// The file, a piece after the other. It is an error if it is shorter or longer than `size`.
    pub pieces: Replies<Bytes>,
}

/// Get a version of a head, NAME or NAME@VERSION, as a safetensors file, which [`import_head`] takes.
///
/// # Errors
/// The service's refusal, or [`Error::Unreachable`], here or later among the pieces.
pub async fn export_head(trainer: &Service, name: &str) -> Result<HeadFile, Error> {
    let answer = trainer.heads().export_head(ExportHeadRequest { name: name.to_owned() }).await;
    let mut inbound = answer.map_err(|status| trainer.error(status))?.into_inner();
    let first = inbound.message().await.map_err(|status| trainer.error(status))?;
    let ExportHeadResponse { head, size, data } = first.ok_or_else(|| trainer.incomplete())?;
    let head = head.ok_or_else(|| trainer.malformed("the first message does not describe the head"))?;
    let receiving = Receiving { trainer: trainer.clone(), inbound, first: Some(data), left: size };
    let pieces = futures::stream::try_unfold(receiving, async |mut receiving| {
        Ok(receiving.next().await?.map(|piece| (piece, receiving)))
    });
    Ok(HeadFile { head, size, pieces: pieces.boxed() })
}

struct Receiving {
    trainer: Service,
    inbound: Streaming<ExportHeadResponse>,
    first: Option<Bytes>,
    /// Bytes that are still to come.
    left: u64,
}

impl Receiving {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = match self.first.take() {
            Some(piece) => piece,
            None => match self.inbound.message().await.map_err(|status| self.trainer.error(status))? {
                Some(message) => message.data,
                None if self.left == 0 => return Ok(None),
                None => return Err(self.trainer.incomplete()),
            },
        };
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| self.trainer.malformed("the head's file is longer than it said"))?;
        Ok(Some(piece))
    }
}

impl HeadFile {
    /// Write all of it.
    ///
    /// # Errors
    /// Those of the pieces, and of `file`.
    pub async fn write_to(mut self, file: &mut impl Write) -> Result<Head, io::Error> {
        while let Some(piece) = self.pieces.next().await {
            file.write_all(&piece.map_err(io::Error::other)?)?;
        }
        Ok(self.head)
    }
}

/// Register a head that was fitted elsewhere, or exported: `pieces` are a safetensors file, of any sizes. Nothing is sent
/// before the service takes it.
///
/// It is not done again when the connection is lost: a version that was registered, and whose answer was lost, would be
/// registered twice.
///
/// # Errors
/// The service's refusal, or [`Error::Unreachable`].
pub async fn import_head(
    trainer: &Service,
    options: ImportHeadOptions,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Head, Error> {
    let first = ImportHeadRequest { options: Some(options), data: Bytes::new() };
    let rest = pieces.flat_map(|piece| futures::stream::iter(parts(piece)));
    let rest = rest.map(|data| ImportHeadRequest { options: None, data });
    let messages = futures::stream::iter([first]).chain(rest);
    let answer = trainer.heads().import_head(messages).await;
    let head = answer.map_err(|status| trainer.error(status))?.into_inner().head;
    head.ok_or_else(|| trainer.malformed("no head"))
}

/// A piece in parts that each fit a message.
fn parts(piece: Bytes) -> impl Iterator<Item = Bytes> + Send {
    (0..piece.len()).step_by(PIECE).map(move |start| piece.slice(start..piece.len().min(start + PIECE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_cut_into_parts_that_fit() {
        let piece: Bytes = vec![7; 2 * PIECE + 3].into();
        let sizes: Vec<usize> = parts(piece.clone()).map(|part| part.len()).collect();
        assert_eq!(sizes, [PIECE, PIECE, 3]);
        assert_eq!(parts(piece.slice(..5)).next(), Some(piece.slice(..5)));
        assert_eq!(parts(Bytes::new()).count(), 0);
    }
}
