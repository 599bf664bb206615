//! The receiving half: messages become replies, and a stream that was lost is opened again for what has none.

use std::{collections::VecDeque, sync::Arc};

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use graft_proto::v1::ItemError;
use tokio::sync::Mutex;
use tonic::{Code, Streaming};

use super::{
    Exchange,
    feed::{Sending, Source, send},
    items::Unsendable,
    window::Window,
};
use crate::{Error, Service, retry::random};

/// One reply for each item, in any order. After an error nothing more comes. Dropping it ends the call.
pub type Replies<T> = BoxStream<'static, Result<T, Error>>;

struct Receiving<E: Exchange> {
    service: Service,
    exchange: E,
    source: Arc<Mutex<Source<E::Item>>>,
    window: Arc<Window<E::Item>>,
    inbound: Streaming<E::Response>,
    sending: Sending,
    /// Read, but not given out yet: those of one message at the most.
    replies: VecDeque<E::Reply>,
    /// Whether anything has come at all. A service that never answered is not lost: it was not there.
    begun: bool,
    /// How often in a row the stream was opened again, and brought nothing.
    vain: u32,
}

/// Send `items` and give the replies. No more is read from `items` than the service takes, and no more than the window holds.
pub async fn exchange<E: Exchange>(
    service: &Service,
    mut exchange: E,
    items: impl Stream<Item = E::Item> + Send + 'static,
) -> Result<(E::Opened, Replies<E::Reply>), Error> {
    let window = Arc::new(Window::new());
    let source = Arc::new(Mutex::new(Source::new(items, exchange.parts(), window.clone())));
    let (messages, sending) = send(&exchange, source.clone());
    let (opened, inbound) = exchange.open(service, messages).await?;
    let receiving = Receiving {
        service: service.clone(),
        exchange,
        source,
        window,
        inbound,
        sending,
        replies: VecDeque::new(),
        begun: false,
        vain: 0,
    };
    let replies = stream::try_unfold(receiving, async |mut receiving| {
        Ok(receiving.next().await?.map(|reply| (reply, receiving)))
    });
    Ok((opened, replies.boxed()))
}

impl<E: Exchange> Receiving<E> {
    async fn next(&mut self) -> Result<Option<E::Reply>, Error> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Ok(Some(reply));
            }
            if let Some(item) = self.window.refused() {
                return Ok(Some(refuse::<E>(item)));
            }
            let message = tokio::select! {
                message = self.inbound.message() => message,
                () = self.window.refusal() => continue,
            };
            match message {
                Ok(Some(message)) => self.take(message)?,
                Ok(None) if self.window.is_done() => return Ok(None),
                Ok(None) => self.resume(self.service.incomplete()).await?,
                Err(status) => match self.service.error(status) {
                    // All that was asked for is there.
                    error if error.is_retryable() && self.window.is_done() => return Ok(None),
                    error => self.resume(error).await?,
                },
            }
        }
    }

    fn take(&mut self, message: E::Response) -> Result<(), Error> {
        (self.begun, self.vain) = (true, 0);
        for reply in self.exchange.read(&self.service, message)? {
            let (id, part) = E::answers(&reply);
            if self.window.answered(id, part) {
                self.replies.push_back(reply);
            }
        }
        Ok(())
    }

    /// The stream was lost by `error`: open it again, if that may help.
    async fn resume(&mut self, mut error: Error) -> Result<(), Error> {
        loop {
            let hopeless = !self.begun || !error.is_retryable() || self.window.left().is_none();
            self.vain += 1;
            let pause = self.service.resume().pause(self.vain, error.retry_after(), random());
            let Some(pause) = pause.filter(|_| !hopeless) else { return Err(error) };
            tokio::time::sleep(pause).await;
            let (messages, sending) = send(&self.exchange, self.source.clone());
            self.sending = sending;
            match self.exchange.open(&self.service, messages).await {
                Ok((_, inbound)) => {
                    self.inbound = inbound;
                    return Ok(());
                }
                Err(again) => error = again,
            }
        }
    }
}

fn refuse<E: Exchange>(item: Unsendable) -> E::Reply {
    let error = ItemError { code: Code::InvalidArgument as i32, field: item.field.into(), message: item.message };
    E::refuse(item.id, error)
}
