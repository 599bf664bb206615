//! A statement whose text is put together.

use sqlx::AssertSqlSafe;

use super::{Query, query, value::Value};

/// A statement in the making. Only its parameters may come from outside, never its text.
#[derive(Debug)]
pub struct Builder<'q> {
    text: String,
    values: Vec<Value<'q>>,
}

impl<'q> Builder<'q> {
    /// Begin with `text`.
    pub fn new(text: impl Into<String>) -> Builder<'q> {
        Builder { text: text.into(), values: Vec::new() }
    }

    /// Go on with `text`.
    pub fn push(&mut self, text: &'static str) -> &mut Builder<'q> {
        self.text.push_str(text);
        self
    }

    /// Go on with a parameter.
    pub fn push_bind(&mut self, value: impl Into<Value<'q>>) -> &mut Builder<'q> {
        self.text.push('?');
        self.values.push(value.into());
        self
    }

    /// Go on with `(?, ?)`: parameters in brackets.
    pub fn push_list(&mut self, values: impl IntoIterator<Item = Value<'q>>) -> &mut Builder<'q> {
        let before = self.values.len();
        self.values.extend(values);
        let list = vec!["?"; self.values.len() - before].join(", ");
        self.text.extend(["(", &list, ")"]);
        self
    }

    /// Go on with `(?, ?), (?, ?)`: rows to insert.
    pub fn push_rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value<'q>; N]>) -> &mut Builder<'q> {
        for (at, row) in rows.into_iter().enumerate() {
            if at > 0 {
                self.text.push_str(", ");
            }
            self.push_list(row);
        }
        self
    }

    /// The statement. It is not kept prepared: its text is hardly ever the same.
    pub fn build(self) -> Query<'q> {
        query(AssertSqlSafe(self.text)).with(self.values).persistent(false)
    }
}
