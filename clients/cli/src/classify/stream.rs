//! Inputs to the trainer and lines back: read in a thread of its own, many on their way at once, few in memory.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use graft_client::{
    Graft,
    classify::{Classified, classify_many},
    proto::{ClassifyInput, ClassifyItem, ClassifyOptions, classify_input},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
    task::spawn_blocking,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    input::{Input, Inputs, Origin},
    line::{Order, Waiting},
    show::Show,
};
use crate::progress::Progress;

/// Inputs that may have been read without that their line is written. Answers come in any order, and lines wait for those before them.
const WINDOW: usize = 1024;
/// Images read ahead of the wire.
const AHEAD: usize = 16;

/// Classify what `origin` gives, and show each line. Whether all were classified.
pub async fn classify(graft: &Graft, options: ClassifyOptions, origin: Origin, mut show: Show) -> Result<bool> {
    let whole = lines(graft, options, origin, &mut show).await;
    // What is known is shown, also when the rest is lost.
    if whole.is_ok() || show.has_lines() {
        show.end()?;
    }
    whole
}

async fn lines(graft: &Graft, options: ClassifyOptions, origin: Origin, show: &mut Show) -> Result<bool> {
    let mut progress = Progress::new(None, "classifying");
    let inputs = origin.open()?;
    if progress.is_shown() {
        progress.count(move || origin.count());
    }
    let (items, receiver) = mpsc::channel(AHEAD);
    let (told, mut inputs_told) = mpsc::channel(WINDOW);
    let room = Arc::new(Semaphore::new(WINDOW));
    let mut replies = classify_many(&graft.trainer, options, ReceiverStream::new(receiver)).await?;
    let reader = Reader { items, told, room: room.clone() };
    let reading = spawn_blocking(move || reader.run(inputs, &Handle::current()));
    let (mut order, mut whole, mut answered) = (Order::default(), true, false);
    while !answered {
        tokio::select! {
            Some(waiting) = inputs_told.recv() => order.push(waiting),
            reply = replies.try_next() => match reply? {
                Some(Classified { id, result }) => {
                    // It was told of before it was sent.
                    while let Ok(waiting) = inputs_told.try_recv() {
                        order.push(waiting);
                    }
                    order.answer(&id, result.map_err(|error| error.message))?;
                }
                None => {
                    while let Some(waiting) = inputs_told.recv().await {
                        order.push(waiting);
                    }
                    answered = true;
                }
            },
        }
        while let Some(line) = order.take_next() {
            whole &= line.is_whole();
            show.line(&line)?;
            progress.advance();
            room.add_permits(1);
        }
        progress.aside(|| show.flush())?;
    }
    progress.clear();
    reading.await.context("reading the inputs broke down")?;
    Ok(whole)
}

/// What reads inputs, as far ahead as there is room.
struct Reader {
    items: mpsc::Sender<ClassifyItem>,
    told: mpsc::Sender<Waiting>,
    /// A permit for each input whose line is not written.
    room: Arc<Semaphore>,
}

impl Reader {
    /// Read all, or until nobody listens any more: then the call says why.
    fn run(self, mut inputs: Inputs, runtime: &Handle) {
        for number in 0u64.. {
            let Ok(permit) = runtime.block_on(self.room.acquire()) else { return };
            permit.forget();
            let Some(Input { name: input, label, image }) = inputs.next() else { return };
            let (image, result) = match image {
                Ok(image) => (Some(image), None),
                Err(reason) => (None, Some(Err(reason))),
            };
            if self.told.blocking_send(Waiting { input, label, result }).is_err() {
                return;
            }
            let Some(image) = image else { continue };
            let input = Some(ClassifyInput { input: Some(classify_input::Input::Image(image)) });
            let item = ClassifyItem { id: number.to_string(), input, ..Default::default() };
            if self.items.blocking_send(item).is_err() {
                return;
            }
        }
    }
}
