//! Tar in the WebDataset form: `key.jpg` and, beside it, `key.cls`, `key.json` or `key.txt` with the label; gzip is fine.
//!
//! Nothing is unpacked onto the disk. The members of a key follow each other, so that no more than one example is held.

use std::{
    io::Read as _,
    path::{Component, Path},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use anyhow::Result;
use graft_client::proto::{Example, Split};
use serde_json::Value;
use tar::{Archive, Entry};

use super::{
    layout::is_picture,
    piece::{Read, Rejected, encoded, read_limited},
    text,
};

/// Examples read ahead: the archive is read in a thread of its own, since its entries borrow from it.
const AHEAD: usize = 4;
/// The largest label that is read, in bytes.
const MOST_LABEL: u64 = 1 << 16;
/// The keys of a label in `key.json`, best first.
const KEYS: [&str; 6] = ["label", "labels", "class", "cls", "category", "label_name"];

/// The examples of an archive, one after the other.
pub struct Tar {
    name: String,
    examples: Receiver<Read>,
    /// Gone once its end was told.
    thread: Option<JoinHandle<()>>,
}

/// How an archive is read.
#[derive(Clone, Debug)]
struct Rules {
    name: String,
    /// The key of the label in `key.json`.
    label: Option<String>,
    split: Split,
    /// For a multi-label dataset: what separates labels in one text.
    separator: Option<String>,
}

impl Tar {
    /// Open an archive.
    pub fn open(path: &Path, label: Option<String>, split: Split, separator: Option<String>) -> Result<Tar> {
        let (bytes, name) = (text::open(path)?, text::name(path));
        let (examples, receiver) = sync_channel(AHEAD);
        let rules = Rules { name: name.clone(), label, split, separator };
        // Whoever does not want more drops the receiver.
        let thread = std::thread::spawn(move || drop(rules.read(bytes, &examples)));
        Ok(Tar { name, examples: receiver, thread: Some(thread) })
    }
}

impl Iterator for Tar {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        if let Ok(read) = self.examples.recv() {
            return Some(read);
        }
        let ended = self.thread.take()?.join();
        ended.is_err().then(|| Err(Rejected::new(self.name.clone(), "reading the archive broke down")))
    }
}

/// Nobody wants more.
struct Over;

/// What has been read of a key.
#[derive(Debug, Default)]
struct Sample {
    key: String,
    image: Option<Vec<u8>>,
    /// The label with the rank of where it was: `cls` before `json` before `txt`.
    label: Option<(u8, Vec<String>)>,
    problem: Option<String>,
}

impl Rules {
    fn read(&self, bytes: text::Bytes, to: &SyncSender<Read>) -> Result<(), Over> {
        let tell = |read: Read| to.send(read).map_err(|_| Over);
        let broken =
            |error: std::io::Error| Err(Rejected::new(self.name.clone(), format!("the archive ends here: {error}")));
        let mut archive = Archive::new(bytes);
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return tell(broken(error)),
        };
        let mut sample = Sample::default();
        for entry in entries {
            let mut entry = match entry {
                Ok(entry) => entry,
                // Where the next one begins is told by this one.
                Err(error) => {
                    self.finish(sample).map_or(Ok(()), tell)?;
                    return tell(broken(error));
                }
            };
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map(|path| path.into_owned()).unwrap_or_default();
            let outside = path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
            if outside || path.as_os_str().is_empty() {
                let reason = "its path leads out of the archive; relative paths without `..` are accepted";
                tell(Err(Rejected::new(path.to_string_lossy(), reason)))?;
                continue;
            }
            let (key, kind) = split_name(&path);
            if key.rsplit('/').next().is_none_or(|name| name.is_empty()) {
                continue;
            }
            if key != sample.key {
                let full = std::mem::replace(&mut sample, Sample { key, ..Sample::default() });
                self.finish(full).map_or(Ok(()), tell)?;
            }
            self.add(&mut sample, &path, &kind, &mut entry);
        }
        self.finish(sample).map_or(Ok(()), tell)
    }

    /// Read a member of a sample; those of other kinds are left out.
    fn add(&self, sample: &mut Sample, path: &Path, kind: &str, entry: &mut Entry<text::Bytes>) {
        let announced = entry.size();
        let read = if is_picture(path) {
            if sample.image.is_some() {
                return;
            }
            read_limited(entry, Some(announced)).map(|bytes| sample.image = Some(bytes))
        } else {
            let Some(rank) = ["cls", "json", "txt"].iter().position(|known| *known == kind) else { return };
            self.label(rank, entry).map(|labels| {
                let rank = rank as u8;
                if sample.label.as_ref().is_none_or(|(best, _)| rank < *best) {
                    sample.label = Some((rank, labels));
                }
            })
        };
        if let Err(reason) = read {
            sample.problem = Some(format!("{}: {reason}", path.display()));
        }
    }

    fn label(&self, rank: usize, entry: &mut Entry<text::Bytes>) -> Result<Vec<String>, String> {
        let mut bytes = Vec::new();
        entry.take(MOST_LABEL).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "no text".to_owned())?;
        let split = |text: &str| match &self.separator {
            Some(separator) if !separator.is_empty() => text.split(separator.as_str()).map(tidy).collect(),
            _ => vec![tidy(text)],
        };
        if rank != 1 {
            return Ok(split(&text));
        }
        let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let found = match &self.label {
            Some(key) => value.get(key),
            None => KEYS.iter().find_map(|key| value.get(key)).or((!value.is_object()).then_some(&value)),
        };
        let labels = match found {
            Some(Value::Array(labels)) => labels.iter().map(scalar).collect::<Option<Vec<_>>>(),
            Some(Value::String(text)) => Some(split(text)),
            Some(one) => scalar(one).map(|label| vec![label]),
            // Other things may be said of an image than its label.
            None => Some(Vec::new()),
        };
        labels.ok_or_else(|| "its label is neither a text nor a number, nor a list of them".to_owned())
    }

    /// What a sample came to; nothing if none of its members was an image or a label.
    fn finish(&self, sample: Sample) -> Option<Read> {
        let Sample { key, image, label, problem } = sample;
        if image.is_none() && label.is_none() && problem.is_none() {
            return None;
        }
        let reject = |reason: &str| Some(Err(Rejected::new(key.clone(), reason)));
        if let Some(problem) = problem {
            return reject(&problem);
        }
        let Some(image) = image else { return reject("no image beside the label") };
        let mut labels = label.map(|(_, labels)| labels).unwrap_or_default();
        labels.retain(|label| !label.is_empty());
        if self.separator.is_some() {
            return Some(Ok(Example { labels, ..encoded(key, String::new(), self.split, image) }));
        }
        match &labels[..] {
            [] => reject("no label: key.cls, key.json or key.txt beside the image is expected"),
            [label] => Some(Ok(encoded(key.clone(), label.clone(), self.split, image))),
            many => reject(&format!(
                "{} labels; a dataset has one label an image unless it is made with --multi-label",
                many.len()
            )),
        }
    }
}

