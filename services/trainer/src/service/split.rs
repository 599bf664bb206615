//! The call of `HeadService` that splits the traffic of an alias.

use graft_chassis::status;
use graft_proto::v1::{Canary as Description, SplitTrafficRequest, SplitTrafficResponse};
use tonic::Status;

use super::aliases::{made, on_version, parse_or_usual};
use crate::{
    names::{Name, Tenant, check_caller},
    store::{
        Store,
        aliases::{Action, Canary, Change, Changed, Split, WHOLE},
    },
};

/// Give an alias a canary, a shadow, both or none.
pub async fn split(
    store: &Store,
    tenant: &Tenant,
    request: SplitTrafficRequest,
) -> Result<SplitTrafficResponse, Status> {
    let SplitTrafficRequest { head, alias, canary, shadow_version, expected_version, by } = request;
    let (name, alias) = (Name::parse("head", &head)?, parse_or_usual(&alias)?);
    let split = Split { canary: canary.map(check_canary).transpose()?, shadow: on_version(shadow_version) };
    check_caller("by", &by)?;
    let seen = expected_version.map(on_version);
    let change = Change { head: &name, alias: &alias, action: Action::Split(split), seen, by: &by };
    let promotion = match store.change_alias(tenant, &change).await? {
        Changed::Unchanged => None,
        changed => Some(made(&change, changed)?.0),
    };
    Ok(SplitTrafficResponse { alias: store.alias(tenant, &name, &alias).await?, promotion })
}

fn check_canary(Description { version, percent }: Description) -> Result<Canary, Status> {
    if version == 0 {
        return Err(status::invalid("canary.version", "missing; the number of a version is accepted, from 1 on"));
    }
    let share = percent * f64::from(WHOLE) / 100.0;
    let whole = share.round();
    // What is written in decimals is not exactly so in binary.
    if !(0.0..=f64::from(WHOLE)).contains(&whole) || (share - whole).abs() > 1e-6 {
        let message = format!("{percent}; 0 to 100 are accepted, in steps of 0.01");
        return Err(status::invalid("canary.percent", message));
    }
    Ok(Canary { version, share: whole as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_so_many_ten_thousandths() {
        let share = |percent| check_canary(Description { version: 1, percent }).map(|canary| canary.share);
        for (percent, expected) in [(0.0, 0), (0.01, 1), (0.07, 7), (33.33, 3333), (99.99, 9999), (100.0, 10_000)] {
            assert_eq!(share(percent).unwrap(), expected, "{percent}");
        }
        for bad in [-0.01, 0.001, 100.01, 12.345, f64::NAN, f64::INFINITY] {
            assert!(share(bad).unwrap_err().message().contains("canary.percent"), "{bad}");
        }
        assert!(check_canary(Description { version: 0, percent: 1.0 }).is_err());
    }
}
