//! The call of `HeadService` that compares two versions.

use graft_chassis::status;
use graft_proto::v1::{CompareHeadsRequest, CompareHeadsResponse, Head};
use tonic::Status;

use super::heads::existing;
use crate::{
    compare::{Comparer, split::Wanted},
    names::{HeadRef, Tenant},
    store::Store,
};

/// Disagreements named unless told.
const USUAL_DISAGREEMENTS: u32 = 50;
/// Disagreements named at the most.
const MOST_DISAGREEMENTS: u32 = 1000;
/// The length of a snapshot's id: BLAKE3 in hexadecimal.
const ID: usize = 64;

/// Compare two versions.
pub async fn compare(
    store: &Store,
    comparer: &Comparer,
    tenant: &Tenant,
    request: CompareHeadsRequest,
) -> Result<CompareHeadsResponse, Status> {
    let CompareHeadsRequest { first, second, snapshot, most_disagreements } = request;
    let (first, second) = (HeadRef::parse("first", &first)?, HeadRef::parse("second", &second)?);
    let most = check_most(most_disagreements)?;
    check_id(&snapshot)?;
    let first = existing(store, tenant, &first).await?;
    let second = existing(store, tenant, &second).await?;
    let (newer, older) = if written(&first) > written(&second) { (&first, &second) } else { (&second, &first) };
    let own = newer.report.as_ref().map(|report| report.snapshot.as_str()).unwrap_or_default();
    let id = if snapshot.is_empty() { own } else { &snapshot };
    let wanted = Wanted { id, datasets: [&newer.dataset, &older.dataset] };
    Ok(comparer.compare(tenant, [&first, &second], wanted, most).await?)
}

/// What orders versions by their age: that of one head by its number, others by the clock.
fn written(head: &Head) -> (i64, i32, u32) {
    let time = head.create_time.unwrap_or_default();
    (time.seconds, time.nanos, head.version)
}

fn check_most(most: u32) -> Result<usize, Status> {
    match most {
        0 => Ok(USUAL_DISAGREEMENTS as usize),
        1..=MOST_DISAGREEMENTS => Ok(most as usize),
        _ => Err(status::invalid(
            "most_disagreements",
            format!("{most}; 1 to {MOST_DISAGREEMENTS} are accepted, 0 for {USUAL_DISAGREEMENTS}"),
        )),
    }
}

fn check_id(id: &str) -> Result<(), Status> {
    if id.is_empty() || (id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Ok(());
    }
    let message = format!("`{}` is no id of a snapshot; {ID} hexadecimal digits are accepted", status::quoted(id));
    Err(status::invalid("snapshot", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_and_asked_for_is_bounded() {
        assert_eq!((check_most(0).unwrap(), check_most(1000).unwrap()), (50, 1000));
        assert!(check_most(1001).is_err());
        assert!(check_id("").is_ok() && check_id(&"0f".repeat(32)).is_ok());
        assert!(check_id("0f").is_err() && check_id(&"0g".repeat(32)).is_err());
    }
}
