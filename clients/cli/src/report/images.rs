//! Small pictures of examples, where their files are at hand: by the id that an example was imported with, which is its path
//! for a folder, and else by the hash of its content.

use std::{
    cell::{Cell, OnceCell},
    collections::HashMap,
    fs::{self, File},
    io::{Cursor, Read},
    path::{Component, Path, PathBuf},
};

use anyhow::{Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageReader, Limits, codecs::jpeg::JpegEncoder};
use walkdir::WalkDir;

/// Pixels of a small picture's longer side: sharp at 96 on a screen of double density.
const SIDE: u32 = 160;
/// Small pictures in a page, at the most: some 5 kB each.
const MOST: usize = 80;
/// The largest file that is read, in bytes: what the extractor takes.
const MOST_BYTES: u64 = 16 << 20;
/// The most memory that decoding one may take, in bytes, and its longest side.
const DECODE_BYTES: u64 = 256 << 20;
const DECODE_SIDE: u32 = 16_384;
/// Files that are hashed to find those that have no path, at the most, and their bytes.
const HASHED_FILES: usize = 50_000;
const HASHED_BYTES: u64 = 8 << 30;
/// How well a small picture is kept, 1 to 100.
const QUALITY: u8 = 82;

/// A folder of images.
pub struct Images {
    root: Option<PathBuf>,
    /// The files by the hash of their content, read when one is first missed.
    by_hash: OnceCell<HashMap<String, PathBuf>>,
    left: Cell<usize>,
}

impl Images {
    /// The images below `root`; without it, none.
    pub fn open(root: Option<PathBuf>) -> Result<Images> {
        if let Some(root) = root.as_ref().filter(|root| !root.is_dir()) {
            bail!("--images: {} is no folder; name the one that was imported", root.display());
        }
        Ok(Images { root, by_hash: OnceCell::new(), left: Cell::new(MOST) })
    }

    /// A small picture of an example as a `data:` URI; `None` where there is no such file, or no more are to be shown.
    pub fn small(&self, id: &str, hash: &str) -> Option<String> {
        let root = self.root.as_deref()?;
        let left = self.left.get().checked_sub(1)?;
        let by_id = inside(root, id).and_then(|path| shrink(&path));
        let found = by_id.or_else(|| {
            let files = self.by_hash.get_or_init(|| hash_all(root));
            files.get(hash).and_then(|path| shrink(path))
        })?;
        self.left.set(left);
        Some(found)
    }
}

/// The file that `id` names below `root`; one that leads out of it is none.
fn inside(root: &Path, id: &str) -> Option<PathBuf> {
    let relative = Path::new(id);
    let plain = !id.is_empty() && relative.components().all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| root.join(relative)).filter(|path| path.is_file())
}

/// The files below `root` by the hash that the trainer knows their content by: BLAKE3 after a word for the kind.
fn hash_all(root: &Path) -> HashMap<String, PathBuf> {
    let mut bytes = 0;
    let files = WalkDir::new(root).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let within = files.take(HASHED_FILES).take_while(|entry| {
        bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        bytes <= HASHED_BYTES
    });
    let hashed = within.filter_map(|entry| {
        let content = read(entry.path())?;
        let hash = blake3::Hasher::new().update(b"encoded\0").update(&content).finalize();
        Some((hash.to_hex().to_string(), entry.into_path()))
    });
    hashed.collect()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = fs::metadata(path).ok()?.len();
    if size > MOST_BYTES {
        return None;
    }
    File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn shrink(path: &Path) -> Option<String> {
    let mut reader = ImageReader::new(Cursor::new(read(path)?)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODE_BYTES);
    limits.max_image_width = Some(DECODE_SIDE);
    limits.max_image_height = Some(DECODE_SIDE);
    reader.limits(limits);
    let image = reader.decode().ok()?;
    // A picture that is small already stays as it is, so that its pixels are seen.
    let small = if image.width().max(image.height()) > SIDE { image.thumbnail(SIDE, SIDE) } else { image };
    let mut jpeg = Vec::new();
    let rgb = DynamicImage::ImageRgb8(small.to_rgb8());
    rgb.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY)).ok()?;
    Some(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::TempDir::new().unwrap();
        fs::create_dir(folder.path().join("cat")).unwrap();
        let image = DynamicImage::ImageRgb8(image::RgbImage::from_pixel(400, 200, image::Rgb([9, 90, 200])));
        image.save(folder.path().join("cat/a.png")).unwrap();
        fs::write(folder.path().join("words.png"), "these are words").unwrap();
        folder
    }

    #[test]
    fn an_image_is_found_by_path_or_by_content_and_made_small() {
        let folder = folder();
        let images = Images::open(Some(folder.path().to_owned())).unwrap();
        let small = images.small("cat/a.png", "").unwrap();
        let bytes = BASE64_STANDARD.decode(small.strip_prefix("data:image/jpeg;base64,").unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (160, 80));
        let content = fs::read(folder.path().join("cat/a.png")).unwrap();
        let hash = blake3::Hasher::new().update(b"encoded\0").update(&content).finalize().to_hex().to_string();
        assert_eq!(images.small("row 7", &hash), Some(small));
        assert_eq!(images.small("words.png", ""), None, "no image");
        assert_eq!(images.left.get(), MOST - 2);
    }

    #[test]
    fn nothing_is_read_from_outside_and_a_page_has_so_many_at_the_most() {
        let folder = folder();
        let images = Images::open(Some(folder.path().join("cat"))).unwrap();
        fs::copy(folder.path().join("cat/a.png"), folder.path().join("b.png")).unwrap();
        assert_eq!(images.small("../b.png", ""), None);
        assert_eq!(images.small(&folder.path().join("b.png").to_string_lossy(), ""), None);
        images.left.set(0);
        assert_eq!(images.small("a.png", ""), None);
        assert_eq!(Images::open(None).unwrap().small("a.png", ""), None);
        assert!(Images::open(Some(folder.path().join("nowhere"))).is_err());
    }
}
