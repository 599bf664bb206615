//! Copies a file and hashes it in the same pass, so that what was hashed is what was written.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::error::PullError;

/// Bytes in one step.
const STEP: usize = 1 << 20;

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// sha256 of the content, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Copy `from` to `to`, which must not be there, and force it to the disk.
pub fn copy(from: &Path, to: &Path) -> Result<Copied, PullError> {
    let mut source = File::open(from).map_err(PullError::file(from))?;
    let mut target = File::create_new(to).map_err(PullError::file(to))?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; STEP];
    loop {
        let read = source.read(&mut buffer).map_err(PullError::file(from))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(PullError::file(to))?;
        bytes += read as u64;
    }
    target.sync_all().map_err(PullError::file(to))?;
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Copied { sha256, bytes })
}

/// Whether a text is a sha256: 64 hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_copy_is_the_file_and_the_hash_is_sha256() {
        let folder = tempfile::TempDir::new().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&from, "abc").unwrap();
        let copied = copy(&from, &to).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(copied.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((copied.bytes, fs::read(&to).unwrap()), (3, b"abc".to_vec()));
        assert!(matches!(copy(&from, &to), Err(PullError::File { .. })), "nothing is overwritten");
    }
}
