//! Heads that a request asks together: which they are, and all of them at hand.

use std::{collections::HashMap, sync::Arc};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use graft_chassis::status;
use tonic::Status;

use super::{
    cache::{HeadCache, READ_AT_ONCE, TRIES},
    head::{ServedHead, foreign},
    resolve::{HeadVersion, Resolved},
    target::{EverySpec, Target, Wanted},
};
use crate::{
    names::{HeadRef, Tenant},
    service::heads::missing,
};

/// Heads of a space that may answer together, at the most.
const MOST_OF_A_SPACE: u32 = 20_000;
/// Names that one request looks up at once.
const LOOKED_UP_AT_ONCE: usize = 8;

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
    /// The space that an image is embedded into for `target`: that of the first head that exists.
    pub async fn space(&self, tenant: &Tenant, target: &Target) -> Result<Arc<str>, Status> {
        if let Target::Every(every) = target {
            self.every(tenant, every).await?;
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
    ) -> Result<Arc<[Candidate]>, Status> {
        let mut tries = 0;
        loop {
            tries += 1;
            let versions = match target {
                Target::Every(every) if every.space == space => Some(self.every(tenant, every).await?),
                _ => None,
            };
            let losses = self.0.kept.lock().losses();
            if let Some(group) = versions.as_ref().and_then(|versions| self.0.kept.lock().group(versions)) {
                wanted.check_fit(group.len())?;
                return Ok(group);
            }
            let mut named = match &versions {
                Some(versions) => versions.iter().map(Named::of).collect(),
                None => self.resolve(tenant, target).await?,
            };
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
                let candidates: Arc<[Candidate]> =
                    candidates.filter_map(|(named, found)| named.candidate(found, target)).collect();
                if let Some(versions) = versions
                    && candidates.iter().all(|candidate| candidate.head.is_ok())
                {
                    self.0.kept.lock().remember(versions, candidates.clone(), losses);
                }
                return Ok(candidates);
            }
        }
    }

    /// The versions of all heads that `every` means; refused if there are none, or too many.
    async fn every(&self, tenant: &Tenant, every: &EverySpec) -> Result<Arc<[Resolved]>, Status> {
        let found = self.0.resolver.every(tenant, every, MOST_OF_A_SPACE + 1).await?;
        check_count(found.len(), every)?;
        Ok(found)
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
            Target::Every(every) => Ok(self.every(tenant, every).await?.iter().map(Named::of).collect()),
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
        let versions = || named.iter().filter_map(|named| named.version.as_ref().ok());
        if versions().map(|resolved| resolved.bytes).sum::<u64>() <= self.0.budget {
            return Ok(());
        }
        // The same may be named more than once.
        let each: HashMap<&HeadVersion, u64> = versions().map(|resolved| (&resolved.version, resolved.bytes)).collect();
        let (count, bytes) = (each.len(), each.values().sum::<u64>());
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
}

impl Named {
    /// A version by the name of its head.
    fn of(resolved: &Resolved) -> Named {
        Named { name: resolved.version.name.clone(), version: Ok(resolved.clone()) }
    }

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
        let (what, hint) = match &every.alias {
            None => ("a head of the space".to_owned(), "see `graft heads` for those there are, and their spaces"),
            Some(alias) => {
                (format!("an alias `{alias}` on a head of the space"), "see `graft heads aliases` for those there are")
            }
        };
        return Err(status::not_found(&what, &every.space, hint));
    }
    if found > MOST_OF_A_SPACE as usize {
        let message =
            format!("`{space}` has more than {MOST_OF_A_SPACE} heads; name those that are wanted, in several calls");
        return Err(status::precondition("every_head", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::{
        classify::traffic::Traffic,
        store::{place::Place, serving::tests::put},
    };

    const SPACE: &str = "net@0";

    fn named(heads: &[&str]) -> Target {
        Target::Several(heads.iter().map(|head| HeadRef::parse("heads", head).unwrap()).collect())
    }

    fn every() -> Target {
        Target::Every(EverySpec { space: SPACE.into(), alias: None })
    }

    async fn found(heads: &HeadCache, target: &Target) -> Vec<Result<String, tonic::Code>> {
        let wanted = Wanted { top_k: 1, detect_unknown: false };
        let found = heads.many(&Tenant::default(), target, SPACE, wanted).await.unwrap();
        found
            .iter()
            .map(|one| one.head.as_ref().map(|head| head.name.clone()).map_err(|status| status.code()))
            .collect()
    }

    fn ok(name: &str) -> Result<String, tonic::Code> {
        Ok(name.to_owned())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_version_that_another_replica_deleted_meanwhile_is_looked_for_anew() {
        let place = Place::cluster().await;
        let (here, there) = (place.open().await, place.open().await);
        for name in ["a", "b", "b"] {
            put(&there, name, SPACE).await;
        }
        let heads = HeadCache::new(here, 1 << 20, Traffic::default());
        let (tenant, head) = (Tenant::default(), |text| HeadRef::parse("head", text).unwrap());
        // Looked up, and not read yet.
        assert_eq!(&*heads.space(&tenant, &named(&["b", "b@2"])).await.unwrap(), SPACE);
        heads.space(&tenant, &every()).await.unwrap();
        there.delete_head(&tenant, &head("b@2")).await.unwrap();
        assert_eq!(heads.get(&tenant, &head("b")).await.unwrap().name, "b@1");
        assert_eq!(found(&heads, &named(&["b@2", "b", "a"])).await, [Err(tonic::Code::NotFound), ok("b@1"), ok("a@1")]);
        assert_eq!(found(&heads, &every()).await, [ok("a@1"), ok("b@1")]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_asks_at_once_shares_one_read_and_other_spaces_are_told() {
        let place = Place::directory().await;
        let store = place.open().await;
        for (name, space) in [("a", SPACE), ("b", SPACE), ("other", "net@1")] {
            put(&store, name, space).await;
        }
        let heads = HeadCache::new(store.clone(), 1 << 20, Traffic::default());
        let wanted = HeadRef::parse("head", "a").unwrap();
        let tenant = Tenant::default();
        let all = join_all((0..20).map(|_| heads.get(&tenant, &wanted))).await;
        let all: Vec<Arc<ServedHead>> = all.into_iter().map(Result::unwrap).collect();
        assert!(all.iter().all(|head| Arc::ptr_eq(head, &all[0])));
        let precondition = Err(tonic::Code::FailedPrecondition);
        assert_eq!(found(&heads, &named(&["other", "b"])).await, [precondition, ok("b@1")]);
        assert_eq!(found(&heads, &every()).await, [ok("a@1"), ok("b@1")]);

        let small = HeadCache::new(store, all[0].bytes() as usize, Traffic::default());
        assert!(small.get(&Tenant::default(), &wanted).await.is_ok());
        let both = small.many(&Tenant::default(), &every(), SPACE, Wanted { top_k: 1, detect_unknown: false }).await;
        let refused = both.unwrap_err();
        assert!(
            refused.message().contains("2 heads take") && refused.message().contains("--head-cache-mib"),
            "{refused:?}"
        );
    }
}
