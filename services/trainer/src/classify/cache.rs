//! The heads that requests ask, read when they are needed and kept ready within a budget of memory.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use graft_chassis::status;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tonic::Status;

use super::{
    head::{ServedHead, foreign},
    kept::Kept,
    resolve::{HeadVersion, Resolved, Resolver},
    target::{EverySpec, Target, Wanted},
    turns::Turns,
};
use crate::{
    fit::head,
    names::{HeadRef, Tenant},
    service::heads::missing,
    store::Store,
};

/// Heads of a space that may answer together, at the most.
const MOST_OF_A_SPACE: u32 = 20_000;
/// Heads that are read at once, at the most: each is in memory a few times meanwhile.
const READ_AT_ONCE: usize = 8;
/// Names that one request looks up at once.
const LOOKED_UP_AT_ONCE: usize = 8;
/// How often a request looks again for a version that was deleted after it was found.
const TRIES: usize = 3;

/// The heads that can answer.
#[derive(Clone, Debug)]
pub struct HeadCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    /// Bytes of heads that are kept.
    budget: u64,
    resolver: Resolver,
    kept: Mutex<Kept>,
    /// Versions that are being read.
    reading: Turns<HeadVersion>,
    reads: Semaphore,
}

/// One of the heads that a request asks together.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// As the request named it.
    pub name: Arc<str>,
    /// The head, or why it cannot answer.
    pub head: Result<Arc<ServedHead>, Status>,
}

/// The same before it is read.
struct Named {
    name: Arc<str>,
    version: Result<Resolved, Status>,
}

impl HeadCache {
    /// Keep at most `budget` bytes of heads ready.
    pub fn new(store: Store, budget: usize) -> HeadCache {
        let budget = budget as u64;
        HeadCache(Arc::new(Shared {
            resolver: Resolver::new(store.clone()),
            store,
            budget,
            kept: Mutex::new(Kept::new(budget)),
            reading: Turns::default(),
            reads: Semaphore::new(READ_AT_ONCE),
        }))
    }

