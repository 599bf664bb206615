//! What comes back.

use sqlx::{Column as _, Error, Row as _, TypeInfo, postgres::PgRow, sqlite::SqliteRow};

/// A row of either database.
#[derive(Debug)]
pub enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// The value of a column.
    ///
    /// # Errors
    /// If there is no such column, or its value is not of this type or outside its range.
    pub fn try_get<'r, T: Column<'r>, N: AsRef<str>>(&'r self, name: N) -> Result<T, Error> {
        let name = name.as_ref();
        let at = match self {
            Row::Sqlite(row) => row.try_column(name)?.ordinal(),
            Row::Postgres(row) => row.try_column(name)?.ordinal(),
        };
        T::read(self, at)
    }

    /// The value of the first column.
    pub fn first<'r, T: Column<'r>>(&'r self) -> Result<T, Error> {
        T::read(self, 0)
    }

    /// An integer of any width, or a boolean.
    fn integer(&self, at: usize) -> Result<Option<i64>, Error> {
        match self {
            Row::Sqlite(row) => row.try_get(at),
            Row::Postgres(row) => match row.try_column(at)?.type_info().name() {
                "BOOL" => Ok(row.try_get::<Option<bool>, _>(at)?.map(i64::from)),
                "INT4" => Ok(row.try_get::<Option<i32>, _>(at)?.map(i64::from)),
                _ => row.try_get(at),
            },
        }
    }
}

/// What a column may be read as.
pub trait Column<'r>: Sized {
    /// The value of column `at`.
    fn read(row: &'r Row, at: usize) -> Result<Self, Error>;
}

/// Text and bytes are the same in both databases.
macro_rules! plain {
    ($($type:ty),*) => {$(
        impl<'r> Column<'r> for $type {
            fn read(row: &'r Row, at: usize) -> Result<Self, Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(at),
                    Row::Postgres(row) => row.try_get(at),
                }
            }
        }
    )*};
}

plain!(String, Option<String>, &'r str, Vec<u8>, Option<Vec<u8>>, &'r [u8]);

impl<'r> Column<'r> for Option<i64> {
    fn read(row: &'r Row, at: usize) -> Result<Self, Error> {
        row.integer(at)
    }
}

impl<'r> Column<'r> for i64 {
    fn read(row: &'r Row, at: usize) -> Result<Self, Error> {
        row.integer(at)?.ok_or_else(|| wrong(at, "it is NULL"))
    }
}

impl<'r> Column<'r> for bool {
    fn read(row: &'r Row, at: usize) -> Result<Self, Error> {
        Ok(i64::read(row, at)? != 0)
    }
}

macro_rules! narrow {
    ($($type:ty),*) => {$(
        impl<'r> Column<'r> for $type {
            fn read(row: &'r Row, at: usize) -> Result<Self, Error> {
                let number = i64::read(row, at)?;
                number.try_into().map_err(|_| wrong(at, &format!("{number} is out of range")))
            }
        }

        impl<'r> Column<'r> for Option<$type> {
            fn read(row: &'r Row, at: usize) -> Result<Self, Error> {
                let narrow = |number: i64| number.try_into().map_err(|_| wrong(at, &format!("{number} is out of range")));
                row.integer(at)?.map(narrow).transpose()
            }
        }
    )*};
}

narrow!(i32, u32);

fn wrong(at: usize, reason: &str) -> Error {
    Error::ColumnDecode { index: at.to_string(), source: reason.into() }
}
