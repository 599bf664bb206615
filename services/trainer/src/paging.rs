//! Pages of a list: a token says where the next one begins.

use graft_chassis::status;
use prost::Message;
use tonic::Status;

/// Entries on a page unless told.
const USUAL: u32 = 100;
/// Entries on a page at the most.
const MOST: u32 = 1000;
/// Bytes on a page at the most, unless one entry alone has more: an answer must fit a message of 16 MiB.
const MOST_BYTES: usize = 8 << 20;

/// A page that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries on it.
    pub size: u32,
    /// The key of the last entry of the page before; empty for the first page.
    pub after: String,
}

impl Page {
    /// Check a request's page.
    pub fn parse(size: u32, token: &str) -> Result<Page, Status> {
        let size = match size {
            0 => USUAL,
            1..=MOST => size,
            _ => return Err(status::invalid("page_size", format!("{size}; 1 to {MOST} are accepted, 0 for {USUAL}"))),
        };
        // Keys are names and run ids: all of them plain.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if token.len() > 64 || !token.chars().all(plain) {
            return Err(status::invalid("page_token", "not one of ours; give back next_page_token as it came"));
        }
        Ok(Page { size, after: token.to_owned() })
    }

    /// Cut a list that was read one entry longer than the page, and give the token of the next one.
    pub fn cut<T>(&self, entries: &mut Vec<T>, key: impl Fn(&T) -> &str) -> String {
        if entries.len() <= self.size as usize {
            return String::new();
        }
        entries.truncate(self.size as usize);
        entries.last().map(|last| key(last).to_owned()).unwrap_or_default()
    }

    /// The same, for entries as they are sent: a page also ends where its bytes are too many for one message. `next` is the
    /// token as `cut` gave it.
    pub fn cut_by_bytes<T: Message>(entries: &mut Vec<T>, next: String, key: impl Fn(&T) -> &str) -> String {
        let mut bytes = 0;
        let fitting = entries.iter().take_while(|entry| {
            bytes += entry.encoded_len();
            bytes <= MOST_BYTES
        });
        let fitting = fitting.count().max(1);
        if fitting >= entries.len() {
            return next;
        }
        entries.truncate(fitting);
        entries.last().map(|last| key(last).to_owned()).unwrap_or_default()
    }

    /// How many entries to read: one more than the page holds, to know whether there is another.
    pub fn read(&self) -> u32 {
        self.size + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fits_a_message() {
        let dataset = |name: &str, kib: usize| graft_proto::v1::Dataset {
            name: name.into(),
            space: "x".repeat(kib << 10),
            ..Default::default()
        };
        let cut = |sizes: &[usize], next: &str| {
            let mut entries: Vec<_> =
                sizes.iter().zip(["a", "b", "c"]).map(|(size, name)| dataset(name, *size)).collect();
            let token = Page::cut_by_bytes(&mut entries, next.into(), |dataset| &dataset.name);
            (entries.len(), token)
        };
        assert_eq!(cut(&[1, 1, 1], "c"), (3, "c".into()));
        assert_eq!(cut(&[1, 1, 1], ""), (3, String::new()));
        assert_eq!(cut(&[5000, 3000, 5000], ""), (2, "b".into()));
        assert_eq!(cut(&[9000, 1, 1], "c"), (1, "a".into()), "one that is too large alone is sent alone");
        assert_eq!(cut(&[], ""), (0, String::new()));
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = Page::parse(2, "").unwrap();
        let mut three = vec!["a", "b", "c"];
        assert_eq!((page.cut(&mut three, |e| e), three), ("b".to_owned(), vec!["a", "b"]));
        let mut two = vec!["c", "d"];
        assert_eq!(page.cut(&mut two, |e| e), "");
        assert_eq!(Page::parse(0, "x").unwrap().size, USUAL);
        assert!(Page::parse(1001, "").is_err() && Page::parse(1, "no/pe").is_err());
    }
}
