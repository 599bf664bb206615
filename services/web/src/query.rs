//! A message in a URL, as the Connect protocol has it: `?message={"name":"x"}`, escaped, or with `base64=1`.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use url::form_urlencoded;

use crate::refusal::Refusal;

/// Base64 as URLs have it, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The message of this query in JSON; one without fields where there is none.
pub(crate) fn message(query: &str) -> Result<Bytes, Refusal> {
    let (mut message, mut base64) = (Cow::Borrowed("{}"), false);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let accepted = match name.as_ref() {
            "message" => {
                message = value;
                continue;
            }
            "base64" if value == "1" => {
                base64 = true;
                continue;
            }
            "base64" => "1",
            "encoding" if value == "json" => continue,
            "encoding" => "json",
            "compression" if value == "identity" => continue,
            "compression" => "identity",
            "connect" if value == "v1" => continue,
            "connect" => "v1",
            _ => {
                return Err(Refusal::invalid("query: message, base64, encoding, compression and connect are accepted"));
            }
        };
        return Err(Refusal::invalid(format!("query: of {name}, {accepted} is accepted")));
    }
    if !base64 {
        return Ok(message.into_owned().into());
    }
    let decoded = BASE64.decode(message.as_bytes());
    decoded.map(Bytes::from).map_err(|error| Refusal::invalid(format!("query: message is not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_escaped_or_in_base64() {
        assert_eq!(message("").unwrap(), "{}");
        assert_eq!(message("connect=v1&encoding=json&message=%7B%22a%22%3A%221+2%22%7D").unwrap(), "{\"a\":\"1 2\"}");
        assert_eq!(message("message=eyJhIjoxfQ&base64=1").unwrap(), "{\"a\":1}");
        assert_eq!(message("base64=1&message=eyJhIjoxfQ%3D%3D").unwrap(), "{\"a\":1}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, named) in [
            ("encoding=proto", "encoding"),
            ("compression=gzip", "identity"),
            ("base64=yes", "base64"),
            ("message=%&base64=1", "not base64"),
            ("name=x", "message"),
        ] {
            let refusal = message(query).unwrap_err();
            assert!(refusal.status.message().contains(named), "{query}: {refusal:?}");
        }
    }
}
