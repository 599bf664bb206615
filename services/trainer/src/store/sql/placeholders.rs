//! How PostgreSQL wants its parameters named: `$1`, `$2`, …

/// Give the parameters of a statement, written as SQLite takes them (`?` for the next, `?3` for the third), the names that
/// PostgreSQL knows. `$3` is known to both, and stays. `None` if there is nothing to change.
pub(super) fn numbered(text: &str) -> Option<String> {
    if !text.contains('?') {
        return None;
    }
    let mut pieces = text.split('?');
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(pieces.next().unwrap_or_default());
    let mut highest = 0;
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let number = piece[..digits].parse().unwrap_or(highest + 1);
        highest = highest.max(number);
        out.push('$');
        out.push_str(&number.to_string());
        out.push_str(&piece[digits..]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_get_their_numbers() {
        for (text, expected) in [
            ("SELECT 1", None),
            ("a = $2 AND b = $1", None),
            ("a = ? AND b = ?", Some("a = $1 AND b = $2")),
            ("VALUES (?1, ?2, ?1, ?12)", Some("VALUES ($1, $2, $1, $12)")),
            ("?2 = a AND ? = b", Some("$2 = a AND $3 = b")),
            ("?", Some("$1")),
        ] {
            assert_eq!(numbered(text).as_deref(), expected, "{text}");
        }
    }
}
