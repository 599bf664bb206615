//! Which versions the names of a request stand for just now.
//!
//! What the store says holds for a second, so that it is not asked for each request: what another replica changes is seen by
//! then, and what this one changes, at once. Of several requests for the same, one asks and the others wait for it.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    target::EverySpec,
    traffic::{
        Traffic,
        sides::{self, Sides},
    },
    turns::Turns,
};
use crate::{
    error::StoreError,
    names::{HeadRef, Tenant, Which},
    store::{Store, serving::VersionRow},
};

/// How long what the store said holds.
const HOLDS: Duration = Duration::from_secs(1);
/// Versions that are remembered, at the most: some 20 MB.
const MOST_REMEMBERED: usize = 200_000;

/// One version of a head of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeadVersion {
    /// Whose it is.
    pub tenant: Tenant,
    /// The head.
    pub name: Arc<str>,
    /// Its version.
    pub version: u32,
}

impl HeadVersion {
    /// Whether it is a version of the head that is meant, or the one that is meant by its number.
    pub fn is(&self, tenant: &Tenant, wanted: &HeadRef) -> bool {
        self.tenant == *tenant
            && *self.name == *wanted.name.as_str()
            && wanted.version().is_none_or(|version| version == self.version)
    }
}

impl fmt::Display for HeadVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The version.
    pub version: HeadVersion,
    /// The embedding space that it classifies.
    pub space: Arc<str>,
    /// What it takes in memory, in bytes.
    pub bytes: u64,
}

/// What may be asked of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    Head(Tenant, HeadRef),
    Every(Tenant, EverySpec),
}

/// What the store said.
#[derive(Clone, Debug)]
struct Told {
    /// When it was asked.
    asked: Instant,
    /// The store's count of changes then.
    changes: u64,
    found: Found,
}

/// The versions that were found, and how the traffic is split, where it is an alias whose traffic is.
#[derive(Clone, Debug, Default)]
struct Found {
    versions: Arc<[Resolved]>,
    sides: Option<Arc<Sides>>,
}

/// The version that a name stands for.
#[derive(Clone, Debug)]
pub struct Route {
    /// The version.
    pub version: Resolved,
    /// The versions beside it, where the name is an alias that has any.
    pub sides: Option<Arc<Sides>>,
}

/// Names and the versions that they stand for.
#[derive(Debug)]
pub struct Resolver {
    store: Store,
    traffic: Traffic,
    holds: Duration,
    told: Mutex<Remembered>,
    turns: Turns<Question>,
}

#[derive(Debug, Default)]
struct Remembered {
    told: HashMap<Question, Told>,
    /// Versions in all.
    versions: usize,
}

impl Resolved {
    /// A version of `space` that takes `bytes` in memory.
    pub fn new(tenant: &Tenant, name: &str, version: u32, space: Arc<str>, bytes: u64) -> Resolved {
        let version = HeadVersion { tenant: tenant.clone(), name: name.into(), version };
        Resolved { version, space, bytes }
    }
}

impl Resolver {
    /// Ask `store`. How canaries and shadows do is noted in `traffic`.
    pub fn new(store: Store, traffic: Traffic) -> Resolver {
        Resolver { store, traffic, holds: HOLDS, told: Mutex::default(), turns: Turns::default() }
    }

