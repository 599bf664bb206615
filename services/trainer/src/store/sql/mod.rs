//! One set of queries for SQLite and PostgreSQL.
//!
//! It looks like sqlx and runs on it, on whichever of the two databases the pool is of. A query may number its parameters
//! (`$1`, `?1`) or not (`?`). Integers are 64 bits wide in both databases, and a boolean is an integer that is 0 or 1.
//! `docs/decisions/0013-two-databases.md` says why it is not sqlx's own `Any`.
//!
//! # Layout
//! - [`query`](mod@query): a statement with its parameters. [`builder`]: one whose text is put together.
//! - [`value`]: what may be a parameter. [`row`]: what comes back.
//! - `placeholders`: how PostgreSQL wants its parameters named.

use std::ops::{Deref, DerefMut};

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

pub use self::{
    builder::Builder,
    query::{Query, query, query_scalar},
    row::Row,
};

pub mod builder;
mod placeholders;
pub mod query;
pub mod row;
pub mod value;

/// Connections to the database.
#[derive(Clone, Debug)]
pub enum Pool {
    /// A file of this machine, and the one connection that transactions write to it by: it keeps in memory what it wrote, which
    /// another would have to read again.
    Sqlite(SqlitePool, SqlitePool),
    /// A server.
    Postgres(PgPool),
}

/// A connection within a transaction.
#[derive(Debug)]
pub enum Connection {
    /// To a file.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// To a server.
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A transaction that writes. It is rolled back unless it is committed.
#[derive(Debug)]
pub struct Transaction(Connection);

/// Where a query is run.
#[derive(Debug)]
pub enum On<'a> {
    /// On any connection.
    Pool(&'a Pool),
    /// As a part of a transaction.
    Connection(&'a mut Connection),
}

impl Pool {
    /// Begin a transaction that writes. SQLite has one writer, and a transaction waits for it here, not in its middle.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        Ok(Transaction(match self {
            Pool::Sqlite(_, writer) => Connection::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Pool::Postgres(pool) => Connection::Postgres(pool.begin().await?),
        }))
    }

    /// What a `SELECT` ends with to lock its rows until the transaction ends. Where there is one writer, they are.
    pub fn for_update(&self) -> &'static str {
        match self {
            Pool::Sqlite(..) => "",
            Pool::Postgres(_) => " FOR UPDATE",
        }
    }

    /// The same for rows of which any will do: those that are locked are passed over.
    pub fn for_any_update(&self) -> &'static str {
        match self {
            Pool::Sqlite(..) => "",
            Pool::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }
}

impl Transaction {
    /// Keep what was done.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0 {
            Connection::Sqlite(transaction) => transaction.commit().await,
            Connection::Postgres(transaction) => transaction.commit().await,
        }
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
        On::Pool(pool)
    }
}

impl<'a> From<&'a mut Connection> for On<'a> {
    fn from(connection: &'a mut Connection) -> Self {
        On::Connection(connection)
    }
}
