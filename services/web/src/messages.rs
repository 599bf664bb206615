//! The messages of a body, read one by one: no more is kept than the one that is being read.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::timeout;
use tonic::{Code, body::Body};

use crate::{form::Form, refusal::Refusal};

/// How long the next bytes of a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What stands before a message in an envelope: its flags, and its length in big-endian order.
const ENVELOPE: usize = 5;

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// In JSON.
    pub(crate) json: Bytes,
    /// Where the body has a message a line: which line it is, from 1.
    pub(crate) line: Option<u64>,
}

/// The messages of a body.
#[derive(Debug)]
pub(crate) struct Messages {
    body: Body,
    form: Form,
    /// The most bytes of a message.
    limit: usize,
    /// What has come of the next message.
    buffer: BytesMut,
    /// Bytes of the buffer in which there is no end of a line.
    searched: usize,
    lines: u64,
    ended: bool,
    /// Whether the whole document was given out.
    done: bool,
}

impl Messages {
    /// Of `body`, in `form`, each of at most `limit` bytes.
    pub(crate) fn new(body: Body, form: Form, limit: usize) -> Messages {
        Messages { body, form, limit, buffer: BytesMut::new(), searched: 0, lines: 0, ended: false, done: false }
    }

    /// The next message; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Text>, Refusal> {
        match self.form {
            Form::Document => self.document().await,
            Form::Lines => self.line().await,
            Form::Envelopes => self.envelope().await,
        }
    }

    /// The only message.
    pub(crate) async fn only(&mut self) -> Result<Text, Refusal> {
        let one = || Refusal::invalid("the method takes exactly one message");
        let first = self.next().await?.ok_or_else(one)?;
        if self.next().await?.is_some() { Err(one()) } else { Ok(first) }
    }

    async fn document(&mut self) -> Result<Option<Text>, Refusal> {
        if self.done {
            return Ok(None);
        }
        while self.more(true).await? {
            self.bounded(self.buffer.len())?;
        }
        self.done = true;
        Ok(Some(Text { json: self.buffer.split().freeze(), line: None }))
    }

    async fn line(&mut self) -> Result<Option<Text>, Refusal> {
        loop {
            let line = match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let line = self.buffer.split_to(self.searched + end);
                    self.buffer.advance(1);
                    line
                }
                None if self.ended && self.buffer.is_empty() => return Ok(None),
                None if self.ended => self.buffer.split(),
                None => {
                    self.searched = self.buffer.len();
                    self.bounded(self.searched)?;
                    self.more(self.searched > 0).await?;
                    continue;
                }
            };
            self.searched = 0;
            self.lines += 1;
            self.bounded(line.len())?;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Text { json: line.freeze(), line: Some(self.lines) }));
            }
        }
    }

    async fn envelope(&mut self) -> Result<Option<Text>, Refusal> {
        loop {
            if let Some((head, rest)) = self.buffer.split_first_chunk::<ENVELOPE>() {
                let [flags, length @ ..] = *head;
                if flags != 0 {
                    let message = format!("an envelope has the flags {flags}; 0 is accepted: an uncompressed message");
                    return Err(Refusal::invalid(message));
                }
                let length = u32::from_be_bytes(length) as usize;
                self.bounded(length)?;
                if rest.len() >= length {
                    self.buffer.advance(ENVELOPE);
                    return Ok(Some(Text { json: self.buffer.split_to(length).freeze(), line: None }));
                }
            }
            if self.ended && self.buffer.is_empty() {
                return Ok(None);
            }
            if self.ended {
                return Err(Refusal::invalid("the body ends within an envelope"));
            }
            self.more(!self.buffer.is_empty()).await?;
        }
    }

    /// Wait for more bytes, not for ever if a message has `begun`. False if there are none: the body has ended.
    async fn more(&mut self, begun: bool) -> Result<bool, Refusal> {
        let frame = self.body.frame();
        let frame = if begun {
            timeout(PATIENCE, frame).await.map_err(|_| {
                let message = format!("the rest of the message did not come within {} s", PATIENCE.as_secs());
                Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message)
            })?
        } else {
            frame.await
        };
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.buffer.extend_from_slice(&data);
                }
                Ok(true)
            }
            Some(Err(status)) => Err(status.into()),
            None => {
                self.ended = true;
                Ok(false)
            }
        }
    }

    fn bounded(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= self.limit { Ok(()) } else { Err(too_large(self.limit)) }
    }
}

/// A message is larger than may be.
pub(crate) fn too_large(limit: usize) -> Refusal {
    let message = format!("a message has more than {limit} bytes in JSON; {limit} are accepted");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, message)
}
