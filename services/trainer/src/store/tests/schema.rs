//! The tables: the same in both databases, and brought up to date from those of earlier versions.

use std::collections::BTreeMap;

use sqlx::{Row, SqlitePool, migrate::Migrator, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::store::{Store, place::Place, sql::Pool};

fn numbers(migrator: &Migrator) -> Vec<(i64, String)> {
    migrator.iter().map(|migration| (migration.version, migration.description.to_string())).collect()
}

/// Tables with their columns: name, type, whether it may be NULL.
type Tables = BTreeMap<String, Vec<(String, String, bool)>>;

/// The columns of all tables but that of the migrations, as `query` tells them: table, column, type, whether it may be NULL.
fn gather(rows: impl Iterator<Item = (String, String, String, bool)>) -> Tables {
    let mut tables = Tables::new();
    for (table, column, kind, nullable) in rows.filter(|(table, ..)| table != "_sqlx_migrations") {
        let kind = match kind.as_str() {
            "INTEGER" | "bigint" => "integer",
            "TEXT" | "text" => "text",
            "BLOB" | "bytea" => "bytes",
            other => panic!("{table}.{column} is of the type {other}"),
        };
        tables.entry(table).or_default().push((column, kind.to_owned(), nullable));
    }
    tables.values_mut().for_each(|columns| columns.sort());
    tables
}

#[tokio::test]
async fn both_databases_have_the_same_tables() {
    let (sqlite, postgres) = (sqlx::migrate!("migrations/sqlite"), sqlx::migrate!("migrations/postgres"));
    assert_eq!(numbers(&sqlite), numbers(&postgres), "each migration is written for both");

    let directory = Place::directory().await;
    let (file, cluster) = (directory.open().await, Place::cluster().await);
    let (Pool::Sqlite(file, _), Pool::Postgres(server)) = (&file.sql, &cluster.open().await.sql) else { panic!() };
    let rows = sqlx::query(
        "SELECT m.name AS t, c.name AS c, c.type AS k, c.\"notnull\" = 0 AND c.pk = 0 AS n
         FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
    );
    let rows = rows.fetch_all(file).await.unwrap();
    let of_file = gather(rows.iter().map(|row| (row.get("t"), row.get("c"), row.get("k"), row.get("n"))));
    let rows = sqlx::query(
        "SELECT table_name::text AS t, column_name::text AS c, data_type::text AS k, is_nullable = 'YES' AS n
         FROM information_schema.columns WHERE table_schema = 'public'",
    );
    let rows = rows.fetch_all(server).await.unwrap();
    let of_server = gather(rows.iter().map(|row| (row.get("t"), row.get("c"), row.get("k"), row.get("n"))));
    assert!(of_file.len() >= 10, "{of_file:?}");
    assert_eq!(of_file, of_server);

    let texts = "SELECT count(*) FROM information_schema.columns
                 WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
                   AND table_name <> '_sqlx_migrations'";
    let other: i64 = sqlx::query_scalar(texts).fetch_one(server).await.unwrap();
    assert_eq!(other, 0, "text is in the order of its bytes everywhere");
}

#[tokio::test]
async fn what_an_earlier_version_stored_is_still_there() {
    let folder = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("graft.db")).create_if_missing(true);
    let sql = SqlitePool::connect_with(options).await.unwrap();
    let mut first = sqlx::migrate!("migrations/sqlite");
    first.migrations = first.migrations.iter().take(1).cloned().collect::<Vec<_>>().into();
    first.run(&sql).await.unwrap();
    for statement in [
        "INSERT INTO datasets VALUES (1, 'default', 'pets', 'net', 'net@0', 3, 0)",
        "INSERT INTO examples VALUES (1, 'default', zeroblob(32), 'cat', 2)",
    ] {
        sqlx::query(statement).execute(&sql).await.unwrap();
    }
    sql.close().await;

    let store = Store::open(folder.path()).await.unwrap();
    let name = crate::names::Name::parse("name", "pets").unwrap();
    let dataset = store.dataset(&crate::names::Tenant::default(), &name).await.unwrap().unwrap();
    assert!(!dataset.multi_label);
    let [example] = &store.examples(dataset.id).await.unwrap()[..] else { panic!() };
    assert_eq!((&example.labels[..], example.id.as_str()), (&["cat".to_owned()][..], ""));
    assert_eq!(example.split, graft_proto::v1::Split::Validation);
    let described = store.describe(dataset).await.unwrap();
    assert_eq!((described.example_count, described.classes[0].validation), (1, 1));
}