    /// The head that is meant, read if it is not ready.
    pub async fn get(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Arc<ServedHead>, Status> {
        for _ in 0..TRIES {
            let Some(resolved) = self.0.resolver.head(tenant, wanted).await? else { break };
            if let Some(ready) = self.ready(&resolved) {
                return Ok(ready);
            }
            if let Some(read) = self.read(&resolved).await? {
                return Ok(read);
            }
            self.0.resolver.forget_head(tenant, wanted);
        }
        Err(missing(wanted))
    }

    /// The space that an image is embedded into for `target`: that of the first head that exists.
    pub async fn space(&self, tenant: &Tenant, target: &Target) -> Result<Arc<str>, Status> {
        if let Target::Every(every) = target {
            check_count(self.0.resolver.every(tenant, every, MOST_OF_A_SPACE + 1).await?.len(), every)?;
            return Ok(every.space.as_str().into());
        }
        let mut first = None;
        for named in self.resolve(tenant, target).await? {
            match named.version {
                Ok(resolved) => return Ok(resolved.space),
                Err(status) => first = first.or(Some(status)),
            }
        }
        Err(first.unwrap_or_else(|| status::invalid("heads", "none; 1 or more are accepted")))
    }

    /// The heads of `target`, those of other spaces than `space` as errors, read where they are not ready.
    pub async fn many(
        &self,
        tenant: &Tenant,
        target: &Target,
        space: &str,
        wanted: Wanted,
    ) -> Result<Vec<Candidate>, Status> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut named = self.resolve(tenant, target).await?;
            wanted.check_fit(named.len())?;
            named.iter_mut().for_each(|named| named.check_space(space));
            self.check_budget(&named)?;
            let found = self.read_all(&named).await;
            let gone = found.iter().any(Option::is_none);
            if gone {
                self.forget_resolved(tenant, target);
            }
            if !gone || tries == TRIES {
                let candidates = named.into_iter().zip(found);
                return Ok(candidates.filter_map(|(named, found)| named.candidate(found, target)).collect());
            }
        }
    }

    /// Make room: this was deleted.
    pub fn forget(&self, tenant: &Tenant, wanted: &HeadRef) {
        self.0.kept.lock().forget(|kept| {
            kept.tenant == *tenant
                && *kept.name == *wanted.name.as_str()
                && wanted.version.is_none_or(|version| version == kept.version)
        });
    }

    /// Which versions `target` means.
    async fn resolve(&self, tenant: &Tenant, target: &Target) -> Result<Vec<Named>, Status> {
        match target {
            Target::One(head) => Ok(vec![self.look_up(tenant, head).await]),
            Target::Several(heads) => {
                let lookups: Vec<BoxFuture<'_, Named>> =
                    heads.iter().map(|head| self.look_up(tenant, head).boxed()).collect();
                Ok(stream::iter(lookups).buffered(LOOKED_UP_AT_ONCE).collect().await)
            }
            Target::Every(every) => {
                let found = self.0.resolver.every(tenant, every, MOST_OF_A_SPACE + 1).await?;
                check_count(found.len(), every)?;
                let named =
                    |resolved: &Resolved| Named { name: resolved.version.name.clone(), version: Ok(resolved.clone()) };
                Ok(found.iter().map(named).collect())
            }
        }
    }

    async fn look_up(&self, tenant: &Tenant, head: &HeadRef) -> Named {
        let version = match self.0.resolver.head(tenant, head).await {
            Ok(resolved) => resolved.ok_or_else(|| missing(head)),
            Err(error) => Err(error.into()),
        };
        Named { name: head.to_string().into(), version }
    }

    fn forget_resolved(&self, tenant: &Tenant, target: &Target) {
        match target {
            Target::One(head) => self.0.resolver.forget_head(tenant, head),
            Target::Several(heads) => heads.iter().for_each(|head| self.0.resolver.forget_head(tenant, head)),
            Target::Every(every) => self.0.resolver.forget_every(tenant, every),
        }
    }

    /// Whether all of them can be ready at once: otherwise each request would read what the one before let go.
    fn check_budget(&self, named: &[Named]) -> Result<(), Status> {
        let of_them = named.iter().filter_map(|named| named.version.as_ref().ok());
        let (count, bytes) = of_them.fold((0, 0), |(count, sum), resolved| (count + 1, sum + resolved.bytes));
        if bytes <= self.0.budget || count == 1 {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let message = format!(
            "{count} heads take {} MiB, and this trainer keeps {} (--head-cache-mib); ask fewer at once, or have it keep more",
            mib(bytes),
            mib(self.0.budget)
        );
        Err(status::precondition("head-cache-mib", message))
    }

    fn ready(&self, resolved: &Resolved) -> Option<Arc<ServedHead>> {
        self.0.kept.lock().touch(&resolved.version)
    }

    /// All that can be read; `None` of those that are gone.
    async fn read_all(&self, named: &[Named]) -> Vec<Option<Result<Arc<ServedHead>, Status>>> {
        let mut found: Vec<_> = {
            let mut kept = self.0.kept.lock();
            let ready = |named: &Named| match &named.version {
                Ok(resolved) => kept.touch(&resolved.version).map(Ok),
                Err(status) => Some(Err(status.clone())),
            };
            named.iter().map(ready).collect()
        };
        let mut reads: Vec<BoxFuture<'_, _>> = Vec::new();
        for (at, named) in named.iter().enumerate().filter(|(at, _)| found[*at].is_none()) {
            if let Ok(resolved) = &named.version {
                reads.push(async move { (at, self.read(resolved).await.transpose()) }.boxed());
            }
        }
        let mut reads = stream::iter(reads).buffer_unordered(READ_AT_ONCE);
        while let Some((at, read)) = reads.next().await {
            found[at] = read;
        }
        found
    }

    /// Read a version, unless somebody else has by now. `None` if it is gone.
    async fn read(&self, resolved: &Resolved) -> Result<Option<Arc<ServedHead>>, Status> {
        let _turn = self.0.reading.take(resolved.version.clone()).await;
        if let Some(ready) = self.ready(resolved) {
            return Ok(Some(ready));
        }
        let _read = self.0.reads.acquire().await.map_err(|error| status::internal(error.to_string()))?;
        let HeadVersion { tenant, name, version } = &resolved.version;
        let Some((head, file)) = self.0.store.head_file(tenant, name, *version).await? else { return Ok(None) };
        let resolved = resolved.clone();
        let (version, served) = spawn_blocking(move || {
            let weights = head::Head::from_safetensors(&file)
                .map_err(|error| status::internal(format!("{}@{}: {error}", head.name, head.version)))?;
            Ok::<_, Status>((resolved.version.clone(), Arc::new(ServedHead::new(&resolved, head, weights)?)))
        })
        .await
        .map_err(|error| status::internal(error.to_string()))??;
        self.0.kept.lock().insert(version, served.clone());
        Ok(Some(served))
    }
}

impl Named {
    /// A head of another space has nothing to say of the embedding.
    fn check_space(&mut self, space: &str) {
        if let Ok(resolved) = &self.version
            && *resolved.space != *space
        {
            let name = format!("{}@{}", resolved.version.name, resolved.version.version);
            self.version = Err(foreign(&name, &resolved.space, space));
        }
    }

    /// With what became of it. What is gone from a space is left out; what was named is told to be missing.
    fn candidate(self, found: Option<Result<Arc<ServedHead>, Status>>, target: &Target) -> Option<Candidate> {
        let head = match (found, target) {
            (Some(found), _) => found,
            (None, Target::Every(_)) => return None,
            (None, _) => Err(status::not_found("head", &self.name, "it was deleted just now")),
        };
        Some(Candidate { name: self.name, head })
    }
}

fn check_count(found: usize, every: &EverySpec) -> Result<(), Status> {
    let space = status::quoted(&every.space);
    if found == 0 {
        let hint = "see `graft heads` for those there are, and their spaces";
        return Err(status::not_found("head of the space", &every.space, hint));
    }
    if found > MOST_OF_A_SPACE as usize {
        let message =
            format!("`{space}` has more than {MOST_OF_A_SPACE} heads; name those that are wanted, in several calls");
        return Err(status::precondition("every_head", message));
    }
    Ok(())
}
