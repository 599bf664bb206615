//! What commands, flags and enum values are called.

use prost_reflect::{EnumDescriptor, EnumValueDescriptor};

/// `ListBackbones`, `page_size` and `GRPCInference` as `list-backbones`, `page-size` and `grpc-inference`.
pub fn kebab(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (place, letter) in letters.iter().enumerate() {
        if *letter == '_' {
            if !text.ends_with('-') && !text.is_empty() {
                text.push('-');
            }
            continue;
        }
        let before = place.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(place + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if begins {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// The group of a service's commands: its name without `Service`.
pub fn group(service: &str) -> String {
    let bare = service.strip_suffix("Service").filter(|bare| !bare.is_empty());
    kebab(bare.unwrap_or(service))
}

/// An enum's value without the prefix of the enum's name: `HEAD_KIND_SOFTMAX` of `HeadKind` as `softmax`.
pub fn choice(of: &EnumDescriptor, value: &EnumValueDescriptor) -> String {
    kebab(without_prefix(of.name(), value.name()).unwrap_or(value.name()))
}

/// What follows the enum's name and an underscore in the value's name, whatever the underscores in the prefix.
fn without_prefix<'a>(of: &str, value: &'a str) -> Option<&'a str> {
    let mut rest = value;
    for letter in of.chars().filter(|letter| *letter != '_') {
        rest = rest.trim_start_matches('_');
        rest = rest.strip_prefix(letter.to_ascii_uppercase())?;
    }
    rest.strip_prefix('_').filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_kebabs() {
        for (name, expected) in [
            ("ListBackbones", "list-backbones"),
            ("page_size", "page-size"),
            ("GRPCInference", "grpc-inference"),
            ("L2Trial", "l2-trial"),
            ("macro_f1", "macro-f1"),
            ("fp32_contents", "fp32-contents"),
            ("_odd__name", "odd-name"),
        ] {
            assert_eq!(kebab(name), expected);
        }
        assert_eq!(group("HeadService"), "head");
        assert_eq!(group("GRPCInferenceService"), "grpc-inference");
        assert_eq!(group("Service"), "service");
    }

    #[test]
    fn the_prefix_of_an_enum_goes() {
        assert_eq!(without_prefix("HeadKind", "HEAD_KIND_SOFTMAX"), Some("SOFTMAX"));
        assert_eq!(without_prefix("DType", "D_TYPE_F32"), Some("F32"));
        assert_eq!(without_prefix("DType", "DTYPE_F32"), Some("F32"));
        assert_eq!(without_prefix("NullValue", "NULL_VALUE"), None);
        assert_eq!(without_prefix("Kind", "KINDLY"), None);
        assert_eq!(without_prefix("Kind", "OTHER"), None);
    }
}
