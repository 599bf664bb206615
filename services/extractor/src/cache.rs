//! Embeddings that were made before, so that an image that comes again is neither decoded nor run.
//!
//! An embedding is kept by what its image is and by its space. Which ones stay is `quick_cache`'s choice (S3-FIFO: what is
//! asked for once does not drive out what is asked for often).

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};
use quick_cache::{OptionsBuilder, Weighter, sync::Cache};
use tokio::task::spawn_blocking;

use crate::{augment::Recipe, input::Input};

/// Images of more bytes are hashed on another thread, so that streams do not wait for them. BLAKE3 takes about 22 µs for
/// as many bytes, and 3 ms for the largest image.
const HASHED_AT_ONCE: usize = 128 << 10;
/// What an entry takes beside its numbers, in bytes: the key, the reference counts, and its place in lists and tables.
const ENTRY_BYTES: u64 = 128;
/// About what an entry takes, from which the size of the tables is estimated: 1,280 numbers.
const USUAL_ENTRY_BYTES: u64 = 5 << 10;
/// Parts with a lock each. Their entries are counted on every insertion.
const SHARDS: usize = 16;

/// BLAKE3 of an embedding space and an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key([u8; 32]);

/// Embeddings by image and space, within bounds.
#[derive(Debug)]
pub struct EmbeddingCache {
    kept: Cache<Key, Arc<[f32]>, ByBytes>,
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
    entries: Gauge,
}

/// The right to keep the embedding of one image.
#[derive(Debug)]
pub struct Keep {
    cache: Arc<EmbeddingCache>,
    key: Key,
}

/// What is known of an image.
#[derive(Debug)]
pub enum Found {
    /// Its embedding, and those of its views, in their order.
    Embeddings(Vec<Arc<[f32]>>),
    /// Nothing yet.
    Nothing(Keep),
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Key, Arc<[f32]>> for ByBytes {
    fn weight(&self, _key: &Key, embedding: &Arc<[f32]>) -> u64 {
        size_of_val::<[f32]>(embedding) as u64 + ENTRY_BYTES
    }
}

impl EmbeddingCache {
    /// An empty cache of at most `bytes`.
    pub fn new(bytes: u64) -> EmbeddingCache {
        let usual = usize::try_from(bytes / USUAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        let options =
            OptionsBuilder::new().shards(SHARDS).estimated_items_capacity(usual).weight_capacity(bytes).build();
        let kept = match options {
            Ok(options) => Cache::with_options(options, ByBytes, Default::default(), Default::default()),
            Err(_) => Cache::with_weighter(usual, bytes, ByBytes),
        };
        let lookups = |outcome| counter!("graft_extractor_embedding_cache_lookups_total", "outcome" => outcome);
        EmbeddingCache {
            kept,
            hits: lookups("hit"),
            misses: lookups("miss"),
            bytes: gauge!("graft_extractor_embedding_cache_bytes"),
            entries: gauge!("graft_extractor_embedding_cache_entries"),
        }
    }

    /// What is known of an image in `space`, with the views of `recipe`; `None` if it cannot be said, because the process
    /// ends. Where a view is missing, nothing is known.
    pub async fn look_up(
        cache: &Arc<EmbeddingCache>,
        space: &str,
        input: &Input,
        recipe: Option<&Recipe>,
    ) -> Option<Found> {
        let key = if input.len() <= HASHED_AT_ONCE {
            Key::of(space, input)
        } else {
            let (space, input) = (space.to_owned(), input.clone());
            spawn_blocking(move || Key::of(&space, &input)).await.ok()?
        };
        let known: Option<Vec<Arc<[f32]>>> = match recipe {
            None => cache.kept.get(&key).map(|embedding| vec![embedding]),
            Some(recipe) => (0..=recipe.views()).map(|view| cache.kept.get(&key.of_view(recipe, view))).collect(),
        };
        Some(match known {
            Some(embeddings) => {
                cache.hits.increment(1);
                Found::Embeddings(embeddings)
            }
            None => {
                cache.misses.increment(1);
                Found::Nothing(Keep { cache: cache.clone(), key })
            }
        })
    }

    fn insert(&self, key: Key, embedding: &[f32]) {
        self.kept.insert(key, embedding.into());
        self.bytes.set(self.kept.weight() as f64);
        self.entries.set(self.kept.len() as f64);
    }
}

impl Keep {
    /// The right to keep the embedding of a view of the image.
    pub fn of_view(&self, recipe: &Recipe, view: u32) -> Keep {
        Keep { cache: self.cache.clone(), key: self.key.of_view(recipe, view) }
    }

    /// Keep it.
    pub fn embedding(self, embedding: &[f32]) {
        self.cache.insert(self.key, embedding);
    }
}

impl Key {
    /// The key of a plain image in `space`, whose length comes before it.
    fn of(space: &str, input: &Input) -> Key {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"graft embedding 1\n");
        hasher.update(&(space.len() as u64).to_le_bytes()).update(space.as_bytes());
        input.add_to(&mut hasher);
        Key(*hasher.finalize().as_bytes())
    }

