//! Ctrl-C and SIGTERM: what was begun is dropped, which removes files that are not whole, and the exit code says what it was.

use std::{fmt, future::Future};

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// A command that was told to end before it had done its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// 128 and the number of the signal, as shells have it.
    pub code: u8,
    /// What became of the work.
    pub note: String,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted")?;
        if self.note.is_empty() { Ok(()) } else { write!(f, "; {}", self.note) }
    }
}

impl std::error::Error for Interrupted {}

impl Interrupted {
    /// The same, with what became of the work.
    pub fn and(self, note: impl Into<String>) -> Interrupted {
        Interrupted { note: note.into(), ..self }
    }
}

/// Wait for Ctrl-C or SIGTERM.
pub async fn interrupted() -> Interrupted {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        // The system's own way is left: it ends the process.
        return std::future::pending().await;
    };
    let code = tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    Interrupted { code, note: String::new() }
}

/// Do `work` unless a signal comes first: then it is dropped, and `note` says what became of it. Work that has been done when the
/// signal comes, or that ends by the same signal, has the last word.
pub async fn unless_interrupted<T>(note: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        signal = interrupted() => Err(signal.and(note).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_became_of_the_work() {
        let bare = Interrupted { code: 130, note: String::new() };
        assert_eq!(bare.to_string(), "interrupted");
        assert_eq!(bare.and("nothing was written").to_string(), "interrupted; nothing was written");
    }

    #[tokio::test]
    async fn what_is_done_is_not_interrupted() {
        assert_eq!(unless_interrupted("", async { Ok(7) }).await.unwrap(), 7);
    }
}
