//! What serving asks of heads: which versions there are, of which space and size, and their weights.

use bytes::Bytes;
use graft_proto::v1::Head;

use super::{Store, heads::decode, sql};
use crate::{
    error::StoreError,
    names::{Alias, HeadRef, Tenant},
};

/// Heads that are noted at once, at the most.
const NOTED_AT_ONCE: u32 = 100;
/// Bytes of a label in memory beside its own, about.
const LABEL_BYTES: usize = 32;

/// A version that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The head.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The embedding space that it classifies.
    pub space: String,
    /// What it takes in memory, in bytes.
    pub bytes: u64,
}

impl Store {
    /// The version that is meant, if there is one.
    pub async fn resolve_head(&self, tenant: &Tenant, wanted: &HeadRef) -> Result<Option<VersionRow>, StoreError> {
        let Some(version) = self.version(tenant, wanted).await? else { return Ok(None) };
        loop {
            let row = sql::query("SELECT space, bytes FROM heads WHERE tenant = ? AND name = ? AND version = ?")
                .bind(tenant.as_str())
                .bind(wanted.name.as_str())
                .bind(version)
                .fetch_optional(&self.sql)
                .await?;
            let Some(row) = row else { return Ok(None) };
            let (space, bytes): (Option<String>, Option<i64>) = (row.try_get("space")?, row.try_get("bytes")?);
            if let (Some(space), Some(bytes)) = (space, bytes) {
                let name = wanted.name.as_str().to_owned();
                return Ok(Some(VersionRow { name, version, space, bytes: bytes.unsigned_abs() }));
            }
            self.note_spaces(tenant).await?;
        }
    }

    /// The newest version that each head has in `space`, or the one that its `alias` is on, where that is of the space; sorted by
    /// name, at most `most`.
    pub async fn heads_of_space(
        &self,
        tenant: &Tenant,
        space: &str,
        alias: Option<&Alias>,
        most: u32,
    ) -> Result<Vec<VersionRow>, StoreError> {
        self.note_spaces(tenant).await?;
        let version = match alias {
            None => "SELECT MAX(n.version) FROM heads n WHERE n.tenant = ?1 AND n.space = ?2 AND n.name = h.name",
            Some(_) => "SELECT a.version FROM aliases a WHERE a.tenant = ?1 AND a.head = h.name AND a.alias = ?4",
        };
        let text = format!(
            "SELECT h.name, h.version, h.bytes FROM heads h
             WHERE h.tenant = ?1 AND h.space = ?2 AND h.version = ({version}) ORDER BY h.name LIMIT ?3"
        );
        let query = sql::query(sqlx::AssertSqlSafe(text)).bind(tenant.as_str()).bind(space).bind(most);
        let query = match alias {
            None => query,
            Some(alias) => query.bind(alias.as_str()),
        };
        let rows = query.fetch_all(&self.sql).await?;
        let row = |row: &sql::Row| {
            let (name, version, bytes) =
                (row.try_get("name")?, row.try_get("version")?, row.try_get::<i64, _>("bytes")?);
            Ok(VersionRow { name, version, space: space.to_owned(), bytes: bytes.unsigned_abs() })
        };
        rows.iter().map(row).collect()
    }

    /// What is known of a version, and the file of its weights.
    pub async fn head_file(
        &self,
        tenant: &Tenant,
        name: &str,
        version: u32,
    ) -> Result<Option<(Head, Bytes)>, StoreError> {
        let row = sql::query("SELECT file, checksum, message FROM heads WHERE tenant = ? AND name = ? AND version = ?")
            .bind(tenant.as_str())
            .bind(name)
            .bind(version)
            .fetch_optional(&self.sql)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let bytes = self.get(row.try_get("file")?, row.try_get("checksum")?).await?;
        Ok(Some((decode(row.try_get("message")?)?, bytes)))
    }

