//! The extractors that there are.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use graft_chassis::status;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tonic::{Code, Status};

use super::{
    TRY,
    endpoints::{Endpoint, EndpointError, follow},
    member::Member,
};

/// Addresses of one name that are used, at the most.
const MOST_ADDRESSES: usize = 256;
/// Endpoints that a status tells of one by one: what carries it is small.
const TOLD: usize = 8;

/// The extractors of all endpoints.
#[derive(Debug)]
pub struct Pool {
    endpoints: Vec<Endpoint>,
    members: Mutex<Members>,
    /// Told whenever an extractor comes, is found, is lost or goes.
    changes: watch::Sender<()>,
    /// Counts up, so that those with as much to do take turns.
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Members {
    all: Vec<Arc<Member>>,
    /// Why the name of each endpoint was not found, where it was not.
    not_found: Vec<Option<String>>,
}

/// An extractor that did not take what was asked, and what it said.
pub type Refusal = (Arc<Member>, Status);

impl Pool {
    /// The extractors at `endpoints`, whose names are looked up now and `every` so often.
    ///
    /// # Errors
    /// An endpoint that cannot be connected to, whoever listens there.
    pub fn start<L, F>(endpoints: &[Endpoint], every: Duration, look_up: L) -> Result<Arc<Pool>, EndpointError>
    where
        L: Fn(String, u16) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let mut distinct: Vec<Endpoint> = Vec::new();
        for endpoint in endpoints {
            if !distinct.contains(endpoint) {
                distinct.push(endpoint.clone());
            }
        }
        let members = Members { all: Vec::new(), not_found: vec![None; distinct.len()] };
        let (changes, turn) = (watch::Sender::new(()), AtomicUsize::new(0));
        let pool = Arc::new(Pool { endpoints: distinct, members: Mutex::new(members), changes, turn });
        for (index, endpoint) in pool.endpoints.iter().enumerate() {
            match endpoint.address() {
                Some(address) => pool.add(index, address)?,
                None => {
                    let weak = Arc::downgrade(&pool);
                    tokio::spawn(follow(weak, index, endpoint.clone(), every, look_up.clone()));
                }
            }
        }
        Ok(pool)
    }

    fn add(&self, index: usize, address: SocketAddr) -> Result<(), EndpointError> {
        if let Some(endpoint) = self.endpoints.get(index) {
            let member = Member::start(index, endpoint, address, self.changes.clone())?;
            self.members.lock().all.push(member);
        }
        Ok(())
    }

    /// The name of endpoint number `index` has these addresses now.
    pub fn set(&self, index: usize, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MOST_ADDRESSES);
        {
            let mut members = self.members.lock();
            if let Some(why) = members.not_found.get_mut(index) {
                *why = None;
            }
            members.all.retain(|member| {
                let stays = member.endpoint != index || addresses.contains(&member.address);
                if !stays {
                    tracing::info!(extractor = %member.url, "an extractor has gone: its name has this address no more");
                    member.leave();
                }
                stays
            });
            addresses.retain(|at| !members.all.iter().any(|member| member.endpoint == index && member.address == *at));
        }
        for address in addresses {
            if let Err(error) = self.add(index, address) {
                tracing::warn!(%address, %error, "an address that cannot be connected to");
            }
        }
    }

    /// The name of endpoint number `index` was not found.
    pub fn not_found(&self, index: usize, why: String) {
        tracing::debug!(endpoint = self.endpoints.get(index).map(tracing::field::display), why, "no address");
        if let Some(slot) = self.members.lock().not_found.get_mut(index) {
            *slot = Some(status::quoted(&why));
        }
    }

    /// How many can be reached.
    pub fn count(&self) -> usize {
        self.members.lock().all.iter().filter(|member| member.is_up()).count()
    }

    /// Who can be reached, those with the least to do first.
    pub fn ready(&self) -> Vec<Arc<Member>> {
        let mut ready: Vec<_> = self.members.lock().all.iter().filter(|member| member.is_up()).cloned().collect();
        if !ready.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % ready.len();
            ready.rotate_left(turn);
        }
        ready.sort_by_key(|member| member.outstanding());
        ready
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Try everybody who cannot be reached: somebody waits.
    pub fn hurry(&self) {
        self.members.lock().all.iter().for_each(|member| member.hurry());
    }

    /// Wait a little for a change. `false` if it is `until` by then.
    pub async fn wait(&self, changes: &mut watch::Receiver<()>, until: Instant) -> bool {
        self.hurry();
        // The sender lives as long as the pool.
        let _ = tokio::time::timeout_at(until.min(Instant::now() + TRY), changes.changed()).await;
        Instant::now() < until
    }

    /// What to say if every extractor has refused: the refusal that is best to know.
    pub fn all_refuse(&self, refusals: &[Refusal]) -> Option<Status> {
        let refused = |member: &Arc<Member>| refusals.iter().any(|(refuser, _)| Arc::ptr_eq(refuser, member));
        if !self.members.lock().all.iter().all(refused) {
            return None;
        }
        let statuses = || refusals.iter().map(|(_, status)| status);
        // Who has too much to do now may take it later.
        statuses().find(|status| status.code() == Code::ResourceExhausted).or_else(|| statuses().next()).cloned()
    }

    /// What to say if nobody can be reached who has not refused.
    pub fn unreachable(&self, refusals: &[Refusal]) -> Status {
        let told: Vec<(String, String)> =
            (0..self.endpoints.len()).map(|index| self.account(index, refusals)).collect();
        if let [(url, why)] = told.as_slice() {
            return status::unavailable(format!(
                "the extractor at {url} cannot be reached ({why}); start graft-extractor there, or name another by \
                 --extractor"
            ));
        }
        let each: Vec<String> = told.iter().take(TOLD).map(|(url, why)| format!("{url} ({why})")).collect();
        let more = told.len().saturating_sub(TOLD);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        status::unavailable(format!(
            "no extractor can be reached: {}{more}; start graft-extractor there, or name others by --extractor",
            each.join(", ")
        ))
    }

    /// An endpoint, and why there is nobody.
    fn account(&self, index: usize, refusals: &[Refusal]) -> (String, String) {
        let url = self.endpoints.get(index).map(Endpoint::to_string).unwrap_or_default();
        let members = self.members.lock();
        let of_it: Vec<&Arc<Member>> = members.all.iter().filter(|member| member.endpoint == index).collect();
        let reason = |member: &Arc<Member>| {
            let refusal = refusals.iter().find(|(refuser, _)| Arc::ptr_eq(refuser, member));
            let why = refusal.map_or_else(|| member.why(), |(_, status)| status::quoted(status.message()));
            if member.url == url { why } else { format!("{}: {why}", member.address) }
        };
        let why = match of_it.as_slice() {
            [] => members
                .not_found
                .get(index)
                .cloned()
                .flatten()
                .unwrap_or_else(|| "its name was not looked up yet".into()),
            [first] => reason(first),
            [first, rest @ ..] => format!("{}, and {} addresses more", reason(first), rest.len()),
        };
        (url, why)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.members.lock().all.iter().for_each(|member| member.leave());
    }
}
