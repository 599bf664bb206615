//! Which runs have lost the replica that fitted them.
//!
//! A replica that fits a run counts its beat up every [`BEAT`]. A beat that has been looked at for [`LEASE`] and stood still all
//! the time is that of a replica that is dead, or as good as dead. Only this process's monotonic clock is asked.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::store::leases::Beat;

/// How often a replica that fits a run says so.
pub const BEAT: Duration = Duration::from_secs(1);
/// How long a run's beat stands still before another replica takes the run over. A replica that is merely busy, or waits for a
/// database that is restarted, has beaten by then.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often the others are looked at.
pub const LOOK: Duration = Duration::from_secs(1);
/// A longer pause between two looks is time in which beats were not seen: nothing follows from it.
const BLIND: Duration = Duration::from_secs(3);

/// What was seen of the runs of other replicas.
#[derive(Debug, Default)]
pub struct Vigil {
    /// What was seen last of each run, and since when it has been so.
    seen: HashMap<String, (Beat, Instant)>,
    looked: Option<Instant>,
}

impl Vigil {
    /// Look at all runs that are fitted at the moment `now`. Gives back those whose replica is gone.
    pub fn look(&mut self, fitted: Vec<Beat>, now: Instant) -> Vec<Beat> {
        if self.looked.is_none_or(|before| now.saturating_duration_since(before) > BLIND) {
            self.seen.clear();
        }
        self.looked = Some(now);
        let mut before = std::mem::take(&mut self.seen);
        let mut gone = Vec::new();
        for beat in fitted {
            let since = match before.remove(&beat.run) {
                Some((same, since)) if same == beat => since,
                _ => now,
            };
            if now.saturating_duration_since(since) >= LEASE {
                gone.push(beat.clone());
            }
            self.seen.insert(beat.run.clone(), (beat, since));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(run: &str, lease: i64, beat: i64) -> Beat {
        Beat { run: run.into(), lease, beat }
    }

    /// Look every second at what `fitted` says, and give back when something was found to be gone, in seconds.
    fn watch(seconds: u64, fitted: impl Fn(u64) -> Option<Vec<Beat>>) -> Vec<(u64, String)> {
        let (mut vigil, begun) = (Vigil::default(), Instant::now());
        let mut found = Vec::new();
        for second in 0..seconds {
            let Some(fitted) = fitted(second) else { continue };
            let gone = vigil.look(fitted, begun + Duration::from_secs(second));
            found.extend(gone.into_iter().map(|beat| (second, beat.run)));
        }
        found
    }

    #[test]
    fn a_beat_that_stands_still_is_found_and_one_that_moves_is_not() {
        let found = watch(13, |second| Some(vec![beat("dead", 1, 7), beat("alive", 2, second as i64 / 5)]));
        assert_eq!(found, [(10, "dead".into()), (11, "dead".into()), (12, "dead".into())]);
    }

    #[test]
    fn a_run_that_was_taken_anew_begins_anew() {
        assert!(watch(18, |second| Some(vec![beat("run", second as i64 / 9, 0)])).is_empty());
    }

    #[test]
    fn nothing_follows_from_a_time_in_which_nobody_looked() {
        let outage = |second: u64| (!(5..60).contains(&second)).then(|| vec![beat("run", 1, 3)]);
        let found = watch(75, outage);
        assert_eq!(found.first(), Some(&(70, "run".into())), "{found:?}");
    }
}
