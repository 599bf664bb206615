//! How many of what a tensor says it holds, held against what it does hold.

use bytes::Bytes;
use graft_chassis::status;
use tonic::Status;

/// The most images or embeddings of one request.
pub const MOST_ROWS: usize = 256;
/// Dimensions of a shape that a message repeats.
const SHOWN_DIMENSIONS: usize = 6;

/// The first dimension of `shape`, the count of its `what`: 1 to [`MOST_ROWS`].
///
/// # Errors
/// Another count.
pub fn count(first: i64, shape: &[i64], what: &str) -> Result<usize, Status> {
    let count = usize::try_from(first).ok().filter(|count| (1..=MOST_ROWS).contains(count));
    count.ok_or_else(|| wrong(shape, &format!("{first} {what}; 1 to {MOST_ROWS} are accepted")))
}

/// `data` in `count` equal parts, once it is known to have the bytes that the shape says.
///
/// # Errors
/// Another number of bytes than `expected`.
pub fn parts(
    data: Bytes,
    count: usize,
    expected: u128,
    shape: &[i64],
) -> Result<impl Iterator<Item = Bytes> + use<>, Status> {
    check(&data, expected, shape)?;
    let bytes = data.len() / count.max(1);
    Ok((0..count).map(move |index| data.slice(index * bytes..(index + 1) * bytes)))
}

/// Check that `data` has the bytes that the shape says.
///
/// # Errors
/// Another number of bytes than `expected`.
pub fn check(data: &[u8], expected: u128, shape: &[i64]) -> Result<(), Status> {
    if data.len() as u128 == expected {
        return Ok(());
    }
    Err(wrong(shape, &format!("the contents have {} bytes; {expected} are expected", data.len())))
}

/// What is wrong with a shape.
pub fn wrong(shape: &[i64], message: &str) -> Status {
    let mut dimensions: Vec<String> = shape.iter().take(SHOWN_DIMENSIONS).map(i64::to_string).collect();
    if shape.len() > SHOWN_DIMENSIONS {
        dimensions.push("…".to_owned());
    }
    status::invalid("inputs.shape", format!("[{}]: {message}", dimensions.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_at_least_one_row_and_not_too_many() {
        assert_eq!(count(1, &[1], "rows").unwrap(), 1);
        assert_eq!(count(256, &[256], "rows").unwrap(), 256);
        for first in [0, -1, 257, i64::MIN, i64::MAX] {
            let status = count(first, &[first, 2], "rows").unwrap_err();
            assert!(status.message().contains(&format!("{first} rows; 1 to 256")), "{status:?}");
        }
    }

    #[test]
    fn parts_are_equal_and_nothing_is_left() {
        let split = |bytes: &'static [u8], count, expected| {
            parts(Bytes::from_static(bytes), count, expected, &[2, 2]).map(Iterator::collect::<Vec<_>>)
        };
        assert_eq!(split(b"abcd", 2, 4).unwrap(), ["ab", "cd"]);
        for expected in [3, 5, u128::MAX] {
            assert!(split(b"abcd", 2, expected).unwrap_err().message().contains("[2, 2]: the contents have 4 bytes"));
        }
    }

    #[test]
    fn a_shape_is_told_back_in_few_words() {
        assert!(wrong(&[1; 100_000], "x").message().ends_with("[1, 1, 1, 1, 1, 1, …]: x"));
    }
}