    /// The version that is meant, if there is one.
    pub async fn head(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Option<Resolved>, StoreError> {
        Ok(self.route(tenant, wanted).await?.map(|route| route.version))
    }

    /// The same, and the versions beside it.
    pub async fn route(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Option<Route>, StoreError> {
        let Found { versions, sides } = self.answer(Question::Head(tenant.clone(), wanted.clone()), 1).await?;
        Ok(versions.first().map(|version| Route { version: version.clone(), sides }))
    }

    /// All heads of a space, sorted by name; `most` and no more are told.
    pub async fn every(&self, tenant: &Tenant, wanted: &EverySpec, most: u32) -> Result<Arc<[Resolved]>, StoreError> {
        Ok(self.answer(Question::Every(tenant.clone(), wanted.clone()), most).await?.versions)
    }

    /// What was said of a head is wrong by now.
    pub fn forget_head(&self, tenant: &Tenant, wanted: &HeadRef) {
        self.told.lock().remove(&Question::Head(tenant.clone(), wanted.clone()));
    }

    /// The same of all heads of a space.
    pub fn forget_every(&self, tenant: &Tenant, wanted: &EverySpec) {
        self.told.lock().remove(&Question::Every(tenant.clone(), wanted.clone()));
    }

    async fn answer(&self, question: Question, most: u32) -> Result<Found, StoreError> {
        if let Some(found) = self.fresh(&question) {
            return Ok(found);
        }
        let _turn = self.turns.take(question.clone()).await;
        if let Some(found) = self.fresh(&question) {
            return Ok(found);
        }
        let (asked, changes) = (Instant::now(), self.store.head_changes());
        let (tenant, rows, sides) = match &question {
            Question::Head(tenant, HeadRef { name, which: Which::Alias(alias) }) => {
                let (row, sides) = sides::find(&self.store, &self.traffic, tenant, name, alias).await?;
                (tenant, row.into_iter().collect(), sides.map(Arc::new))
            }
            Question::Head(tenant, wanted) => {
                (tenant, self.store.resolve_head(tenant, wanted).await?.into_iter().collect(), None)
            }
            Question::Every(tenant, every) => {
                (tenant, self.store.heads_of_space(tenant, &every.space, every.alias.as_ref(), most).await?, None)
            }
        };
        let found = Found { versions: resolved(tenant, rows), sides };
        // What there is not may come any moment, and whoever made it asks for it at once.
        if !found.versions.is_empty() {
            self.told.lock().insert(question, Told { asked, changes, found: found.clone() }, self.holds);
        }
        Ok(found)
    }

    fn fresh(&self, question: &Question) -> Option<Found> {
        let told = self.told.lock();
        let told = told.told.get(question)?;
        let holds = told.asked.elapsed() < self.holds && told.changes == self.store.head_changes();
        holds.then(|| told.found.clone())
    }
}

/// Versions of one tenant, those of a space sharing its name.
fn resolved(tenant: &Tenant, rows: Vec<VersionRow>) -> Arc<[Resolved]> {
    let mut space: Arc<str> = Arc::default();
    let resolved = rows.into_iter().map(|row| {
        if *space != *row.space {
            space = row.space.into();
        }
        Resolved::new(tenant, &row.name, row.version, space.clone(), row.bytes)
    });
    resolved.collect()
}

impl Remembered {
    fn insert(&mut self, question: Question, told: Told, holds: Duration) {
        if self.versions + told.found.versions.len() > MOST_REMEMBERED {
            self.told.retain(|_, told| told.asked.elapsed() < holds);
            self.versions = self.told.values().map(|told| told.found.versions.len()).sum();
        }
        if self.versions + told.found.versions.len() > MOST_REMEMBERED {
            *self = Remembered::default();
        }
        self.versions += told.found.versions.len();
        let before = self.told.insert(question, told);
        self.versions -= before.map_or(0, |before| before.found.versions.len());
    }

    fn remove(&mut self, question: &Question) {
        let before = self.told.remove(question);
        self.versions -= before.map_or(0, |before| before.found.versions.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{place::Place, serving::tests::put};

    #[tokio::test(flavor = "multi_thread")]
    async fn what_another_replica_changes_is_seen_in_time_and_what_this_one_changes_at_once() {
        let place = Place::cluster().await;
        let (here, there) = (place.open().await, place.open().await);
        let wanted = HeadRef::parse("head", "a").unwrap();
        let version = async |resolver: &Resolver| {
            let found = resolver.head(&Tenant::default(), &wanted).await.unwrap();
            found.map(|resolved| resolved.version.version)
        };
        let hours = Resolver { holds: Duration::from_secs(3600), ..Resolver::new(here.clone(), Traffic::default()) };
        let never = Resolver { holds: Duration::ZERO, ..Resolver::new(here.clone(), Traffic::default()) };
        assert_eq!(version(&hours).await, None);
        put(&there, "a", "net@0").await;
        assert_eq!(version(&hours).await, Some(1), "what there is not is not remembered");
        put(&there, "a", "net@0").await;
        assert_eq!((version(&hours).await, version(&never).await), (Some(1), Some(2)));
        put(&here, "other", "net@0").await;
        assert_eq!(version(&hours).await, Some(2));

        let every = EverySpec { space: "net@0".into(), alias: None };
        let names = async || {
            let found = hours.every(&Tenant::default(), &every, 9).await.unwrap();
            found.iter().map(|resolved| resolved.version.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names().await, ["a", "other"]);
        put(&there, "b", "net@0").await;
        assert_eq!(names().await, ["a", "other"]);
        hours.forget_every(&Tenant::default(), &every);
        assert_eq!(names().await, ["a", "b", "other"]);
    }

    fn told(versions: u32) -> Told {
        let row = |version| Resolved::new(&Tenant::default(), "h", version, "net@0".into(), 8);
        Told {
            asked: Instant::now(),
            changes: 0,
            found: Found { versions: (1..=versions).map(row).collect(), sides: None },
        }
    }

    fn question(space: &str) -> Question {
        Question::Every(Tenant::default(), EverySpec { space: space.into(), alias: None })
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut remembered = Remembered::default();
        for space in 0..21 {
            remembered.insert(question(&space.to_string()), told(10_000), HOLDS);
        }
        assert_eq!((remembered.told.len(), remembered.versions), (1, 10_000), "all were fresh: none is spared");
        remembered.insert(question("20"), told(5), HOLDS);
        assert_eq!((remembered.told.len(), remembered.versions), (1, 5), "the same again replaces what was");
        let old = Told { asked: Instant::now() - HOLDS, ..told(199_000) };
        remembered.insert(question("old"), old, HOLDS);
        remembered.insert(question("new"), told(1000), HOLDS);
        assert_eq!((remembered.told.len(), remembered.versions), (2, 1005), "what is old goes first");
        remembered.remove(&question("new"));
        remembered.remove(&question("never"));
        assert_eq!(remembered.versions, 5);
    }
}
