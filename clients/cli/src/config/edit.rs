//! Changes of the file of contexts that keep the rest of it, comments too.

use anyhow::{Context, Result, anyhow, bail};
use toml_edit::{DocumentMut, Item, Table, value};

const CURRENT: &str = "current-context";
const CONTEXTS: &str = "contexts";

/// The file, as a document that remembers how it was written.
pub struct Contexts {
    document: DocumentMut,
}

impl Contexts {
    /// Read it. What it means is checked elsewhere.
    pub fn new(text: &str) -> Result<Contexts> {
        // The library's own message shows the line, and a token may stand in it.
        let document = text.parse::<DocumentMut>().map_err(|error| anyhow!("{}", error.message()))?;
        Ok(Contexts { document })
    }

    pub fn text(&self) -> String {
        self.document.to_string().trim_start_matches('\n').to_owned()
    }

    pub fn current(&self) -> Option<&str> {
        self.document.get(CURRENT)?.as_str()
    }

    pub fn make_current(&mut self, name: &str) -> Result<String> {
        self.existing(name)?;
        self.put_current(name);
        Ok(format!("{name} is the current context"))
    }

    /// Say `told` of a context, and no longer say `unset`.
    pub fn set(&mut self, name: &str, told: &[(&str, String)], unset: &[String]) -> Result<String> {
        let new = self.table()?.get(name).is_none();
        let context = self.table()?.entry(name).or_insert_with(|| Item::Table(Table::new()));
        let context = context.as_table_like_mut().with_context(|| format!("contexts.{name} is no table"))?;
        for (key, text) in told {
            // Of the two that say the token, the new one counts.
            match *key {
                "token" => drop(context.remove("token-file")),
                "token-file" => drop(context.remove("token")),
                _ => {}
            }
            match context.get_mut(key).and_then(Item::as_value_mut) {
                Some(old) => {
                    let decor = old.decor().clone();
                    *old = text.as_str().into();
                    *old.decor_mut() = decor;
                }
                None => drop(context.insert(key, value(text.as_str()))),
            }
        }
        for key in unset {
            context.remove(key);
        }
        let mut said = format!("{} the context {name}", if new { "added" } else { "changed" });
        if self.current().is_none() {
            self.put_current(name);
            said += ", and made it the current one";
        }
        Ok(said)
    }

    pub fn delete(&mut self, name: &str) -> Result<String> {
        self.existing(name)?;
        self.table()?.remove(name);
        if self.current() != Some(name) {
            return Ok(format!("deleted the context {name}"));
        }
        self.drop_current();
        Ok(format!("deleted the context {name}; it was the current one, and there is none now"))
    }

    /// Hide all tokens.
    pub fn hide_tokens(&mut self) -> Result<()> {
        for (_, context) in self.table()?.iter_mut() {
            if let Some(token) = context.as_table_like_mut().and_then(|context| context.get_mut("token")) {
                *token = value("…");
            }
        }
        Ok(())
    }

    fn put_current(&mut self, name: &str) {
        self.document[CURRENT] = value(name);
    }

    /// There is no current context any more. What was written above it stays, above what comes next.
    fn drop_current(&mut self) {
        let above = self.document.key(CURRENT).and_then(|key| key.leaf_decor().prefix()?.as_str()).map(str::to_owned);
        self.document.remove(CURRENT);
        let Some(above) = above.filter(|above| !above.trim().is_empty()) else { return };
        let contexts = self.document.get_mut(CONTEXTS).and_then(Item::as_table_mut);
        match contexts.and_then(|contexts| contexts.iter_mut().find_map(|(_, item)| item.as_table_mut())) {
            Some(first) => {
                let there = first.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                let both = format!("{above}{there}");
                first.decor_mut().set_prefix(both);
            }
            None => {
                let there = self.document.trailing().as_str().unwrap_or_default();
                let both = format!("{above}{there}");
                self.document.set_trailing(both);
            }
        }
    }

    fn existing(&mut self, name: &str) -> Result<()> {
        let there: Vec<String> = self.table()?.iter().map(|(name, _)| name.to_owned()).collect();
        if there.iter().any(|one| one == name) {
            return Ok(());
        }
        let there =
            if there.is_empty() { "there are none".to_owned() } else { format!("there are {}", there.join(", ")) };
        bail!("there is no context `{name}`; {there}");
    }

    fn table(&mut self) -> Result<&mut dyn toml_edit::TableLike> {
        let implicit = || {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        };
        let contexts = self.document.entry(CONTEXTS).or_insert_with(implicit);
        contexts.as_table_like_mut().context("contexts is no table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# Ours.\ncurrent-context = \"a\" # for now\n\n# Near.\n[contexts.a]\ntrainer = \"http://x\" # moved\n";

    fn changed(with: impl FnOnce(&mut Contexts) -> Result<String>) -> (String, String) {
        let mut contexts = Contexts::new(FILE).unwrap();
        let told = with(&mut contexts).unwrap();
        (told, contexts.text())
    }

    #[test]
    fn comments_stay_and_nothing_else_changes() {
        let told = [("trainer", "https://y".to_owned()), ("ca-file", "/ca".to_owned())];
        let (said, text) = changed(|contexts| contexts.set("a", &told, &[]));
        assert_eq!(said, "changed the context a");
        assert_eq!(text, FILE.replace("http://x", "https://y") + "ca-file = \"/ca\"\n");
        let (_, text) = changed(|contexts| contexts.set("a", &[], &["trainer".into()]));
        assert!(!text.contains("trainer") && text.contains("# Ours.") && text.contains("# Near."), "{text}");
    }

    #[test]
    fn a_new_context_is_a_table_of_its_own() {
        let (said, text) = changed(|contexts| contexts.set("b.c", &[("trainer", "http://z".into())], &[]));
        assert_eq!(said, "added the context b.c");
        assert_eq!(text, format!("{FILE}\n[contexts.\"b.c\"]\ntrainer = \"http://z\"\n"));
        let mut first = Contexts::new("").unwrap();
        assert!(first.set("one", &[], &[]).unwrap().contains("current"));
        assert_eq!(first.current(), Some("one"));
    }

    #[test]
    fn a_token_and_its_file_do_not_stand_together() {
        let (_, text) = changed(|contexts| {
            contexts.set("a", &[("token", "s3cret".into())], &[])?;
            contexts.set("a", &[("token-file", "/t".into())], &[])
        });
        assert!(text.contains("token-file = \"/t\"") && !text.contains("s3cret"), "{text}");
    }

    #[test]
    fn what_is_not_there_is_named_and_what_is() {
        let mut contexts = Contexts::new(FILE).unwrap();
        for error in [contexts.make_current("z").unwrap_err(), contexts.delete("z").unwrap_err()] {
            assert_eq!(error.to_string(), "there is no context `z`; there are a");
        }
        assert!(contexts.delete("a").unwrap().contains("there is none now"));
        assert_eq!(contexts.current(), None);
        assert!(contexts.text().contains("# Ours."), "{}", contexts.text());
    }

    #[test]
    fn tokens_are_hidden() {
        let mut contexts = Contexts::new("[contexts.a]\ntoken = \"s3cret\"\ntrainer = \"x\"\n").unwrap();
        contexts.hide_tokens().unwrap();
        assert_eq!(contexts.text(), "[contexts.a]\ntoken = \"…\"\ntrainer = \"x\"\n");
    }
}