/// `a/b/000.seg.png` is of the key `a/b/000` and the kind `seg.png`.
fn split_name(path: &Path) -> (String, String) {
    let whole = path.to_string_lossy().trim_start_matches("./").to_owned();
    let name_at = whole.rfind('/').map_or(0, |at| at + 1);
    match whole[name_at..].find('.') {
        Some(dot) => (whole[..name_at + dot].to_owned(), whole[name_at + dot + 1..].to_ascii_lowercase()),
        None => (whole, String::new()),
    }
}

fn tidy(text: &str) -> String {
    text.trim().to_owned()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(tidy(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// Whether a file begins as tar does: the magic is at the end of the first heading.
pub fn begins(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(members: &[(&str, &[u8])], separator: Option<&str>, cut: usize) -> Vec<Read> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            // Written as it is, `..` and all.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("t.tar");
        std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        Tar::open(&path, None, Split::Unspecified, separator.map(str::to_owned)).unwrap().collect()
    }

    fn told(read: &Read) -> String {
        match read {
            Ok(example) => format!("{}={}{}", example.id, example.label, example.labels.join("+")),
            Err(bad) => format!("{}: {}", bad.place, bad.reason),
        }
    }

    #[test]
    fn members_of_a_key_are_one_example_and_the_rest_goes_on() {
        let members: &[(&str, &[u8])] = &[
            ("a/0.jpg", b"0"),
            ("a/0.cls", b"7\n"),
            ("a/0.txt", b"a caption"),
            ("./a/1.seg.png", b"s"),
            ("./a/1.json", b"{\"label\": \"cat\"}"),
            ("2.jpg", b"2"),
            ("3.cls", b"3"),
            ("../../4.jpg", b"4"),
            ("5.jpg", b"5"),
            ("5.json", b"{"),
            ("notes", b"n"),
            ("6.jpg", b"6"),
            ("6.txt", b"dog"),
        ];
        let found: Vec<String> = read(members, None, 0).iter().map(told).collect();
        assert_eq!(found.len(), 7, "{found:?}");
        assert_eq!((found[0].as_str(), found[1].as_str(), found[6].as_str()), ("a/0=7", "a/1=cat", "6=dog"));
        for (index, words) in [(2, "2: no label"), (3, "leads out"), (4, "3: no image"), (5, "5.json")] {
            assert!(found[index].contains(words), "{index}: {found:?}");
        }
    }

    #[test]
    fn several_labels_are_a_list_or_separated() {
        let members: &[(&str, &[u8])] = &[
            ("0.jpg", b"0"),
            ("0.txt", b"x; y"),
            ("1.jpg", b"1"),
            ("1.json", b"{\"labels\": [\"x\", 2]}"),
            ("2.jpg", b"2"),
        ];
        let found: Vec<String> = read(members, Some(";"), 0).iter().map(told).collect();
        assert_eq!(found, ["0=x+y", "1=x+2", "2="]);
    }

    #[test]
    fn what_was_cut_off_is_told_after_what_was_whole() {
        let members: &[(&str, &[u8])] = &[("0.jpg", b"0"), ("0.cls", b"7"), ("1.jpg", &[1; 2000])];
        let found: Vec<String> = read(members, None, 1024 + 1500).iter().map(told).collect();
        assert_eq!(found[0], "0=7");
        assert!(found.len() >= 2 && found.len() <= 3, "{found:?}");
    }
}
