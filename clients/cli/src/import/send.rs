//! From a reader to the trainer: read in a thread of its own, fetched where need be, sent, and every outcome told.

use std::{iter::Peekable, sync::Arc};

use anyhow::{Context, Result};
use futures::{Stream, StreamExt, TryStreamExt};
use graft_client::{
    Graft, import,
    proto::{Example, Image, ImportOptions, image::Source},
};
use graft_pull::{fetch::Fetcher, place::environment};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    piece::{Found, MOST_BYTES, Piece, Reader, Rejected},
    tally::Tally,
};
use crate::{
    interrupt::{Interrupted, interrupted},
    progress::Progress,
    say,
};

/// What is said where a reader failed in a way that nobody thought of.
pub const BROKE_DOWN: &str = "reading the input broke down; it may be damaged";
/// Examples read ahead of the wire.
const AHEAD: usize = 16;
/// Images that are fetched at once.
const FETCHES: usize = 16;

/// Import all that `reader` gives.
pub async fn send(
    graft: &Graft,
    options: ImportOptions,
    reader: Peekable<Reader>,
    total: Option<u64>,
    tally: &mut Tally,
) -> Result<()> {
    let mut progress = Progress::new(total, "importing");
    let (pieces, receiver) = mpsc::channel(AHEAD);
    let (bad, mut rejects) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        for piece in reader {
            // The call is over: it says why.
            if pieces.blocking_send(piece).is_err() {
                break;
            }
        }
    });
    let examples = examples(ReceiverStream::new(receiver), bad);
    let done = async {
        let mut outcomes = import(&graft.trainer, options, examples).await?;
        let mut signal = std::pin::pin!(interrupted());
        loop {
            tokio::select! {
                signal = &mut signal => return Err(signal.into()),
                Some(bad) = rejects.recv() => tally.reject(bad)?,
                outcome = outcomes.try_next() => match outcome? {
                    Some(outcome) => tally.add(outcome)?,
                    None => break,
                },
            }
            progress.advance();
        }
        // What was bad at the very end is told after the last outcome.
        while let Some(bad) = rejects.recv().await {
            tally.reject(bad)?;
        }
        anyhow::Ok(())
    };
    let done = done.await;
    progress.clear();
    if let Err(error) = done {
        return Err(broken_off(error, tally));
    }
    reading.await.context(BROKE_DOWN)?;
    tally.finish()
}

/// An import that broke off: what is stored, and how to go on.
fn broken_off(error: anyhow::Error, tally: &Tally) -> anyhow::Error {
    let note = format!(
        "{} examples are stored for certain; the same command again goes on, and what is stored is not sent to a backbone again",
        tally.stored + tally.known
    );
    match error.downcast::<Interrupted>() {
        Ok(signal) => signal.and(note).into(),
        Err(error) => {
            // What was refused is refused again.
            if error.downcast_ref::<graft_client::Error>().is_some_and(graft_client::Error::is_unreachable) {
                say::note(note);
            }
            error
        }
    }
}

/// The examples with their images, in their order; what is none goes to `bad`.
fn examples(
    pieces: impl Stream<Item = Found> + Send + 'static,
    bad: mpsc::Sender<Rejected>,
) -> impl Stream<Item = Example> + Send + 'static {
    let fetcher = Arc::new(Fetcher::new(environment(), MOST_BYTES));
    pieces
        .map(move |piece| {
            let fetcher = fetcher.clone();
            async move { fetch(&fetcher, piece?).await }
        })
        .buffered(FETCHES)
        .filter_map(move |found| {
            let bad = bad.clone();
            async move {
                match found {
                    Ok(example) => Some(example),
                    Err(rejected) => {
                        // Nobody listens once the import has broken off.
                        let _ = bad.send(rejected).await;
                        None
                    }
                }
            }
        })
}

async fn fetch(fetcher: &Fetcher, piece: Piece) -> Result<Example, Rejected> {
    match piece {
        Piece::Here(example) => Ok(example),
        Piece::There(example, source) => match fetcher.fetch(&source).await {
            Ok(bytes) => Ok(Example { image: Some(Image { source: Some(Source::Encoded(bytes)) }), ..example }),
            Err(error) => Err(Rejected::new(example.id, error)),
        },
    }
}
