//! Which replica fits a run.
//!
//! A run that is fitted has an owner and a lease, a number that grows each time that the run is taken. Whatever the owner
//! writes, it writes on condition that its lease is the run's still, so that a replica that was thought dead cannot undo or
//! repeat what another has done since. While it fits, it counts `beat` up every second. Who waits for work watches the
//! beats of the others, and takes a run over whose beat has stood still for long enough by its own monotonic clock
//! (`runs/vigil.rs`). No time is compared with another machine's, and none is stored: clocks may jump.

use graft_proto::v1::{TrainingRun, TrainingState};
use prost::Message;

use super::{
    Store, now,
    runs::run_of,
    sql::{self, Connection, Row},
    timestamp,
};
use crate::{error::StoreError, names::Tenant};

/// The right to fit a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: String,
    /// Who has it.
    pub owner: String,
    /// Grows each time that the run is taken.
    pub number: i64,
}

/// A run that was taken to be fitted.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Whose it is.
    pub tenant: Tenant,
    /// The run.
    pub run: TrainingRun,
    /// The right to fit it.
    pub lease: Lease,
    /// How often it was lost with a replica that fitted it.
    pub losses: u32,
    /// Whether somebody wants it to stop.
    pub cancelled: bool,
}

/// How far the owner of a run is with its beats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The run.
    pub run: String,
    /// The lease of its owner.
    pub lease: i64,
    /// The owner's beats.
    pub beat: i64,
}

/// The columns of a run that is taken.
const TAKEN: &str = "RETURNING id, tenant, state, message, owner, lease, losses, cancelled";
/// The condition that a run is fitted under a lease.
const LEASED: &str = "id = ? AND owner = ? AND lease = ? AND state = ?";

impl Store {
    /// Take the oldest run that waits.
    pub async fn take_run(&self, owner: &str) -> Result<Option<Taken>, StoreError> {
        let text = format!(
            "UPDATE training_runs SET owner = ?, lease = lease + 1, beat = 0, state = ?
             WHERE state = ? AND id = (SELECT id FROM training_runs WHERE state = ? ORDER BY id LIMIT 1{}) {TAKEN}",
            self.sql.for_any_update()
        );
        let row = sql::query(sqlx::AssertSqlSafe(text))
            .bind(owner)
            .bind(TrainingState::Running as i32)
            .bind(TrainingState::Queued as i32)
            .bind(TrainingState::Queued as i32)
            .fetch_optional(&self.sql)
            .await?;
        row.as_ref().map(taken).transpose()
    }

    /// Take a run over whose owner is gone: `last` is what was seen of it. `None` if it is not gone, or another was faster.
    pub async fn take_over(&self, owner: &str, last: &Beat) -> Result<Option<Taken>, StoreError> {
        let text = format!(
            "UPDATE training_runs SET owner = ?, lease = lease + 1, beat = 0, losses = losses + 1
             WHERE id = ? AND lease = ? AND beat = ? AND state = ? {TAKEN}"
        );
        let row = sql::query(sqlx::AssertSqlSafe(text))
            .bind(owner)
            .bind(&last.run)
            .bind(last.lease)
            .bind(last.beat)
            .bind(TrainingState::Running as i32)
            .fetch_optional(&self.sql)
            .await?;
        row.as_ref().map(taken).transpose()
    }

    /// The beats of all runs that are fitted.
    pub async fn beats(&self) -> Result<Vec<Beat>, StoreError> {
        let rows = sql::query("SELECT id, lease, beat FROM training_runs WHERE state = ?")
            .bind(TrainingState::Running as i32)
            .fetch_all(&self.sql)
            .await?;
        let beat =
            |row: &Row| Ok(Beat { run: row.try_get("id")?, lease: row.try_get("lease")?, beat: row.try_get("beat")? });
        rows.iter().map(beat).collect()
    }

    /// Tell that a run is being fitted still, and how it stands. Gives back whether somebody wants it to stop; `None` if the
    /// lease is not the run's any more.
    pub async fn beat(&self, lease: &Lease, run: &TrainingRun) -> Result<Option<bool>, StoreError> {
        let text = format!("UPDATE training_runs SET beat = beat + 1, message = ? WHERE {LEASED} RETURNING cancelled");
        let query = sql::query_scalar(sqlx::AssertSqlSafe(text)).bind(run.encode_to_vec());
        Ok(query
            .bind(&lease.run)
            .bind(&lease.owner)
            .bind(lease.number)
            .bind(TrainingState::Running as i32)
            .fetch_optional(&self.sql)
            .await?)
    }

