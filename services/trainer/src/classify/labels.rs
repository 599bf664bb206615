//! The labels of a head, all in one piece of memory: with thousands of heads, each piece that lies elsewhere is waited for.

use std::ops::Index;

/// The labels of a head, in the order of its logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// One after the other.
    text: Box<str>,
    /// Where each ends in `text`, in bytes.
    ends: Box<[u32]>,
}

impl Labels {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|at| &self[at])
    }
}

impl FromIterator<String> for Labels {
    fn from_iter<I: IntoIterator<Item = String>>(labels: I) -> Labels {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for label in labels {
            text.push_str(&label);
            // A file of labels has at most a few megabytes.
            ends.push(text.len() as u32);
        }
        Labels { text: text.into(), ends: ends.into() }
    }
}

impl Index<usize> for Labels {
    type Output = str;

    fn index(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[at] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_they_came() {
        let all = ["ant", "", "Käfer", "dog"];
        let labels: Labels = all.iter().map(|label| (*label).to_owned()).collect();
        assert!(labels.iter().eq(all) && labels.len() == 4 && !labels.is_empty());
        assert_eq!((&labels[0], &labels[1], &labels[2]), ("ant", "", "Käfer"));
        assert!(Labels::from_iter(Vec::new()).is_empty());
    }
}
