//! Aligned columns: a row for each of repeated messages, a row for each field of one message.

use super::shown::Shown;

/// A message in a row has columns of its own up to this many fields; what is larger is only hinted at.
const WIDE: usize = 3;

/// A value as a table, or several.
pub fn table(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => format!("{text}\n"),
        Shown::List(values) => list(values),
        Shown::Fields(fields) => match &fields[..] {
            // What an answer is wrapped in says nothing.
            [(_, inner @ (Shown::Fields(_) | Shown::List(_)))] => table(inner),
            _ => message(fields),
        },
    }
}

/// Fields as rows; below them a table for each list of messages.
fn message(fields: &[(String, Shown)]) -> String {
    let (mut rows, mut tables) = (Vec::new(), Vec::new());
    flatten("", fields, &mut rows, &mut tables);
    let mut parts: Vec<String> = Vec::new();
    if !rows.is_empty() {
        parts.push(aligned(&rows));
    }
    parts.extend(tables.into_iter().map(|(name, values)| format!("{name}:\n{}", list(values))));
    parts.join("\n")
}

fn flatten<'a>(
    prefix: &str,
    fields: &'a [(String, Shown)],
    rows: &mut Vec<Vec<String>>,
    tables: &mut Vec<(String, &'a [Shown])>,
) {
    for (name, value) in fields {
        let name = format!("{prefix}{name}");
        match value {
            Shown::Fields(inner) if !inner.is_empty() => flatten(&format!("{name}."), inner, rows, tables),
            Shown::List(values) if is_table(values) => tables.push((name, values)),
            value => rows.push(vec![name, cell(value)]),
        }
    }
}

fn is_table(values: &[Shown]) -> bool {
    !values.is_empty() && values.iter().all(|value| matches!(value, Shown::Fields(_)))
}

/// Rows below their headings: a column for each field that an element has, also of messages in it.
fn list(values: &[Shown]) -> String {
    if !is_table(values) {
        return values.iter().map(|value| cell(value) + "\n").collect();
    }
    let rows: Vec<Vec<(String, String)>> = values.iter().map(columns).collect();
    let mut headings: Vec<String> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !headings.contains(name) {
            headings.push(name.clone());
        }
    }
    let mut lines = vec![headings.clone()];
    lines.extend(rows.iter().map(|row| {
        let cell = |heading: &String| row.iter().find(|(name, _)| name == heading).map(|(_, cell)| cell.clone());
        headings.iter().map(|heading| cell(heading).unwrap_or_default()).collect()
    }));
    aligned(&lines)
}

fn columns(value: &Shown) -> Vec<(String, String)> {
    let Shown::Fields(fields) = value else { return Vec::new() };
    let small = fields.iter().map(|(name, value)| match value {
        Shown::Fields(inner) if inner.len() > WIDE => (name.clone(), Shown::Text("{…}".to_owned())),
        value => (name.clone(), value.clone()),
    });
    let small: Vec<_> = small.collect();
    let (mut rows, mut tables) = (Vec::new(), Vec::new());
    flatten("", &small, &mut rows, &mut tables);
    let cells = rows.into_iter().filter_map(|row| <[String; 2]>::try_from(row).ok()).map(|[name, cell]| (name, cell));
    // A list of messages in a row is told by its length; --output json has all of it.
    cells.chain(tables.into_iter().map(|(name, values)| (name, format!("({})", values.len())))).collect()
}

/// A value on one line.
fn cell(value: &Shown) -> String {
    let text = match value {
        Shown::Text(text) => text.clone(),
        Shown::List(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Shown::Fields(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", cell(value))).collect();
            fields.join(" ")
        }
    };
    // Names come from anywhere: they must not move the terminal's cursor.
    text.chars()
        .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
        .collect()
}

fn aligned(rows: &[Vec<String>]) -> String {
    let length = |text: &str| text.chars().count();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - length(cell))));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_of(json: serde_json::Value) -> String {
        table(&Shown::of_json(&json))
    }

    #[test]
    fn lists_are_rows_and_messages_are_fields() {
        let heads =
            serde_json::json!({ "heads": [{ "name": "grün", "space": { "id": 1 } }, { "name": "b", "tags": [1, 2] }] });
        assert_eq!(table_of(heads), "name  space.id  tags\ngrün  1\nb               1, 2\n");
        let run = serde_json::json!({ "run": { "id": "a", "steps": [{ "loss": 1 }], "tags": ["x\n", "y"] } });
        assert_eq!(table_of(run), "id    a\ntags  x\\n, y\n\nsteps:\nloss\n1\n");
        assert_eq!(table_of(serde_json::json!("as it is")), "as it is\n");
        assert_eq!(table_of(serde_json::json!([1, "b"])), "1\nb\n");
    }
}
