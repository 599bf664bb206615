//! The runs that have not ended. Each change of a run's standing is one step under one lock.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use graft_proto::v1::{TrainingRun, TrainingState};
use metrics::gauge;
use tokio::sync::watch;

use crate::names::Tenant;

/// The runs that wait or are being fitted, oldest first: ids are in the order of creation.
#[derive(Debug, Default)]
pub struct Table {
    runs: BTreeMap<String, Live>,
}

/// A run that has not ended.
#[derive(Clone, Debug)]
pub struct Live {
    /// Whose it is.
    pub tenant: Tenant,
    /// How it stands, for whoever watches.
    pub state: Arc<watch::Sender<TrainingRun>>,
    /// Set to stop it.
    cancelled: Arc<AtomicBool>,
}

/// What cancelling a run came to.
#[derive(Debug)]
pub enum Cancelled {
    /// It was waiting and will not be begun: it is for the caller to end it.
    Waiting(Live),
    /// It is being fitted and will stop soon.
    Running(watch::Receiver<TrainingRun>),
}

impl Live {
    /// A run that waits, or waits again.
    pub fn new(tenant: Tenant, mut run: TrainingRun) -> Live {
        run.set_state(TrainingState::Queued);
        Live { tenant, state: Arc::new(watch::Sender::new(run)), cancelled: Arc::default() }
    }

    /// The run as it stands.
    pub fn run(&self) -> TrainingRun {
        self.state.borrow().clone()
    }

    /// Whether it is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    fn waits(&self) -> bool {
        self.state.borrow().state() == TrainingState::Queued && !self.is_cancelled()
    }
}

impl Table {
    /// Add a run that waits.
    pub fn insert(&mut self, live: Live) {
        let id = live.state.borrow().id.clone();
        self.runs.insert(id, live);
        self.tell();
    }

    /// Begin the oldest run that waits.
    pub fn begin(&mut self) -> Option<Live> {
        let live = self.runs.values().find(|live| live.waits())?;
        live.state.send_modify(|run| run.set_state(TrainingState::Running));
        let begun = live.clone();
        self.tell();
        Some(begun)
    }

    /// Runs that wait.
    pub fn waiting(&self) -> usize {
        self.runs.values().filter(|live| live.waits()).count()
    }

    /// Stop a run; `None` if it has ended, or is another tenant's.
    pub fn cancel(&mut self, tenant: &Tenant, id: &str) -> Option<Cancelled> {
        let live = self.get(tenant, id)?;
        let waited = live.waits();
        live.cancelled.store(true, Ordering::Release);
        Some(if waited { Cancelled::Waiting(live.clone()) } else { Cancelled::Running(live.state.subscribe()) })
    }

    /// A run that has not ended; `None` also if it is another tenant's.
    pub fn get(&self, tenant: &Tenant, id: &str) -> Option<&Live> {
        self.runs.get(id).filter(|live| live.tenant == *tenant)
    }

    /// Let a run go that has ended.
    pub fn remove(&mut self, id: &str) {
        self.runs.remove(id);
        self.tell();
    }

    fn tell(&self) {
        gauge!("graft_trainer_runs_waiting").set(self.waiting() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(ids: &[&str]) -> Table {
        let mut table = Table::default();
        for id in ids {
            table.insert(Live::new(Tenant::default(), TrainingRun { id: (*id).into(), ..Default::default() }));
        }
        table
    }

    #[test]
    fn the_oldest_is_begun_first_and_each_once() {
        let mut table = table(&["2", "1", "3"]);
        let begun: Vec<String> = std::iter::from_fn(|| table.begin()).map(|live| live.run().id).collect();
        assert_eq!(begun, ["1", "2", "3"]);
    }

    #[test]
    fn what_is_cancelled_while_it_waits_is_never_begun() {
        let (mut table, tenant) = (table(&["1", "2"]), Tenant::default());
        assert!(matches!(table.cancel(&tenant, "1"), Some(Cancelled::Waiting(_))));
        let running = table.begin().unwrap();
        assert_eq!(running.run().id, "2");
        assert!(!running.is_cancelled());
        assert!(matches!(table.cancel(&tenant, "2"), Some(Cancelled::Running(_))));
        assert!(running.is_cancelled() && table.begin().is_none());
        table.remove("2");
        assert!(table.cancel(&tenant, "2").is_none());
    }

    #[test]
    fn a_run_is_its_tenants_alone() {
        let (mut table, other) = (table(&["1"]), Tenant::stored("other".into()));
        assert!(table.get(&other, "1").is_none() && table.cancel(&other, "1").is_none());
        assert!(table.get(&Tenant::default(), "1").is_some());
    }
}
