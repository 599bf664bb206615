//! Made-up embeddings of the default backbone's space: they are imported without an extractor's work, so many in little time.

use anyhow::{Context, Result};
use graft_proto::v1::{Embedding, Example, GetBackboneRequest, Split};

use crate::services::Service;

/// A generator of examples whose classes can be told apart.
#[derive(Clone, Debug)]
pub struct MadeUp {
    /// The space, NAME@HASH.
    pub space: String,
    /// Numbers in an embedding.
    pub dimension: usize,
    /// How many classes there are.
    pub classes: usize,
}

impl MadeUp {
    /// Of the default backbone of `extractor`.
    pub async fn new(extractor: &Service, classes: usize) -> Result<MadeUp> {
        let mut client = extractor.extractor_client().await?;
        let backbone = client.get_backbone(GetBackboneRequest::default()).await?.into_inner().backbone;
        let backbone = backbone.context("a backbone")?;
        Ok(MadeUp { space: backbone.space, dimension: backbone.dimension as usize, classes })
    }

    /// The label of the example `index`.
    pub fn label(&self, index: usize) -> String {
        format!("class {}", index % self.classes)
    }

    /// The embedding of the example `index`: chance, and more in one of the first numbers, which tells the class.
    pub fn embedding(&self, index: usize) -> Embedding {
        // xorshift64 (Marsaglia 2003).
        let mut state = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let class = index % self.classes;
        let number = |at: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let chance = (state >> 40) as f32 / (1 << 24) as f32;
            if at == class { chance + 3.0 } else { chance }
        };
        let data = (0..self.dimension).map(number).flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        Embedding { space: self.space.clone(), dtype: 0, data: data.into() }
    }

    /// The example `index`, whose id is `example INDEX`.
    pub fn example(&self, index: usize, split: Split) -> Example {
        Example {
            id: format!("example {index}"),
            label: self.label(index),
            split: split as i32,
            embedding: Some(self.embedding(index)),
            ..Default::default()
        }
    }
}
