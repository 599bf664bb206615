//! The call of `HeadService` that tells of traffic.

use graft_proto::v1::{
    Alias as Description, CanaryFigures, ClassTraffic, GetHeadTrafficRequest, GetHeadTrafficResponse, Head,
    ShadowFigures, SplitFigures, VersionTraffic as Told,
};
use tonic::Status;

use super::heads::existing;
use crate::{
    classify::traffic::{SplitKey, Traffic, VersionTraffic, version::Figures},
    names::{Alias, HeadRef, Name, Tenant},
    store::{
        Store,
        aliases::{MOST_ALIASES, Split},
        timestamp,
    },
};

/// Tell what a head was asked of late.
pub async fn tell(
    store: &Store,
    traffic: &Traffic,
    tenant: &Tenant,
    request: GetHeadTrafficRequest,
) -> Result<GetHeadTrafficResponse, Status> {
    let wanted = HeadRef::parse("head", &request.head)?;
    let newest = existing(store, tenant, &wanted).await?;
    let meant = match wanted.alias() {
        Some(_) => HeadRef::version_of(&wanted.name, newest.version),
        None => wanted.clone(),
    };
    let mut versions = Vec::new();
    for (version, traffic) in traffic.of_head(tenant, &meant) {
        let head = store.head(tenant, &HeadRef::version_of(&wanted.name, version)).await?;
        // What was deleted meanwhile is not told of.
        versions.extend(head.and_then(|head| told(&head, &traffic)));
    }
    let aliases = store.aliases(tenant, Some(&wanted.name), (wanted.name.as_str(), ""), MOST_ALIASES).await?;
    let mut splits = Vec::new();
    for alias in aliases.iter().filter(|alias| concerns(alias, &wanted)) {
        splits.extend(split(traffic, tenant, &wanted.name, alias)?);
    }
    Ok(GetHeadTrafficResponse { versions, splits })
}

/// Whether an alias has to do with what was asked for.
fn concerns(alias: &Description, wanted: &HeadRef) -> bool {
    let canary = alias.canary.as_ref().map(|canary| canary.version);
    let versions = [Some(alias.version), canary, Some(alias.shadow_version)];
    wanted.alias().is_none_or(|wanted| wanted.as_str() == alias.name)
        && wanted.version().is_none_or(|wanted| versions.contains(&Some(wanted)))
}

/// The traffic of a version; `None` if there is none.
fn told(head: &Head, traffic: &VersionTraffic) -> Option<Told> {
    let figures = traffic.figures()?;
    let level = figures.level() as i32;
    let Figures { answers, all, last, confidence, classes, class_drift, confidence_drift } = figures;
    let then = traffic.baseline();
    let rates = head.labels.iter().zip(classes).enumerate();
    let class = |(at, (label, count)): (usize, (&String, u64))| ClassTraffic {
        label: label.clone(),
        rate: count as f64 / answers as f64,
        test_rate: then.map(|then| then.classes[at] as f64 / then.examples as f64),
    };
    Some(Told {
        head: format!("{}@{}", head.name, head.version),
        answers,
        answers_in_all: all,
        last_answer_time: Some(timestamp(last)),
        confidence,
        test_confidence: then.map(|then| then.mean_confidence),
        classes: rates.map(class).collect(),
        class_drift: class_drift.map(|drift| drift.index),
        confidence_drift: confidence_drift.map(|drift| drift.index),
        level,
    })
}

/// How the canary and the shadow of an alias do; `None` if it has neither.
fn split(traffic: &Traffic, tenant: &Tenant, head: &Name, alias: &Description) -> Result<Option<SplitFigures>, Status> {
    let split = Split::of(alias);
    if split == Split::default() {
        return Ok(None);
    }
    let name = Alias::parse("alias", &alias.name)?;
    let found = traffic.split_figures(&SplitKey::new(tenant, head, &name, alias.version, split));
    let canary = alias.canary.map(|canary| CanaryFigures {
        version: canary.version,
        percent: canary.percent,
        answers: found.answers,
        canary_answers: found.canary_answers,
        fallbacks: found.fallbacks,
    });
    let shadow = split.shadow.map(|version| ShadowFigures {
        version,
        compared: found.compared,
        agreed: found.agreed,
        confidence_difference: found.confidence_difference,
        failed: found.failed,
        dropped: found.dropped,
    });
    Ok(Some(SplitFigures { alias: alias.name.clone(), version: alias.version, canary, shadow }))
}
