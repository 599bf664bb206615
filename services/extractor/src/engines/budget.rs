//! The memory that engines may take in all.

use std::sync::Arc;

use metrics::gauge;
use parking_lot::Mutex;

use crate::{backbone::listed::Listed, layout::Layout};

/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;

/// What engines may take, and what they have taken.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    taken: Mutex<Taken>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    bytes: u64,
    engines: u64,
}

/// The share of one engine. Dropping it gives the share back.
#[derive(Debug)]
pub struct Reservation {
    bytes: u64,
    budget: Arc<Budget>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Budget {
        Budget { limit, taken: Mutex::default() }
    }

    /// All of it, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// A share of `bytes`, if so many are left.
    pub fn reserve(budget: &Arc<Budget>, bytes: u64) -> Option<Reservation> {
        let mut taken = budget.taken.lock();
        if bytes > budget.limit.saturating_sub(taken.bytes) {
            return None;
        }
        taken.bytes += bytes;
        taken.engines += 1;
        taken.show();
        drop(taken);
        Some(Reservation { bytes, budget: budget.clone() })
    }
}

/// Says that a backbone can never be loaded: it needs `need` bytes of `limit`.
pub fn too_large(name: &str, need: u64, limit: u64) -> String {
    let (need, limit) = (need.div_ceil(MIB), limit / MIB);
    format!(
        "`{name}` needs about {need} MiB of memory; all backbones together may take {limit} MiB (--backbone-memory-mib)"
    )
}

impl Taken {
    fn show(self) {
        gauge!("graft_extractor_backbones_loaded").set(self.engines as f64);
        gauge!("graft_extractor_backbones_loaded_bytes").set(self.bytes as f64);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut taken = self.budget.taken.lock();
        taken.bytes -= self.bytes;
        taken.engines -= 1;
        taken.show();
    }
}

/// About what the engine of a backbone takes, in bytes: each session has the weights to itself, each lane a batch of
/// `[images, 3, height, width]` f32.
pub fn need(listed: &Listed, layout: &Layout) -> u64 {
    let pixels =
        listed.description.preprocessing.as_ref().map_or(0, |p| u64::from(p.crop_height) * u64::from(p.crop_width));
    listed.model_bytes * layout.sessions() as u64 + pixels * 3 * 4 * layout.images() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_comes_back() {
        let budget = Arc::new(Budget::new(100));
        let first = Budget::reserve(&budget, 60).unwrap();
        assert!(Budget::reserve(&budget, 41).is_none());
        let second = Budget::reserve(&budget, 40).unwrap();
        drop(first);
        assert!(Budget::reserve(&budget, 60).is_some());
        drop(second);
        assert!(Budget::reserve(&budget, 100).is_some());
    }

    #[test]
    fn too_large_says_how_much_and_which_flag() {
        let said = too_large("vgg", 100 * MIB + 1, 64 * MIB);
        assert!(said.contains("vgg") && said.contains("101 MiB") && said.contains("64 MiB"), "{said}");
    }
}
