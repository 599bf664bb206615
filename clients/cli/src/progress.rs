//! Bars on a terminal, for work that takes longer than a second; nothing in a pipe.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::say;

/// Work shorter than this shows no bar.
const SOON: Duration = Duration::from_secs(1);
/// How often a bar is drawn anew while nothing happens, so that it is seen to live.
const TICK: Duration = Duration::from_millis(200);
/// Parts of a whole that a bar can tell apart.
const PARTS: u64 = 1000;
/// What a bar of countable pieces looks like.
const OF_MANY: &str = "{msg} {bar:30} {pos}/{len} {per_sec} {eta} left";

/// A bar that appears when its work has taken a second, whether or not a piece of it is done by then.
pub struct Progress {
    bar: ProgressBar,
    /// Shows the bar after a second; ends with the work.
    shows: Option<tokio::task::JoinHandle<()>>,
}

impl Progress {
    /// A bar for `total` pieces of work; without a total, a count.
    pub fn new(total: Option<u64>, message: &'static str) -> Progress {
        match total {
            Some(total) => {
                start(ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()), OF_MANY, message)
            }
            None => start(
                ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
                "{msg} {pos} {per_sec} {elapsed}",
                message,
            ),
        }
    }

    /// A bar for work whose done part is known as a number from 0 to 1.
    pub fn of_whole(message: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(PARTS), ProgressDrawTarget::hidden());
        start(bar, "{msg} {bar:30} {percent}% {elapsed}", message)
    }

    /// A bar for a download; how long it is shows when it has begun.
    pub fn of_bytes(message: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        start(bar, "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left", message)
    }

    /// So many bytes of so many are there.
    pub fn bytes(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Whether there is anybody to see it.
    pub fn is_shown(&self) -> bool {
        self.shows.is_some()
    }

    /// How many pieces of work there are is found out meanwhile, by `count`.
    pub fn count(&mut self, count: impl FnOnce() -> Option<u64> + Send + 'static) {
        let bar = self.bar.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(total) = count() {
                bar.set_length(total);
                style(&bar, OF_MANY);
            }
        });
    }

    /// Write something without the bar in its way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.is_shown() { self.bar.suspend(write) } else { write() }
    }

    /// One more piece is done.
    pub fn advance(&mut self) {
        self.bar.inc(1);
    }

    /// This part of the whole is done, 0 to 1, and this is what is being done now.
    pub fn at(&mut self, part: f64, message: &str) {
        self.bar.set_position((part.clamp(0.0, 1.0) * PARTS as f64) as u64);
        if self.bar.message() != message {
            self.bar.set_message(message.to_owned());
        }
    }

    /// Remove the bar.
    pub fn clear(&self) {
        if let Some(shows) = &self.shows {
            shows.abort();
        }
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

fn start(bar: ProgressBar, template: &str, message: &'static str) -> Progress {
    style(&bar, template);
    bar.set_message(message);
    let shows = (stderr().is_terminal() && !say::is_quiet()).then(|| tokio::spawn(show_soon(bar.clone())));
    Progress { bar, shows }
}

async fn show_soon(bar: ProgressBar) {
    tokio::time::sleep(SOON).await;
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(TICK);
}
