//! Figures of the last answers: kept in two windows of so many answers each, of which the older makes room for the next.

/// Answers of a window. The figures are of that many answers at least, once there were as many, and of twice that at most.
pub const ANSWERS: u64 = 1000;

/// What is counted of answers.
pub trait Count {
    /// Begin anew.
    fn clear(&mut self);
}

/// Two windows.
#[derive(Debug, Default)]
pub struct Windows<T> {
    now: T,
    before: T,
    /// Answers in `now`.
    filled: u64,
}

impl<T: Count> Windows<T> {
    /// Two that are empty.
    pub fn new(now: T, before: T) -> Windows<T> {
        Windows { now, before, filled: 0 }
    }

    /// Where the next answer is counted.
    pub fn slot(&mut self) -> &mut T {
        if self.filled == ANSWERS {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.clear();
            self.filled = 0;
        }
        self.filled += 1;
        &mut self.now
    }

    /// A figure of both.
    pub fn sum<N: std::iter::Sum>(&self, figure: impl Fn(&T) -> N) -> N {
        [&self.now, &self.before].into_iter().map(figure).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Seen(Vec<u64>);

    impl Count for Seen {
        fn clear(&mut self) {
            self.0.clear();
        }
    }

    #[test]
    fn the_last_answers_are_counted_and_no_others() {
        let mut windows: Windows<Seen> = Windows::default();
        for answer in 0..3500 {
            windows.slot().0.push(answer);
            let count = windows.sum(|seen| seen.0.len() as u64);
            assert!(count <= 2 * ANSWERS && count >= (answer + 1).min(ANSWERS), "{count}");
        }
        let all: u64 = windows.sum(|seen| seen.0.iter().sum());
        assert_eq!(all, (2000..3500).sum::<u64>());
    }
}
