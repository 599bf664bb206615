//! Where Graft's other programs are.

use std::path::{Path, PathBuf};

/// The program beside this one; one on the PATH if there is none.
pub fn beside_me(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap_or_default();
    let beside = me.parent().unwrap_or(Path::new("")).join(name);
    if beside.is_file() { beside } else { name.into() }
}
