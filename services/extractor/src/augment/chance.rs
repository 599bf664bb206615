//! Random numbers that are the same for the same image, seed, view and kind, on every machine and in every release.

/// BLAKE3's endless output over what it depends on.
#[derive(Debug)]
pub struct Chance(blake3::OutputReader);

impl Chance {
    /// The chance of one kind of change in one view of an image.
    pub fn new(content: &[u8; 32], seed: u64, view: u32, kind: &str) -> Chance {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"graft view 1\n").update(content);
        hasher.update(&seed.to_le_bytes()).update(&view.to_le_bytes()).update(kind.as_bytes());
        Chance(hasher.finalize_xof())
    }

    fn bits(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Evenly between `from` and `to`.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        let unit = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        from + (to - from) * unit
    }

    /// Evenly from 0 up to and with `last`.
    pub fn up_to(&mut self, last: u32) -> u32 {
        ((u128::from(self.bits()) * (u128::from(last) + 1)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_and_both_ends_are_drawn() {
        let mut chance = Chance::new(&[3; 32], 1, 1, "test");
        let mut counts = [0; 10];
        (0..10_000).for_each(|_| counts[chance.up_to(9) as usize] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        let mean = (0..10_000).map(|_| chance.between(2.0, 4.0)).sum::<f64>() / 1e4;
        assert!((mean - 3.0).abs() < 0.02, "{mean}");
        assert!((0..100).all(|_| chance.up_to(0) == 0));
    }
}
