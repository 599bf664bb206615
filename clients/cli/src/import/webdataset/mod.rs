//! Tar in the WebDataset form: `key.jpg` and, beside it, `key.cls`, `key.json` or `key.txt` with the label; gzip is fine.
//!
//! [`sample`] is the members of one key. They follow each other, so that no more than one example is held; nothing is
//! unpacked onto the disk.

use std::{
    io::Read as _,
    path::{Component, Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use anyhow::Result;
use graft_client::proto::Split;
use tar::{Archive, Entry, PaxExtensions};

use self::sample::{Rules, Sample};
use super::{
    piece::{Read, Rejected},
    text,
};

mod sample;

/// Examples read ahead: the archive is read in a thread of its own, since its entries borrow from it.
const AHEAD: usize = 4;
/// The longest path that is read, in bytes.
const MOST_NAME: u64 = 1 << 16;

/// The examples of an archive, one after the other.
pub struct Tar {
    name: String,
    examples: Receiver<Read>,
    /// Gone once its end was told.
    thread: Option<JoinHandle<()>>,
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

impl Rules {
    fn read(&self, bytes: text::Bytes, to: &SyncSender<Read>) -> Result<(), Over> {
        let tell = |read: Read| to.send(read).map_err(|_| Over);
        let broken =
            |error: std::io::Error| Err(Rejected::new(self.name.clone(), format!("the archive ends here: {error}")));
        let mut archive = Archive::new(bytes);
        let entries = match archive.entries() {
            // As they are: the crate would read a long name to its end, and a gzipped one may have none.
            Ok(entries) => entries.raw(true),
            Err(error) => return tell(broken(error)),
        };
        let (mut sample, mut named) = (Sample::default(), None);
        for entry in entries {
            let mut entry = match entry {
                Ok(entry) => entry,
                // Where the next one begins is told by this one.
                Err(error) => {
                    self.finish(sample).map_or(Ok(()), tell)?;
                    return tell(broken(error));
                }
            };
            if let Some(name) = long_name(&mut entry) {
                named = name;
                continue;
            }
            let long = named.take();
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = long.unwrap_or_else(|| entry.path().map(|path| path.into_owned()).unwrap_or_default());
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
                let full = std::mem::replace(&mut sample, Sample::of(key));
                self.finish(full).map_or(Ok(()), tell)?;
            }
            self.add(&mut sample, &path, &kind, &mut entry);
        }
        self.finish(sample).map_or(Ok(()), tell)
    }
}

/// The next entry's path, if that is what an entry is for: GNU's and POSIX's way of paths of more than 100 bytes.
fn long_name(entry: &mut Entry<text::Bytes>) -> Option<Option<PathBuf>> {
    let kind = entry.header().entry_type();
    let (gnu, pax) = (kind.is_gnu_longname(), kind.is_pax_local_extensions());
    if !gnu && !pax {
        return None;
    }
    let mut bytes = Vec::new();
    // What is longer makes an id that is too long, and what cannot be read is told of the next entry.
    let _ = entry.take(MOST_NAME).read_to_end(&mut bytes);
    if gnu {
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        return Some(Some(String::from_utf8_lossy(name).into_owned().into()));
    }
    let mut pairs = PaxExtensions::new(&bytes).flatten();
    let path = pairs.find(|pair| pair.key_bytes() == b"path");
    Some(path.map(|pair| String::from_utf8_lossy(pair.value_bytes()).into_owned().into()))
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
    fn long_paths_are_read_and_endless_ones_are_not() {
        let long = format!("{}/0", "folder".repeat(30));
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (kind, bytes) in [("png", b"0".as_slice()), ("cls", b"7")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, format!("{long}.{kind}"), bytes).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 26);
        header.set_cksum();
        builder.append(&header, std::io::repeat(b'x').take(1 << 26)).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_cksum();
        builder.append(&header, b"1".as_slice()).unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("t.tar.gz");
        std::fs::write(&path, builder.into_inner().unwrap().finish().unwrap()).unwrap();
        let found: Vec<Read> = Tar::open(&path, None, Split::Unspecified, None).unwrap().collect();
        assert_eq!(told(&found[0]), format!("{long}=7"));
        assert!(found.iter().skip(1).all(|read| told(read).len() < 100_000), "{}", found.len());
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
