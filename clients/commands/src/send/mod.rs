//! What a call sends: one message, or a stream of them from flags, JSON and files.
//!
//! Messages are made on a thread of their own, a few ahead of the connection: however many files there are, and however
//! large the input, memory does not grow with it.
//!
//! # Layout
//! - Here: the plan, and the thread that carries it out. [`parts`]: which flags go into which message. [`each`]: a message
//!   for each file. [`files`]: the files of folders and patterns. [`words`]: `{path}` and the like in texts.

use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Failure, json,
    options::Options,
    request::{self, Given},
    value::source,
};

pub mod each;
pub mod files;
pub mod parts;
pub mod words;

use each::Each;
use parts::Parts;

/// How many messages are made ahead of the connection.
const AHEAD: usize = 4;

/// What a call sends.
#[derive(Debug)]
pub enum Plan {
    /// These messages.
    Messages(Vec<DynamicMessage>),
    /// These messages, then those of a JSON text, with what flags say of each.
    Json(Vec<DynamicMessage>, MessageDescriptor, String, Vec<Given>),
    /// These messages, then those of files.
    Files(Vec<DynamicMessage>, Each),
}

/// The plan for a call with these flags.
///
/// # Errors
/// What cannot be read, or does not go together.
pub fn plan(method: &MethodDescriptor, given: Vec<Given>, options: &Options) -> Result<Plan, String> {
    let input = method.input();
    if !method.is_client_streaming() {
        return one(&input, &given, options).map(|message| Plan::Messages(vec![message]));
    }
    if !options.each.is_empty() {
        let each = Each::new(&input, given, &options.each)?;
        return Ok(Plan::Files(each.first()?, each));
    }
    let parts = Parts::of(&input, given);
    match &options.json {
        Some(text) => Ok(Plan::Json(parts.members()?, input, text.clone(), parts.plain)),
        None => Ok(Plan::Messages(parts.messages()?)),
    }
}

fn one(input: &MessageDescriptor, given: &[Given], options: &Options) -> Result<DynamicMessage, String> {
    let mut message = match &options.json {
        Some(text) => {
            source::text(text).and_then(|text| json::one(input, &text)).map_err(|error| format!("--json: {error}"))?
        }
        None => DynamicMessage::new(input.clone()),
    };
    request::apply(&mut message, given)?;
    Ok(message)
}

/// The messages as they are made, and what kept others from being made.
pub struct Outbound {
    /// The messages.
    pub messages: mpsc::Receiver<DynamicMessage>,
    /// The failure, if there is one. The messages end then too, but are not all.
    pub failure: oneshot::Receiver<Failure>,
}

/// Begin to make the messages.
///
/// # Errors
/// The system has no thread left.
pub fn start(plan: Plan) -> Result<Outbound, Failure> {
    let (to, messages) = mpsc::channel(AHEAD);
    let (failed, failure) = oneshot::channel();
    // A thread rather than a blocking task: one that waits for standard input must not keep the program from ending.
    std::thread::Builder::new()
        .name("messages".to_owned())
        .spawn(move || {
            if let Err(error) = make(plan, &to) {
                // Told before the messages end, so that nobody takes what was sent for all.
                let _ = failed.send(Failure::Input(error));
            }
        })
        .map_err(|error| Failure::Input(format!("no thread: {error}")))?;
    Ok(Outbound { messages, failure })
}

/// Where messages go. `false` says that nobody takes them any more.
type To = mpsc::Sender<DynamicMessage>;

fn make(plan: Plan, to: &To) -> Result<(), String> {
    let first = match &plan {
        Plan::Messages(first) | Plan::Json(first, ..) | Plan::Files(first, _) => first.clone(),
    };
    for message in first {
        if to.blocking_send(message).is_err() {
            return Ok(());
        }
    }
    match plan {
        Plan::Messages(_) => Ok(()),
        Plan::Json(_, input, text, plain) => lines(&input, &text, &plain, to),
        Plan::Files(_, each) => each.send(to),
    }
}

fn lines(input: &MessageDescriptor, text: &str, plain: &[Given], to: &To) -> Result<(), String> {
    let read: Box<dyn std::io::Read> = if text == "-" {
        Box::new(std::io::stdin().lock())
    } else if let Some(path) = text.strip_prefix('@') {
        Box::new(std::fs::File::open(path).map_err(|error| format!("--json: {path}: {error}"))?)
    } else {
        Box::new(std::io::Cursor::new(text.as_bytes().to_vec()))
    };
    let values = serde_json::Deserializer::from_reader(std::io::BufReader::new(read)).into_iter::<serde_json::Value>();
    for (place, value) in values.enumerate() {
        let message = value.map_err(|error| format!("no JSON: {error}")).and_then(|value| json::from(input, value));
        let mut message = message.map_err(|error| format!("--json: message {}: {error}", place + 1))?;
        request::apply(&mut message, plain)?;
        if to.blocking_send(message).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
