//! Both services: whether they answer, which versions they are, whether their clocks agree, what they have.

use std::time::Duration;

use graft_client::{
    Error, Graft, Kind, Service,
    proto::{ClassifyRequest, EveryHead},
};

use super::{
    check::Check,
    greet::{Greeting, greet},
};
use crate::backbone;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Clocks that are further apart mislead whoever compares times, in seconds. They are known to a second.
const APART: f64 = 5.0;
/// What each of them has, and the other has not.
const OF_TRAINER: &str = "graft.v1.HeadService";
const OF_EXTRACTOR: &str = "graft.v1.ExtractorService";
/// How long the trainer may take to ask the extractor.
const PATIENCE: Duration = Duration::from_secs(20);
/// What to do about a service that does not answer.
const START: &str = "start it (`graft up` starts both on this machine), or name another address by";

/// Everything about both services.
pub async fn checks(graft: &Graft) -> Vec<Check> {
    let (trainer, extractor) = tokio::join!(greet(&graft.trainer, OF_TRAINER), greet(&graft.extractor, OF_EXTRACTOR));
    let mut checks = vec![
        answers("trainer", "--trainer", &graft.trainer, &trainer),
        answers("extractor", "--extractor", &graft.extractor, &extractor),
        versions(&[("trainer", &trainer), ("extractor", &extractor)]),
        clocks(&[("trainer", &trainer), ("extractor", &extractor)]),
    ];
    checks.push(match trainer {
        Ok(_) => between(graft).await,
        Err(_) => Check::skipped("trainer to extractor", "the trainer does not answer"),
    });
    checks.push(match extractor {
        Ok(_) => backbones(graft).await,
        Err(_) => Check::skipped("backbones", "the extractor does not answer"),
    });
    checks
}

fn answers(name: &'static str, flag: &str, service: &Service, greeting: &Result<Greeting, Error>) -> Check {
    match greeting {
        Ok(Greeting { ready: true, took, .. }) => {
            Check::fine(name, format!("{} answers in {:.1} ms", service.url(), took.as_secs_f64() * 1e3))
        }
        Ok(_) => Check::failed(
            name,
            format!("{} answers, but takes no work", service.url()),
            "it is starting or stopping: wait; its log says for what",
        ),
        Err(error) => Check::failed(name, error.to_string(), format!("{START} {flag}")),
    }
}

/// Whether all are of one version.
fn versions(services: &[(&str, &Result<Greeting, Error>)]) -> Check {
    let told = services.iter().filter_map(|(name, greeting)| {
        let greeting = greeting.as_ref().ok()?;
        Some((*name, greeting.version.as_deref().unwrap_or("not told")))
    });
    let told: Vec<(&str, &str)> = told.collect();
    if told.is_empty() {
        return Check::skipped("versions", format!("graft {VERSION}; no service answers"));
    }
    let all: Vec<String> = told.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let found = format!("graft {VERSION}, {}", all.join(", "));
    match told.iter().all(|(_, version)| *version == VERSION) {
        true => Check::fine("versions", found),
        false => Check::warning("versions", found, "install the same version of Graft everywhere"),
    }
}

/// Whether clocks agree.
fn clocks(services: &[(&str, &Result<Greeting, Error>)]) -> Check {
    let ahead = services.iter().filter_map(|(name, greeting)| Some((*name, greeting.as_ref().ok()?.ahead?)));
    let ahead: Vec<(&str, f64)> = ahead.collect();
    let wrong: Vec<String> = ahead
        .iter()
        .filter(|(_, seconds)| seconds.abs() > APART)
        .map(|(name, seconds)| {
            format!("the {name}'s is {:.0} s {}", seconds.abs(), if *seconds > 0.0 { "ahead" } else { "behind" })
        })
        .collect();
    match (ahead.is_empty(), wrong.is_empty()) {
        (true, _) => Check::skipped("clocks", "no service tells its time"),
        (false, true) => Check::fine("clocks", format!("within {APART:.0} s of each other")),
        (false, false) => Check::warning("clocks", wrong.join(", "), "let NTP set the clocks of all machines"),
    }
}

/// Whether the trainer reaches its extractor: it is asked for the heads of the default backbone, which the extractor alone knows, and is
/// given nothing to classify.
async fn between(graft: &Graft) -> Check {
    let name = "trainer to extractor";
    let request = ClassifyRequest { every_head: Some(EveryHead::default()), ..Default::default() };
    let mut classifier = graft.trainer.classifier();
    let asked = tokio::time::timeout(PATIENCE, classifier.classify(request)).await;
    match asked.map(|answer| answer.map_err(|status| graft.trainer.error(status))) {
        Err(_) => Check::failed(name, format!("no answer within {} s", PATIENCE.as_secs()), EXTRACTOR),
        Ok(Err(error)) if matches!(error.kind(), Kind::Unreachable | Kind::Failed) => {
            Check::failed(name, error.to_string(), EXTRACTOR)
        }
        // There is no head, or nothing to classify: the extractor was asked before that.
        Ok(_) => Check::fine(name, "the trainer reaches its extractor"),
    }
}

const EXTRACTOR: &str =
    "the trainer's --extractor must name extractors that run and that it can reach from where it is";

async fn backbones(graft: &Graft) -> Check {
    let name = "backbones";
    let all = match backbone::all(graft).await {
        Ok(all) => all,
        Err(error) => return Check::failed(name, error.to_string(), "the extractor's log says more"),
    };
    let broken: Vec<String> =
        all.iter().filter(|one| !one.error.is_empty()).map(|one| format!("{}: {}", one.name, one.error)).collect();
    let served: Vec<&str> = all.iter().filter(|one| !one.space.is_empty()).map(|one| one.name.as_str()).collect();
    let found = format!("{} served: {}", served.len(), served.join(", "));
    match (served.is_empty(), broken.is_empty()) {
        (true, _) => Check::failed(name, "none is served", "`graft backbone add` adds one"),
        (false, true) => Check::fine(name, found),
        (false, false) => {
            let advice =
                "mend its files, or `graft backbone remove` it; until then an earlier version serves, if there is one";
            Check::failed(name, format!("{found}; broken: {}", broken.join("; ")), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::State;

    fn greeting(version: Option<&str>, ahead: f64) -> Result<Greeting, Error> {
        let version = version.map(str::to_owned);
        Ok(Greeting { ready: true, version, ahead: Some(ahead), took: Duration::from_millis(1) })
    }

    #[test]
    fn versions_are_one_or_that_is_said() {
        let (same, other, old) = (greeting(Some(VERSION), 0.0), greeting(Some("9.9.9"), 0.0), greeting(None, 0.0));
        assert_eq!(versions(&[("trainer", &same), ("extractor", &same)]).state, State::Fine);
        let check = versions(&[("trainer", &same), ("extractor", &other)]);
        assert!(check.state == State::Warning && check.found.contains("extractor 9.9.9"), "{check:?}");
        assert_eq!(versions(&[("trainer", &old)]).state, State::Warning);
        assert_eq!(versions(&[]).state, State::Skipped);
    }

    #[test]
    fn clocks_may_differ_by_what_cannot_be_seen() {
        let (near, far) = (greeting(None, -1.4), greeting(None, 61.0));
        assert_eq!(clocks(&[("trainer", &near)]).state, State::Fine);
        let check = clocks(&[("trainer", &near), ("extractor", &far)]);
        assert!(check.state == State::Warning && check.found == "the extractor's is 61 s ahead", "{check:?}");
    }
}
