//! What the file of contexts says, as tables and JSON.

use anyhow::{Context as _, Result};
use graft_client::config::{ConfigFile, Context};
use serde_json::{Map, Value, json};

use super::{edit::Contexts, stored::Stored};
use crate::{connection::Connection, output::table};

/// The contexts, and the one that commands use now.
pub fn contexts(stored: &Stored, connection: &Connection) -> Result<(ConfigFile, Option<String>)> {
    let file = stored.parse()?;
    let variable = std::env::var("GRAFT_CONTEXT").ok().filter(|name| !name.is_empty());
    let current = connection.context.clone().or(variable).or(file.current_context.clone());
    Ok((file, current))
}

pub fn table_of(file: &ConfigFile, current: &Option<String>) -> String {
    let row = |(name, context): (&String, &Context)| {
        let mark = if current.as_ref() == Some(name) { "*" } else { "" };
        let address = |url: &Option<String>| url.clone().unwrap_or_else(|| "this machine".into());
        vec![name.clone(), mark.into(), address(&context.trainer), address(&context.extractor), proof(context).into()]
    };
    let rows: Vec<_> = file.contexts.iter().map(row).collect();
    table(&["context", "", "trainer", "extractor", "token"], &rows)
}

/// What says who calls.
fn proof(context: &Context) -> &'static str {
    match (&context.token, &context.token_file) {
        (Some(_), _) => "in the file",
        (None, Some(_)) => "in a file of its own",
        (None, None) => "none",
    }
}

pub fn json_of(file: &ConfigFile, current: &Option<String>) -> Value {
    let one = |(name, context): (&String, &Context)| {
        let mut value = json(context);
        value["name"] = name.clone().into();
        value["current"] = (current.as_ref() == Some(name)).into();
        value
    };
    file.contexts.iter().map(one).collect()
}

/// The whole file, tokens hidden.
pub fn view(stored: Stored) -> Result<(String, Value)> {
    let file = stored.parse()?;
    let mut contexts = Contexts::new(&stored.text).with_context(|| stored.place.path.display().to_string())?;
    contexts.hide_tokens()?;
    let all: Map<String, Value> = file.contexts.iter().map(|(name, context)| (name.clone(), json(context))).collect();
    Ok((contexts.text(), json!({ "current-context": file.current_context, "contexts": all })))
}

fn json(context: &Context) -> Value {
    let Context { trainer, extractor, token, token_file, ca_file, cert_file, key_file, server_name } = context;
    json!({
        "trainer": trainer,
        "extractor": extractor,
        "token": token.as_ref().map(|_| "…"),
        "token-file": token_file,
        "ca-file": ca_file,
        "cert-file": cert_file,
        "key-file": key_file,
        "server-name": server_name,
    })
}