    /// Let a run go that has not ended, for another replica or another time. `lost` counts it as one that came to nothing.
    pub async fn release_run(&self, lease: &Lease, lost: bool) -> Result<(), StoreError> {
        let text = format!("UPDATE training_runs SET state = ?, owner = '', losses = losses + ? WHERE {LEASED}");
        sql::query(sqlx::AssertSqlSafe(text))
            .bind(TrainingState::Queued as i32)
            .bind(lost)
            .bind(&lease.run)
            .bind(&lease.owner)
            .bind(lease.number)
            .bind(TrainingState::Running as i32)
            .execute(&self.sql)
            .await?;
        Ok(())
    }

    /// Let all runs go that are said to be fitted: for who knows that nobody fits any.
    pub async fn release_all_runs(&self) -> Result<(), StoreError> {
        sql::query("UPDATE training_runs SET state = ?, owner = '', losses = losses + 1 WHERE state = ?")
            .bind(TrainingState::Queued as i32)
            .bind(TrainingState::Running as i32)
            .execute(&self.sql)
            .await?;
        Ok(())
    }

    /// Write how a run ended. `false` if the lease is not the run's any more.
    pub async fn end_run(&self, lease: &Lease, run: &TrainingRun) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let ended = end_leased(&mut write, lease, run).await?;
        write.commit().await?;
        Ok(ended || self.ended_under(lease).await?.is_some())
    }

    /// Stop a run: at once if it waits, else its owner sees it with its next beat. `true` if this ended it.
    pub async fn cancel_run(&self, tenant: &Tenant, id: &str) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let text =
            format!("SELECT state, message FROM training_runs WHERE tenant = ? AND id = ?{}", self.sql.for_update());
        let row =
            sql::query(sqlx::AssertSqlSafe(text)).bind(tenant.as_str()).bind(id).fetch_optional(&mut *write).await?;
        let Some(mut run) = row.as_ref().map(run_of).transpose()? else { return Ok(false) };
        let waits = run.state() == TrainingState::Queued;
        if waits {
            run.set_state(TrainingState::Cancelled);
            run.end_time = Some(timestamp(now()));
        }
        sql::query("UPDATE training_runs SET cancelled = 1, state = ?, message = ? WHERE id = ?")
            .bind(run.state)
            .bind(run.encode_to_vec())
            .bind(id)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(waits)
    }

    /// The run that ended under this lease, if it did: a transaction may be kept and its answer lost.
    pub(super) async fn ended_under(&self, lease: &Lease) -> Result<Option<TrainingRun>, StoreError> {
        let row = sql::query(
            "SELECT state, message FROM training_runs WHERE id = ? AND owner = ? AND lease = ? AND state NOT IN (?, ?)",
        )
        .bind(&lease.run)
        .bind(&lease.owner)
        .bind(lease.number)
        .bind(TrainingState::Queued as i32)
        .bind(TrainingState::Running as i32)
        .fetch_optional(&self.sql)
        .await?;
        row.as_ref().map(run_of).transpose()
    }
}

/// Write how a run ended, as a part of whatever `sql` is doing. `false` if the lease is not the run's any more.
pub(super) async fn end_leased(sql: &mut Connection, lease: &Lease, run: &TrainingRun) -> Result<bool, StoreError> {
    let text = format!("UPDATE training_runs SET state = ?, message = ? WHERE {LEASED}");
    let done = sql::query(sqlx::AssertSqlSafe(text))
        .bind(run.state)
        .bind(run.encode_to_vec())
        .bind(&lease.run)
        .bind(&lease.owner)
        .bind(lease.number)
        .bind(TrainingState::Running as i32)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn taken(row: &Row) -> Result<Taken, StoreError> {
    Ok(Taken {
        tenant: Tenant::stored(row.try_get("tenant")?),
        run: run_of(row)?,
        lease: Lease { run: row.try_get("id")?, owner: row.try_get("owner")?, number: row.try_get("lease")? },
        losses: row.try_get("losses")?,
        cancelled: row.try_get("cancelled")?,
    })
}
