//! A statement with its parameters.

use std::{borrow::Cow, marker::PhantomData};

use sqlx::{AssertSqlSafe, Error, SqlSafeStr, SqlStr};

use super::{
    Connection, On, Pool,
    placeholders::numbered,
    row::{Column, Row},
    value::Value,
};

/// A statement and its parameters.
#[derive(Debug)]
pub struct Query<'q> {
    text: SqlStr,
    values: Vec<Value<'q>>,
    /// Whether the connection keeps it prepared.
    persistent: bool,
}

/// A statement whose first column alone matters.
#[derive(Debug)]
pub struct Scalar<'q, T> {
    query: Query<'q>,
    value: PhantomData<T>,
}

/// What a statement has done.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    rows: u64,
}

impl Done {
    /// How many rows it inserted, changed or deleted.
    pub fn rows_affected(&self) -> u64 {
        self.rows
    }
}

/// A statement.
pub fn query<'q>(text: impl SqlSafeStr) -> Query<'q> {
    Query { text: text.into_sql_str(), values: Vec::new(), persistent: true }
}

/// A statement whose first column alone matters.
pub fn query_scalar<'q, T: for<'r> Column<'r>>(text: impl SqlSafeStr) -> Scalar<'q, T> {
    Scalar { query: query(text), value: PhantomData }
}

/// Run a statement on whichever database it is for: `$run` is said of a query and of where it is run.
macro_rules! run {
    ($query:expr, $on:expr, |$ready:ident, $executor:ident| $run:expr, $sqlite:path, $postgres:path) => {{
        let (query, on): (Query<'_>, On<'_>) = ($query, $on.into());
        match on {
            On::Pool(Pool::Sqlite($executor, _)) => {
                let $ready = bound!(query.values, sqlx::query(query.text).persistent(query.persistent));
                $run.map($sqlite)
            }
            On::Pool(Pool::Postgres($executor)) => {
                let $ready = bound!(query.values, sqlx::query(named(query.text)).persistent(query.persistent));
                $run.map($postgres)
            }
            On::Connection(Connection::Sqlite(transaction)) => {
                let $executor = &mut **transaction;
                let $ready = bound!(query.values, sqlx::query(query.text).persistent(query.persistent));
                $run.map($sqlite)
            }
            On::Connection(Connection::Postgres(transaction)) => {
                let $executor = &mut **transaction;
                let $ready = bound!(query.values, sqlx::query(named(query.text)).persistent(query.persistent));
                $run.map($postgres)
            }
        }
    }};
}

/// A query of sqlx with the parameters `$values`.
macro_rules! bound {
    ($values:expr, $query:expr) => {
        $values.into_iter().fold($query, |query, value| match value {
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text.map(Cow::into_owned)),
            Value::Bytes(bytes) => query.bind(bytes.map(Cow::into_owned)),
        })
    };
}

/// The text as PostgreSQL wants it.
fn named(text: SqlStr) -> SqlStr {
    match numbered(text.as_str()) {
        Some(text) => AssertSqlSafe(text).into_sql_str(),
        None => text,
    }
}

impl<'q> Query<'q> {
    /// The value of the next parameter.
    pub fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The values of the next parameters.
    pub fn with(mut self, values: Vec<Value<'q>>) -> Self {
        self.values.extend(values);
        self
    }

    /// Whether the connection keeps the statement prepared, for the next time.
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Run it.
    pub async fn execute<'e>(self, on: impl Into<On<'e>>) -> Result<Done, Error> {
        let sqlite = |done: sqlx::sqlite::SqliteQueryResult| Done { rows: done.rows_affected() };
        let postgres = |done: sqlx::postgres::PgQueryResult| Done { rows: done.rows_affected() };
        run!(self, on, |query, executor| query.execute(executor).await, sqlite, postgres)
    }

    /// Its rows.
    pub async fn fetch_all<'e>(self, on: impl Into<On<'e>>) -> Result<Vec<Row>, Error> {
        fn sqlite(rows: Vec<sqlx::sqlite::SqliteRow>) -> Vec<Row> {
            rows.into_iter().map(Row::Sqlite).collect()
        }
        fn postgres(rows: Vec<sqlx::postgres::PgRow>) -> Vec<Row> {
            rows.into_iter().map(Row::Postgres).collect()
        }
        run!(self, on, |query, executor| query.fetch_all(executor).await, sqlite, postgres)
    }

    /// Its row, if it has one.
    pub async fn fetch_optional<'e>(self, on: impl Into<On<'e>>) -> Result<Option<Row>, Error> {
        fn sqlite(row: Option<sqlx::sqlite::SqliteRow>) -> Option<Row> {
            row.map(Row::Sqlite)
        }
        fn postgres(row: Option<sqlx::postgres::PgRow>) -> Option<Row> {
            row.map(Row::Postgres)
        }
        run!(self, on, |query, executor| query.fetch_optional(executor).await, sqlite, postgres)
    }

    /// Its row.
    ///
    /// # Errors
    /// [`Error::RowNotFound`] if it has none.
    pub async fn fetch_one<'e>(self, on: impl Into<On<'e>>) -> Result<Row, Error> {
        self.fetch_optional(on).await?.ok_or(Error::RowNotFound)
    }
}

impl<'q, T: for<'r> Column<'r>> Scalar<'q, T> {
    /// The value of the next parameter.
    pub fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// Its values.
    pub async fn fetch_all<'e>(self, on: impl Into<On<'e>>) -> Result<Vec<T>, Error> {
        self.query.fetch_all(on).await?.iter().map(Row::first).collect()
    }

    /// Its value, if it has one.
    pub async fn fetch_optional<'e>(self, on: impl Into<On<'e>>) -> Result<Option<T>, Error> {
        self.query.fetch_optional(on).await?.as_ref().map(Row::first).transpose()
    }

    /// Its value.
    pub async fn fetch_one<'e>(self, on: impl Into<On<'e>>) -> Result<T, Error> {
        self.query.fetch_one(on).await?.first()
    }
}
