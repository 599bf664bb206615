//! Bars on a terminal, for work that takes longer than a second; nothing in a pipe.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows no bar.
const SOON: Duration = Duration::from_secs(1);

/// A bar that appears when its work has taken a second.
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
}

impl Progress {
    /// A bar for `total` pieces of work; without a total, a count.
    pub fn new(total: Option<u64>) -> Progress {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{msg} {bar:30} {pos}/{len} {per_sec} {eta} left",
            None => "{msg} {pos} {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, begun: Instant::now(), shown: false }
    }

    /// So many pieces are done.
    pub fn at(&mut self, done: u64, message: &str) {
        if !self.shown && self.begun.elapsed() > SOON && stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
        self.bar.set_position(done);
        if self.bar.message() != message {
            self.bar.set_message(message.to_owned());
        }
    }

    /// Remove the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
