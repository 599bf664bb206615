//! Other times that an image came: under another id, or with other labels.

use std::collections::HashMap;

use graft_proto::v1::Split;

use super::{
    Store,
    examples::{ExampleRow, UNLABELLED, hash_of},
    segments::push_hashes,
    sql::{self, Builder, Connection},
};
use crate::{content::ContentHash, error::StoreError, names::Tenant};

/// Other times that are kept of one image, at the most.
const MOST: i64 = 100;

/// Another time that an image came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appearance {
    /// The image.
    pub hash: ContentHash,
    /// The id that it came under.
    pub id: String,
    /// The labels that it came with, sorted, if they are not those of the example: a conflict.
    pub labels: Option<Vec<String>>,
}

/// Which examples to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those with this label.
    pub label: Option<String>,
    /// Those of this split.
    pub split: Option<Split>,
    /// Those that came under several ids.
    pub duplicates: bool,
    /// Those that came with other labels.
    pub conflicts: bool,
}

/// The condition of a duplicate and of a conflict on the example `e`.
const DUPLICATE: &str =
    "EXISTS (SELECT 1 FROM appearances a WHERE a.dataset = e.dataset AND a.hash = e.hash AND a.id <> e.id)";
const CONFLICT: &str =
    "EXISTS (SELECT 1 FROM appearances a WHERE a.dataset = e.dataset AND a.hash = e.hash AND a.labels IS NOT NULL)";

impl Store {
    /// Note other times that images came. One that came under its own id with its own labels is what it should be: what was
    /// noted of that id before is over. An example without an id gets one.
    pub async fn note(&self, tenant: &Tenant, dataset: i64, appearances: &[Appearance]) -> Result<(), StoreError> {
        if appearances.is_empty() {
            return Ok(());
        }
        let Some(mut write) = self.write_to(dataset).await? else { return Ok(()) };
        for Appearance { hash, id, labels } in appearances {
            let hash = &hash.as_bytes()[..];
            sql::query("UPDATE examples SET id = ? WHERE dataset = ? AND hash = ? AND id = ''")
                .bind(id)
                .bind(dataset)
                .bind(hash)
                .execute(&mut *write)
                .await?;
            sql::query(
                "INSERT INTO appearances (dataset, tenant, hash, id, labels)
                 SELECT e.dataset, ?1, e.hash, ?2, ?3 FROM examples e
                 WHERE e.dataset = ?4 AND e.hash = ?5 AND (e.id <> ?2 OR ?3 IS NOT NULL)
                   AND (SELECT COUNT(*) FROM appearances a WHERE a.dataset = ?4 AND a.hash = ?5) < ?6
                 ON CONFLICT (dataset, hash, id) DO UPDATE SET labels = excluded.labels",
            )
            .bind(tenant.as_str())
            .bind(id)
            .bind(labels.as_ref().map(|labels| labels.join("\n")))
            .bind(dataset)
            .bind(hash)
            .bind(MOST)
            .execute(&mut *write)
            .await?;
            if labels.is_none() {
                sql::query(
                    "DELETE FROM appearances WHERE dataset = ?1 AND hash = ?2 AND id = ?3 AND EXISTS (
                         SELECT 1 FROM examples e WHERE e.dataset = ?1 AND e.hash = ?2 AND e.id = ?3)",
                )
                .bind(dataset)
                .bind(hash)
                .bind(id)
                .execute(&mut *write)
                .await?;
            }
        }
        write.commit().await?;
        Ok(())
    }

    /// The other times of these images, sorted by id. Ask for a few hundred at once, at the most.
    pub async fn appearances(
        &self,
        dataset: i64,
        hashes: &[ContentHash],
    ) -> Result<HashMap<ContentHash, Vec<Appearance>>, StoreError> {
        let mut query = Builder::new("SELECT hash, id, labels FROM appearances WHERE dataset = ");
        query.push_bind(dataset);
        push_hashes(&mut query, "hash", hashes);
        query.push(" ORDER BY hash, id");
        let mut found: HashMap<ContentHash, Vec<Appearance>> = HashMap::new();
        for row in query.build().fetch_all(&self.sql).await? {
            let (hash, labels) = (hash_of(&row)?, row.try_get::<Option<String>, _>("labels")?);
            let labels = labels.map(|labels| labels.lines().map(str::to_owned).collect());
            found.entry(hash).or_default().push(Appearance { hash, id: row.try_get("id")?, labels });
        }
        Ok(found)
    }

    /// At most `most` examples that pass, after the hash `after`, in the order of the hashes.
    pub async fn filtered(
        &self,
        dataset: i64,
        filter: &Filter,
        after: Option<ContentHash>,
        most: u32,
    ) -> Result<Vec<ExampleRow>, StoreError> {
        let mut query = Builder::new("SELECT e.hash AS hash FROM examples e WHERE e.dataset = ");
        query.push_bind(dataset);
        if let Some(after) = after {
            query.push(" AND e.hash > ").push_bind(after.as_bytes().to_vec());
        }
        if let Some(split) = filter.split {
            query.push(" AND e.split = ").push_bind(split as i32);
        }
        if let Some(label) = &filter.label {
            query.push(
                " AND EXISTS (SELECT 1 FROM example_labels l WHERE l.dataset = e.dataset AND l.hash = e.hash AND l.label = ",
            );
            query.push_bind(label).push(")");
        }
        for (wanted, condition) in [(filter.duplicates, DUPLICATE), (filter.conflicts, CONFLICT)] {
            if wanted {
                query.push(" AND ").push(condition);
            }
        }
        query.push(" ORDER BY e.hash LIMIT ").push_bind(most);
        let rows = query.build().fetch_all(&self.sql).await?;
        let hashes: Vec<ContentHash> = rows.iter().map(hash_of).collect::<Result<_, _>>()?;
        self.some_examples(dataset, &hashes).await
    }

    /// How many examples came under several ids, how many with other labels, and to how many no label applies.
    pub async fn oddities(&self, dataset: i64) -> Result<[u64; 3], StoreError> {
        let mut counts = [0; 3];
        let none = "NOT EXISTS (SELECT 1 FROM example_labels l WHERE l.dataset = e.dataset AND l.hash = e.hash)";
        let none = format!("{none} AND e.split <> {UNLABELLED}");
        for (count, condition) in counts.iter_mut().zip([DUPLICATE, CONFLICT, &none]) {
            let sql = format!("SELECT COUNT(*) FROM examples e WHERE e.dataset = ? AND {condition}");
            let found: i64 = sql::query_scalar(sqlx::AssertSqlSafe(sql)).bind(dataset).fetch_one(&self.sql).await?;
            *count = found.max(0) as u64;
        }
        Ok(counts)
    }
}

/// A person has decided: the labels that an image came with at other times do not matter any more.
pub(super) async fn settle(sql: &mut Connection, dataset: i64, hash: &ContentHash) -> Result<(), StoreError> {
    let bytes = &hash.as_bytes()[..];
    sql::query(
        "DELETE FROM appearances WHERE dataset = ?1 AND hash = ?2 AND id = (
             SELECT id FROM examples e WHERE e.dataset = ?1 AND e.hash = ?2)",
    )
    .bind(dataset)
    .bind(bytes)
    .execute(&mut *sql)
    .await?;
    sql::query("UPDATE appearances SET labels = NULL WHERE dataset = ? AND hash = ?")
        .bind(dataset)
        .bind(bytes)
        .execute(&mut *sql)
        .await?;
    Ok(())
}
