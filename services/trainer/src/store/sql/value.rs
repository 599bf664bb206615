//! What may be a parameter of a query.

use std::borrow::Cow;

/// A parameter, or a NULL of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'q> {
    /// An integer or a boolean.
    Integer(Option<i64>),
    /// Text.
    Text(Option<Cow<'q, str>>),
    /// Bytes.
    Bytes(Option<Cow<'q, [u8]>>),
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl From<$type> for Value<'_> {
            fn from(number: $type) -> Self {
                Value::Integer(Some(i64::from(number)))
            }
        }

        impl From<Option<$type>> for Value<'_> {
            fn from(number: Option<$type>) -> Self {
                Value::Integer(number.map(i64::from))
            }
        }
    )*};
}

integers!(i64, i32, u32, bool);

impl<'q> From<&'q str> for Value<'q> {
    fn from(text: &'q str) -> Self {
        Value::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'q> From<&'q String> for Value<'q> {
    fn from(text: &'q String) -> Self {
        Value::Text(Some(Cow::Borrowed(text)))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Some(Cow::Owned(text)))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Value::Text(text.map(Cow::Owned))
    }
}

impl<'q> From<&'q [u8]> for Value<'q> {
    fn from(bytes: &'q [u8]) -> Self {
        Value::Bytes(Some(Cow::Borrowed(bytes)))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Bytes(Some(Cow::Owned(bytes)))
    }
}
