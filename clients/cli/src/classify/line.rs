//! An input and what came of it; lines are shown in the order of their inputs, whatever the order of the answers.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use graft_client::proto::ClassifyResponse;

/// An input and what came of it.
#[derive(Debug)]
pub struct Line {
    /// What the input is called.
    pub input: String,
    /// What the input's file says that it is.
    pub label: Option<String>,
    /// What heads say, or why none does.
    pub result: Result<ClassifyResponse, String>,
}

impl Line {
    /// Whether all heads have answered.
    pub fn is_whole(&self) -> bool {
        let answered = |found: &ClassifyResponse| found.classifications.iter().all(|one| one.error.is_none());
        self.result.as_ref().is_ok_and(answered)
    }
}

/// An input whose answer may not be there yet.
#[derive(Debug)]
pub struct Waiting {
    /// What the input is called.
    pub input: String,
    /// What the input's file says that it is.
    pub label: Option<String>,
    /// What came of it.
    pub result: Option<Result<ClassifyResponse, String>>,
}

/// Inputs in their order, from the first whose line was not taken.
#[derive(Debug, Default)]
pub struct Order {
    waiting: VecDeque<Waiting>,
    /// The number of the first.
    first: u64,
}

impl Order {
    /// The next input.
    pub fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// The answer to the input of this number.
    pub fn answer(&mut self, number: &str, result: Result<ClassifyResponse, String>) -> Result<()> {
        let index = number.parse().ok().and_then(|number: u64| number.checked_sub(self.first));
        let waiting = index.and_then(|index| self.waiting.get_mut(index as usize));
        waiting.context("the trainer answered what was not asked")?.result = Some(result);
        Ok(())
    }

    /// The next line, if what came of its input is known.
    pub fn take_next(&mut self) -> Option<Line> {
        let Waiting { input, label, result } = self.waiting.pop_front_if(|first| first.result.is_some())?;
        self.first += 1;
        Some(Line { input, label, result: result? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_the_order_of_their_inputs() {
        let mut order = Order::default();
        let waiting = |input: &str, result| Waiting { input: input.into(), label: None, result };
        order.push(waiting("a", None));
        order.push(waiting("b", Some(Err("not a file".into()))));
        order.push(waiting("c", None));
        order.answer("2", Ok(ClassifyResponse::default())).unwrap();
        assert!(order.take_next().is_none());
        order.answer("0", Ok(ClassifyResponse::default())).unwrap();
        let names: Vec<String> = std::iter::from_fn(|| order.take_next()).map(|line| line.input).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(order.answer("0", Ok(ClassifyResponse::default())).is_err());
        assert!(order.answer("7", Ok(ClassifyResponse::default())).is_err());
    }
}
