//! Files that were tampered with: whatever the bytes are, there are pixels or a reason, in bounded memory and time.
//!
//! `corpus/` holds a small file of each kind, as `pillow/decode.py` writes them from a corner of a photo, and whatever
//! once did harm. `PROPTEST_CASES` runs more of them.

#![allow(clippy::expect_used)]

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use graft_extractor::decode::{DecodeError, Limits, Source, decode};
use proptest::{prelude::*, sample::Index};

/// A file's name and bytes.
type File = (String, Vec<u8>);

/// Far above the corpus, far below what an image may measure by default, so that bombs are seen.
const LIMITS: Limits = Limits { bytes: 1 << 20, pixels: 1 << 20, side: 16_384 };
/// What decoding may cost, in KiB of this process's peak: 8 bytes a pixel, and the tags of a TIFF, a mebibyte each, as its
/// decoder keeps them.
const MEMORY_KIB: u64 = 192 << 10;

static BROKEN_DOWN: AtomicUsize = AtomicUsize::new(0);
/// Held by the test that watches the process's memory.
static ALONE: Mutex<()> = Mutex::new(());

fn corpus() -> Vec<File> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut files: Vec<File> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(&path).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

/// One thing done to a file.
#[derive(Clone, Debug)]
enum Change {
    /// A byte becomes another.
    Byte(Index, u8),
    /// Two bytes become an extreme number, as sizes and offsets are.
    Number(Index, u16),
    /// The rest is gone.
    Cut(Index),
    /// A stretch is left out.
    Remove(Index, usize),
    /// A stretch comes twice.
    Repeat(Index, usize),
    /// A stretch of another file takes the place of one.
    Graft(Index, usize, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let extremes = prop_oneof![Just(0), Just(1), Just(0x7fff), Just(0x8000), Just(0xffff), any::<u16>()];
    prop_oneof![
        6 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        3 => (at(), extremes).prop_map(|(at, number)| Change::Number(at, number)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), 1usize..64).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (at(), 1usize..64).prop_map(|(at, length)| Change::Repeat(at, length)),
        1 => (at(), 1usize..64, at()).prop_map(|(at, length, other)| Change::Graft(at, length, other)),
    ]
}

fn apply(change: &Change, bytes: &mut Vec<u8>, files: &[File]) {
    if bytes.is_empty() {
        return;
    }
    let stretch = |at: &Index, length: usize, bytes: &[u8]| {
        let start = at.index(bytes.len());
        start..(start + length).min(bytes.len())
    };
    match change {
        Change::Byte(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Change::Number(at, number) => {
            let range = stretch(at, 2, bytes);
            let length = range.len();
            bytes[range].copy_from_slice(&number.to_be_bytes()[..length]);
        }
        Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Change::Remove(at, length) => {
            let range = stretch(at, *length, bytes);
            bytes.drain(range);
        }
        Change::Repeat(at, length) => {
            let range = stretch(at, *length, bytes);
            let again = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, again);
        }
        Change::Graft(at, length, other) => {
            let donor = &files[other.index(files.len())].1;
            let piece = donor[stretch(at, *length, donor)].to_vec();
            let range = stretch(at, *length, bytes);
            bytes.splice(range, piece);
        }
    }
}

/// Decode as a lane does, which outlives a decoder that breaks down.
fn try_to_decode(bytes: Vec<u8>) -> Option<Result<(), DecodeError>> {
    let source = Source::Encoded(bytes.into());
    let Ok(outcome) = panic::catch_unwind(AssertUnwindSafe(|| decode(&source, &LIMITS))) else {
        BROKEN_DOWN.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    Some(outcome.map(|image| {
        assert!(matches!(image.channels, 1 | 3));
        let pixels = u64::from(image.width) * u64::from(image.height);
        assert!((1..=LIMITS.pixels).contains(&pixels), "{} x {}", image.width, image.height);
        assert_eq!(image.data.len() as u64, pixels * u64::from(image.channels));
    }))
}

/// The most memory that this process has had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How much that has grown. The kernel counts a processor at a time, so that a later figure may be a little lower.
fn grown_since(before: u64) -> u64 {
    peak_kib().saturating_sub(before)
}

#[test]
fn files_that_were_tampered_with_do_no_harm() {
    let _alone = ALONE.lock();
    let files = corpus();
    for (name, bytes) in &files {
        assert!(matches!(try_to_decode(bytes.clone()), Some(Ok(()))), "{name} is fine as it is");
    }
    let before = peak_kib();
    let (mut tried, mut decoded) = (0, 0);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(20_000);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    // The decoders' own words about what they met are of no use here.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = proptest::test_runner::TestRunner::new(config).run(
        &(any::<Index>(), proptest::collection::vec(change(), 1..6)),
        |(file, changes)| {
            let mut bytes = files[file.index(files.len())].1.clone();
            changes.iter().for_each(|change| apply(change, &mut bytes, &files));
            // The runner tries the same again while it simplifies; these few do not matter.
            let _ = try_to_decode(bytes);
            Ok(())
        },
    );
    panic::set_hook(hook);
    outcome.expect("every file is answered for");
    for (_, bytes) in &files {
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 40) {
            tried += 1;
            decoded += usize::from(matches!(try_to_decode(bytes[..end].to_vec()), Some(Ok(()))));
        }
    }
    let grown = grown_since(before);
    println!("{cases} files; {} broke a decoder; the peak grew by {grown} KiB", BROKEN_DOWN.load(Ordering::Relaxed));
    println!("of {tried} that end early, {decoded} were decoded");
    assert!(grown < MEMORY_KIB, "the peak grew by {grown} KiB");
}

#[test]
fn a_header_that_promises_too_much_is_refused_before_anything_is_allocated() {
    let _alone = ALONE.lock();
    let before = peak_kib();
    // Where each format has its width and height, and how wide they are.
    for (name, at, bytes) in
        [("gif-film.gif", 6, 2), ("bmp-rgb.bmp", 18, 4), ("bmp-palette.bmp", 18, 4), ("webp-film.webp", 24, 3)]
    {
        let (_, mut file) = corpus().into_iter().find(|(file, _)| file == name).expect(name);
        for side in 0..2 {
            let written = &16_000u32.to_le_bytes()[..bytes];
            file[at + side * bytes..][..bytes].copy_from_slice(written);
        }
        let refused = decode(&Source::Encoded(file.into()), &Limits::default()).map(|_| ()).expect_err(name);
        assert!(matches!(refused, DecodeError::TooManyPixels { .. }), "{name}: {refused}");
    }
    assert!(grown_since(before) < 64 << 10, "nothing was allocated for the pixels");
}
