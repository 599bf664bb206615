//! Standard output, written a piece at a time.

use std::io::{Write, stdout};

use anyhow::Result;

/// Bytes that wait to be written, at the most.
const MOST: usize = 64 << 10;

/// Where lines are written.
#[derive(Default)]
pub struct Out {
    waiting: Vec<u8>,
}

impl Out {
    /// Write a text.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Write bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < MOST { Ok(()) } else { self.flush() }
    }

    /// Let whoever reads have what was written.
    pub fn flush(&mut self) -> Result<()> {
        let mut out = stdout().lock();
        out.write_all(&self.waiting)?;
        out.flush()?;
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
impl Out {
    /// What waits to be written.
    pub fn written(self) -> String {
        String::from_utf8(self.waiting).unwrap()
    }
}
