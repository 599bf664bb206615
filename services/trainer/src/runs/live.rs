//! The run that is fitted here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use graft_proto::v1::{TrainingRun, TrainingState};
use tokio::sync::watch;

use crate::{
    names::Tenant,
    store::leases::{Lease, Taken},
};

/// A run that is being fitted by this process.
#[derive(Clone, Debug)]
pub struct Live {
    /// Whose it is.
    pub tenant: Tenant,
    /// The right to fit it.
    pub lease: Lease,
    /// How it stands, for whoever watches.
    pub state: Arc<watch::Sender<TrainingRun>>,
    /// Set to stop it: a person wants it.
    cancelled: Arc<AtomicBool>,
    /// Set to stop it: another replica fits it.
    lost: Arc<AtomicBool>,
}

impl Live {
    /// A run that was taken, at its beginning.
    pub fn new(taken: Taken) -> Live {
        let mut run = taken.run;
        run.set_state(TrainingState::Running);
        run.progress = Some(Default::default());
        Live {
            tenant: taken.tenant,
            lease: taken.lease,
            state: Arc::new(watch::Sender::new(run)),
            cancelled: Arc::new(taken.cancelled.into()),
            lost: Arc::default(),
        }
    }

    /// The run as it stands.
    pub fn run(&self) -> TrainingRun {
        self.state.borrow().clone()
    }

    /// Whether it is the run `id` of `tenant`.
    pub fn is(&self, tenant: &Tenant, id: &str) -> bool {
        self.tenant == *tenant && self.lease.run == id
    }

    /// Stop it: a person wants it.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether a person wants it to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Stop it: another replica fits it.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Whether another replica fits it.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}