    /// The key of a view of the image that has this one; view 0 is the image itself.
    fn of_view(self, recipe: &Recipe, view: u32) -> Key {
        if view == 0 {
            return self;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"graft view 1\n").update(&self.0).update(&view.to_le_bytes()).update(recipe.text().as_bytes());
        Key(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bytes::Bytes;

    use super::*;
    use crate::decode::{RawPixels, Source};

    fn encoded(bytes: impl Into<Bytes>) -> Input {
        Input::Image(Source::Encoded(bytes.into()))
    }

    async fn found(cache: &Arc<EmbeddingCache>, space: &str, input: &Input) -> Found {
        EmbeddingCache::look_up(cache, space, input, None).await.unwrap()
    }

    #[test]
    fn no_two_inputs_have_one_key() {
        let pixels = |height, width, channels| {
            let data = Bytes::from_static(&[7; 12]);
            Input::Image(Source::Pixels(RawPixels { height, width, channels, data }))
        };
        let bytes = Bytes::from_static(&[7; 12]);
        let inputs = [
            encoded(bytes.clone()),
            encoded(bytes.slice(1..)),
            encoded([&b"x"[..], &bytes].concat()),
            Input::Tensor(bytes),
            pixels(2, 2, 3),
            pixels(2, 6, 1),
            pixels(6, 2, 1),
        ];
        let spaces = ["net@1", "net@1x", "net@2"];
        let keys: HashSet<Key> = spaces.iter().flat_map(|space| inputs.iter().map(|i| Key::of(space, i))).collect();
        assert_eq!(keys.len(), inputs.len() * spaces.len());
        let fetched = Input::Fetched(Bytes::from_static(&[7; 12]));
        assert_eq!(Key::of("net@1", &inputs[0]), Key::of("net@1", &fetched), "it is the same, wherever it came from");
    }

    #[tokio::test]
    async fn what_was_kept_is_found_in_its_space_alone() {
        let cache = Arc::new(EmbeddingCache::new(1 << 20));
        // The larger one is hashed on another thread.
        for image in [encoded("small"), encoded(vec![1; HASHED_AT_ONCE + 1])] {
            let Found::Nothing(keep) = found(&cache, "net@1", &image).await else { panic!("nothing was kept") };
            keep.embedding(&[1.0, 2.0]);
            let Found::Embeddings(known) = found(&cache, "net@1", &image).await else { panic!("it was kept") };
            assert_eq!(known[0][..], [1.0, 2.0]);
            assert!(matches!(found(&cache, "net@2", &image).await, Found::Nothing(_)));
        }
    }

    #[tokio::test]
    async fn views_are_kept_by_what_made_them_and_known_together() {
        let cache = Arc::new(EmbeddingCache::new(1 << 20));
        let recipe = |views, seed| {
            let asked = graft_proto::v1::Augmentation { views, seed, ..Default::default() };
            Recipe::new(&graft_proto::augmentation::resolve(&asked).unwrap().unwrap())
        };
        let (two, image) = (recipe(2, 0), encoded("image"));
        let look_up = async |recipe: Option<Recipe>| {
            EmbeddingCache::look_up(&cache, "net@1", &image, recipe.as_ref()).await.unwrap()
        };
        let Found::Nothing(keep) = look_up(Some(two.clone())).await else { panic!("nothing was kept") };
        keep.of_view(&two, 2).embedding(&[2.0]);
        keep.of_view(&two, 1).embedding(&[1.0]);
        assert!(matches!(look_up(Some(two.clone())).await, Found::Nothing(_)), "the image itself is missing");
        keep.embedding(&[0.0]);
        for (recipe, expected) in [(Some(two), &[0.0, 1.0, 2.0][..]), (Some(recipe(1, 0)), &[0.0, 1.0]), (None, &[0.0])]
        {
            let Found::Embeddings(known) = look_up(recipe).await else { panic!("they were kept") };
            assert_eq!(known.iter().map(|view| view[0]).collect::<Vec<f32>>(), expected);
        }
        for other in [recipe(3, 0), recipe(2, 1)] {
            assert!(matches!(look_up(Some(other)).await, Found::Nothing(_)));
        }
    }

    #[tokio::test]
    async fn it_never_takes_more_than_its_bytes_and_what_is_asked_for_often_stays() {
        const BYTES: u64 = 1 << 20;
        let cache = Arc::new(EmbeddingCache::new(BYTES));
        let favourite = encoded("asked for often");
        let mut hits = 0;
        for index in 0..5_000u32 {
            for image in [favourite.clone(), encoded(index.to_le_bytes().to_vec())] {
                match found(&cache, "net@1", &image).await {
                    Found::Embeddings(_) => hits += 1,
                    Found::Nothing(keep) => keep.embedding(&[0.5; 1280]),
                }
            }
            assert!(cache.kept.weight() <= BYTES, "{} after {index}", cache.kept.weight());
        }
        assert!(hits > 4_900, "{hits} of 4,999");
        assert!(cache.kept.len() > 100, "and it is used: {}", cache.kept.len());
    }

    #[tokio::test]
    async fn an_embedding_that_is_larger_than_all_of_it_is_not_kept() {
        let cache = Arc::new(EmbeddingCache::new(1 << 20));
        let image = encoded("wide");
        let Found::Nothing(keep) = found(&cache, "net@1", &image).await else { panic!("nothing was kept") };
        keep.embedding(&vec![0.0; 1 << 19]);
        assert!(matches!(found(&cache, "net@1", &image).await, Found::Nothing(_)));
        assert_eq!(cache.kept.weight(), 0);
    }
}
