//! Lists come in pages: all of one, or as much of it as is wanted.

use anyhow::Result;

/// Entries in one page, at the most: what the services give.
const PAGE: usize = 1000;
/// However many there are.
pub const ALL: usize = usize::MAX;

/// A list.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// Its entries, in the service's order.
    pub entries: Vec<T>,
    /// Whether there are more than were wanted.
    pub more: bool,
}

/// The first `limit` entries. `page` is asked for a page of so many entries after a token, and gives them with the next token.
pub async fn pages<T>(
    limit: usize,
    mut page: impl AsyncFnMut(u32, String) -> Result<(Vec<T>, String)>,
) -> Result<Listed<T>> {
    let (mut entries, mut token) = (Vec::new(), String::new());
    while entries.len() < limit {
        let size = (limit - entries.len()).min(PAGE) as u32;
        let (found, next) = page(size, token).await?;
        entries.extend(found);
        token = next;
        if token.is_empty() {
            return Ok(Listed { entries, more: false });
        }
    }
    Ok(Listed { entries, more: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2,500 numbers, as a service gives them.
    async fn numbers(limit: usize) -> (Vec<usize>, bool, Vec<u32>) {
        let mut asked = Vec::new();
        let page = async |size: u32, token: String| {
            asked.push(size);
            let from = token.parse().unwrap_or(0);
            let to = (from + size as usize).min(2500);
            Ok(((from..to).collect(), if to < 2500 { to.to_string() } else { String::new() }))
        };
        let Listed { entries, more } = pages(limit, page).await.unwrap();
        (entries, more, asked)
    }

    #[tokio::test]
    async fn pages_are_joined_and_no_more_are_asked_for_than_is_wanted() {
        let (entries, more, asked) = numbers(ALL).await;
        assert!(entries.iter().copied().eq(0..2500) && !more);
        assert_eq!(asked, [1000, 1000, 1000]);
        let (entries, more, asked) = numbers(1200).await;
        assert!(entries.iter().copied().eq(0..1200) && more);
        assert_eq!(asked, [1000, 200]);
    }

    #[tokio::test]
    async fn a_page_that_fails_fails_the_list() {
        let failed = pages::<u8>(ALL, async |_, _| anyhow::bail!("no such dataset")).await;
        assert_eq!(failed.unwrap_err().to_string(), "no such dataset");
    }
}
