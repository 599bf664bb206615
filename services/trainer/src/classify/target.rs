//! Which heads a request asks, and what for.

use graft_chassis::status;
use graft_proto::v1::EveryHead;
use tonic::Status;

use crate::names::{Alias, HeadRef};

/// Heads that a request may name, at the most.
const MOST_NAMED: usize = 1000;
/// Bytes of a space's id, at the most: a backbone's name and a hash.
const SPACE_BYTES: usize = 256;
/// Classes named unless told: of one head, and of each of many.
const USUAL_TOP_K: usize = 5;
const USUAL_TOP_K_OF_MANY: usize = 1;
/// Classes named of a head, at the most.
const MOST_TOP_K: u32 = 1000;
/// Classes named of many heads together, at the most: with the longest labels and names they fit a message.
const MOST_PREDICTIONS: usize = 100_000;

/// The heads that are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One, which answers alone.
    One(HeadRef),
    /// Those that were named.
    Several(Vec<HeadRef>),
    /// All of a space.
    Every(EverySpec),
}

/// All heads of a space.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EverySpec {
    /// The embedding space, NAME@HASH.
    pub space: String,
    /// The versions that this alias is on; the newest unless told.
    pub alias: Option<Alias>,
}

/// What a caller wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Classes to name of each head.
    pub top_k: usize,
    /// Say where the most probable class is not probable enough.
    pub detect_unknown: bool,
}

impl Target {
    /// Check the three ways to name heads, of which a request takes one; `prefix` is what its fields' names begin with.
    pub fn parse(prefix: &str, head: &str, heads: &[String], every_head: Option<EveryHead>) -> Result<Target, Status> {
        let (named, several) = (format!("{prefix}head"), format!("{prefix}heads"));
        match (head, heads, every_head) {
            (head, [], None) => Ok(Target::One(HeadRef::parse(&named, head)?)),
            ("", [], Some(every)) => {
                let field = format!("{prefix}every_head.space");
                if every.space.len() > SPACE_BYTES {
                    let message = format!("{} bytes; NAME@HASH or a backbone's name is accepted", every.space.len());
                    return Err(status::invalid(&field, message));
                }
                let field = format!("{prefix}every_head.alias");
                let alias = Some(every.alias).filter(|alias| !alias.is_empty());
                let alias = alias.map(|alias| Alias::parse(&field, &alias)).transpose()?;
                Ok(Target::Every(EverySpec { space: every.space, alias }))
            }
            ("", heads, None) if heads.len() <= MOST_NAMED => {
                let heads = heads.iter().map(|head| HeadRef::parse(&several, head));
                Ok(Target::Several(heads.collect::<Result<_, Status>>()?))
            }
            ("", heads, None) => {
                Err(status::invalid(&several, format!("{} heads; 1 to {MOST_NAMED} are accepted", heads.len())))
            }
            _ => {
                let message = "given together with others; exactly one of head, heads and every_head is accepted";
                Err(status::invalid(&named, message))
            }
        }
    }
}

impl Wanted {
    /// Check what is wanted of `target`.
    pub fn parse(field: &str, top_k: u32, detect_unknown: bool, target: &Target) -> Result<Wanted, Status> {
        let usual = if matches!(target, Target::One(_)) { USUAL_TOP_K } else { USUAL_TOP_K_OF_MANY };
        match top_k {
            0 => Ok(Wanted { top_k: usual, detect_unknown }),
            1..=MOST_TOP_K => Ok(Wanted { top_k: top_k as usize, detect_unknown }),
            _ => Err(status::invalid(field, format!("{top_k}; 1 to {MOST_TOP_K} are accepted, 0 for {usual}"))),
        }
    }

    /// Whether the answers of so many heads fit a message.
    pub fn check_fit(&self, heads: usize) -> Result<(), Status> {
        if heads.saturating_mul(self.top_k) <= MOST_PREDICTIONS {
            return Ok(());
        }
        Err(status::invalid(
            "top_k",
            format!(
                "{} classes of each of {heads} heads; {MOST_PREDICTIONS} in all are accepted: at most {} of each",
                self.top_k,
                MOST_PREDICTIONS / heads
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn parse(head: &str, heads: &[&str], every: Option<&str>) -> Result<Target, Status> {
        let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        Target::parse(
            "options.",
            head,
            &heads,
            every.map(|space| EveryHead { space: space.into(), alias: "champion".into() }),
        )
    }

    #[test]
    fn heads_are_named_in_one_of_three_ways() {
        let head = |text| HeadRef::parse("head", text).unwrap();
        assert_eq!(parse("a@2", &[], None).unwrap(), Target::One(head("a@2")));
        assert_eq!(parse("", &["a", "b@1"], None).unwrap(), Target::Several(vec![head("a"), head("b@1")]));
        let alias = Alias::parse("alias", "champion").ok();
        let every = |space: &str| Target::Every(EverySpec { space: space.into(), alias: alias.clone() });
        assert_eq!(parse("", &[], Some("net@0")).unwrap(), every("net@0"));
        assert_eq!(parse("", &[], Some("")).unwrap(), every(""));
        for (refused, word) in [
            (parse("", &[], None), "options.head:"),
            (parse("a", &["b"], None), "exactly one of"),
            (parse("a", &[], Some("net@0")), "exactly one of"),
            (parse("", &["a"], Some("net@0")), "exactly one of"),
            (parse("", &["a", "B"], None), "options.heads: `B`"),
            (parse("", &vec!["a"; 1001], None), "1001 heads; 1 to 1000"),
            (parse("", &[], Some(&"x".repeat(257))), "options.every_head.space: 257 bytes"),
            (
                Target::parse("", "", &[], Some(EveryHead { alias: "7".into(), ..Default::default() })),
                "every_head.alias: `7`",
            ),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.code() == Code::InvalidArgument && refused.message().contains(word), "{refused:?}");
        }
    }

    #[test]
    fn top_k_has_a_default_and_limits() {
        let (one, many) = (parse("a", &[], None).unwrap(), parse("", &["a"], None).unwrap());
        let top_k = |top_k, target| Wanted::parse("top_k", top_k, false, target).map(|wanted| wanted.top_k);
        assert_eq!((top_k(0, &one).unwrap(), top_k(0, &many).unwrap(), top_k(1000, &many).unwrap()), (5, 1, 1000));
        assert_eq!(top_k(1001, &one).unwrap_err().code(), Code::InvalidArgument);
        let wanted = Wanted { top_k: 20, detect_unknown: false };
        assert!(wanted.check_fit(5000).is_ok());
        let refused = wanted.check_fit(5001).unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains("at most 19"), "{refused:?}");
    }
}
