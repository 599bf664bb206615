//! The token that says who calls.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::HeaderValue;

use crate::Error;

/// A token's file is looked at again after this long: tokens that are renewed on disk are used.
const LOOK: Duration = Duration::from_secs(10);

/// A token, sent as `authorization: Bearer …`. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// The token itself.
    Text(String),
    /// The file that holds it; spaces and line ends around it do not count.
    File(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Text(_) => f.write_str("Text(…)"),
            Token::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The header of each call.
pub struct Bearer {
    token: Token,
    now: Mutex<(Instant, HeaderValue)>,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.token.fmt(f)
    }
}

impl Bearer {
    /// Read the token.
    pub fn new(token: Token) -> Result<Bearer, Error> {
        let header = header(&token)?;
        Ok(Bearer { token, now: Mutex::new((Instant::now(), header)) })
    }

    /// The header now. While the file cannot be read, the last token that could be counts.
    pub fn header(&self) -> HeaderValue {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.token, Token::File(_)) && now.0.elapsed() > LOOK {
            now.0 = Instant::now();
            if let Ok(header) = header(&self.token) {
                now.1 = header;
            }
        }
        now.1.clone()
    }
}

fn header(token: &Token) -> Result<HeaderValue, Error> {
    match token {
        Token::Text(text) => bearer("token", text),
        Token::File(path) => bearer(&format!("token-file {}", path.display()), &read(path)?),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let reason = |error| format!("it cannot be read: {error}");
    fs::read_to_string(path)
        .map_err(|error| Error::Config { place: format!("token-file {}", path.display()), reason: reason(error) })
}

fn bearer(place: &str, text: &str) -> Result<HeaderValue, Error> {
    let wrong = |reason: &str| Error::Config { place: place.to_owned(), reason: reason.to_owned() };
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("it is empty; a token is expected"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("a token is one word of visible ASCII characters"));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|error| wrong(&error.to_string()))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        let bearer = Bearer::new(Token::Text("s3cret".into())).unwrap();
        assert_eq!(bearer.header(), "Bearer s3cret");
        assert!(!format!("{bearer:?}{:?}", bearer.header()).contains("s3cret"));
        for odd in ["", " \n", "two words", "umlaut-ä", "line\nbreak"] {
            let message = Bearer::new(Token::Text(odd.into())).unwrap_err().to_string();
            assert!(message.starts_with("token: ") && !message.contains("umlaut"), "{message}");
        }
    }

    #[test]
    fn a_renewed_file_is_read_and_a_lost_one_forgiven() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("token");
        assert!(Bearer::new(Token::File(path.clone())).unwrap_err().to_string().contains("cannot be read"));
        fs::write(&path, "first\n").unwrap();
        let bearer = Bearer::new(Token::File(path.clone())).unwrap();
        let long_ago = || bearer.now.lock().unwrap().0 = Instant::now().checked_sub(2 * LOOK).unwrap();
        fs::write(&path, "second\n").unwrap();
        assert_eq!(bearer.header(), "Bearer first");
        long_ago();
        assert_eq!(bearer.header(), "Bearer second");
        fs::remove_file(&path).unwrap();
        long_ago();
        assert_eq!(bearer.header(), "Bearer second");
    }
}