    /// Note the spaces and sizes of heads that an earlier version of Graft wrote.
    async fn note_spaces(&self, tenant: &Tenant) -> Result<(), StoreError> {
        loop {
            let rows = sql::query(
                "SELECT name, version, file, message FROM heads WHERE tenant = ? AND (space IS NULL OR bytes IS NULL) LIMIT ?",
            )
            .bind(tenant.as_str())
            .bind(NOTED_AT_ONCE)
            .fetch_all(&self.sql)
            .await?;
            for row in &rows {
                let head = decode(row.try_get("message")?)?;
                // A file that is missing is told of when it is read.
                let bytes = size_in_memory(&head, self.files.size(row.try_get("file")?).await?.unwrap_or_default());
                sql::query("UPDATE heads SET space = ?, bytes = ? WHERE tenant = ? AND name = ? AND version = ?")
                    .bind(&head.space)
                    .bind(bytes)
                    .bind(tenant.as_str())
                    .bind(row.try_get::<&str, _>("name")?)
                    .bind(row.try_get::<u32, _>("version")?)
                    .execute(&self.sql)
                    .await?;
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}

/// What a head whose weights are a file of `file` bytes takes in memory, in bytes.
pub(super) fn size_in_memory(head: &Head, file: u64) -> i64 {
    let labels: usize = head.labels.iter().map(|label| label.len() + LABEL_BYTES).sum();
    i64::try_from(file + labels as u64).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use graft_proto::v1::{TrainingRun, TrainingState};

    use super::*;
    use crate::{
        fit::head,
        names::Name,
        store::{
            aliases::{Action, Change},
            heads::Deleted,
            place::{Place, in_both},
        },
    };

    in_both!(each_head_of_a_space_is_told_with_its_newest_version_there, what_was_not_noted_is_noted);

    /// Register a version of a head of one number and two labels.
    pub(crate) async fn put(store: &Store, name: &str, space: &str) {
        let tenant = Tenant::default();
        let id = format!("{name} {space} {}", uuid::Uuid::now_v7());
        let run = TrainingRun { id, head: name.into(), state: TrainingState::Queued as i32, ..Default::default() };
        store.put_run(&tenant, &run).await.unwrap();
        let lease = store.take_run("me").await.unwrap().unwrap().lease;
        let labels = vec!["a".into(), "b".into()];
        let head = Head { name: name.into(), space: space.into(), labels, dimension: 1, ..Default::default() };
        let weights = head::LinearHead { weights: vec![1.0, 2.0], bias: vec![0.0, 0.5], dimension: 1, classes: 2 };
        store.register(&tenant, head, &head::Head::Linear(weights), run, &lease).await.unwrap().unwrap();
    }

    async fn names(store: &Store, space: &str, most: u32) -> Vec<String> {
        let rows = store.heads_of_space(&Tenant::default(), space, None, most).await.unwrap();
        rows.iter().map(|row| format!("{}@{}", row.name, row.version)).collect()
    }

    fn wanted(text: &str) -> HeadRef {
        HeadRef::parse("head", text).unwrap()
    }

    async fn each_head_of_a_space_is_told_with_its_newest_version_there(place: Place) {
        let store = place.open().await;
        for (name, space) in [("b", "net@0"), ("a-z", "net@0"), ("a.b", "net@0"), ("a.b", "net@0"), ("a.b", "other@1")]
        {
            put(&store, name, space).await;
        }
        assert_eq!(names(&store, "net@0", 9).await, ["a-z@1", "a.b@2", "b@1"]);
        assert_eq!(names(&store, "net@0", 2).await, ["a-z@1", "a.b@2"]);
        assert_eq!(names(&store, "other@1", 9).await, ["a.b@3"]);
        assert!(names(&store, "net", 9).await.is_empty());
        let other = Tenant::stored("other".into());
        assert!(store.heads_of_space(&other, "net@0", None, 9).await.unwrap().is_empty());

        let champion = Alias::parse("alias", "champion").unwrap();
        for (head, version) in [("a-z", 1), ("a.b", 1)] {
            let head = Name::parse("head", head).unwrap();
            let action = Action::Promote { version, forced: false };
            let before = store.head_changes();
            let change = Change { head: &head, alias: &champion, action, seen: None, by: "me" };
            store.change_alias(&Tenant::default(), &change).await.unwrap();
            assert_ne!(store.head_changes(), before, "what was known before may be old");
        }
        let of_alias = async |space| {
            let rows = store.heads_of_space(&Tenant::default(), space, Some(&champion), 9).await.unwrap();
            rows.iter().map(|row| format!("{}@{}", row.name, row.version)).collect::<Vec<_>>()
        };
        assert_eq!(of_alias("net@0").await, ["a-z@1", "a.b@1"]);
        assert!(of_alias("other@1").await.is_empty(), "the version that the alias is on is of another space");
        let by_alias = store.resolve_head(&Tenant::default(), &wanted("a.b@champion")).await.unwrap().unwrap();
        assert_eq!((by_alias.version, by_alias.space.as_str()), (1, "net@0"));

        let before = store.head_changes();
        assert_eq!(store.delete_head(&Tenant::default(), &wanted("a.b@2")).await.unwrap(), Deleted::Done);
        assert_ne!(store.head_changes(), before, "what was known before may be old");
        assert_eq!(names(&store, "net@0", 9).await, ["a-z@1", "a.b@1", "b@1"]);
        assert_eq!(store.resolve_head(&Tenant::default(), &wanted("a.b@2")).await.unwrap(), None);
        let newest = store.resolve_head(&Tenant::default(), &wanted("a.b")).await.unwrap().unwrap();
        assert_eq!((newest.version, newest.space.as_str()), (3, "other@1"));
        let (head, file) = store.head_file(&Tenant::default(), "a.b", 3).await.unwrap().unwrap();
        assert_eq!((head.version, size_in_memory(&head, file.len() as u64) as u64), (3, newest.bytes));
        assert!(store.head_file(&Tenant::default(), "a.b", 2).await.unwrap().is_none());
    }

    async fn what_was_not_noted_is_noted(place: Place) {
        let store = place.open().await;
        for name in ["a", "b"] {
            put(&store, name, "net@0").await;
        }
        let noted = store.heads_of_space(&Tenant::default(), "net@0", None, 9).await.unwrap();
        assert!(noted.len() == 2 && noted.iter().all(|row| row.bytes > 0));
        let forget =
            async || sql::query("UPDATE heads SET space = NULL, bytes = NULL").execute(&store.sql).await.unwrap();
        forget().await;
        assert_eq!(store.heads_of_space(&Tenant::default(), "net@0", None, 9).await.unwrap(), noted);
        forget().await;
        assert_eq!(store.resolve_head(&Tenant::default(), &wanted("a")).await.unwrap().as_ref(), noted.first());
    }
}
