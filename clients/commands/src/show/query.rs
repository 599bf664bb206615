//! jq programs over answers.

use jaq_core::{
    Compiler, Ctx, Vars, compile, data, load,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::Val;

/// A program, ready to run.
pub struct Query(compile::Filter<jaq_core::Native<data::JustLut<Val>>>);

impl Query {
    /// The program of this text.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Query, String> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| wrong(text, &errors.iter().map(|(_, error)| read(error)).collect::<Vec<_>>()))?;
        let filter = Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
            let unknown = errors.iter().flat_map(|(_, errors)| errors).map(|(name, _)| format!("`{name}` is unknown"));
            wrong(text, &unknown.collect::<Vec<_>>())
        })?;
        Ok(Query(filter))
    }

    /// What it makes of a JSON text, as JSON texts.
    ///
    /// # Errors
    /// The program ends in an error.
    pub fn run(&self, json: &str) -> Result<Vec<String>, String> {
        let input = jaq_json::read::parse_single(json.as_bytes()).map_err(|error| format!("--query: {error}"))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let results = self.0.id.run((context, input)).map(unwrap_valr);
        results
            .map(|result| result.map(|value| value.to_string()).map_err(|error| format!("--query: {error}")))
            .collect()
    }
}

fn read(error: &load::Error<&str>) -> String {
    match error {
        load::Error::Io(errors) => errors.iter().map(|(_, error)| error.clone()).collect::<Vec<_>>().join(", "),
        load::Error::Lex(errors) => {
            errors.iter().map(|(expected, at)| at_text(expected.as_str(), at)).collect::<Vec<_>>().join(", ")
        }
        load::Error::Parse(errors) => {
            errors.iter().map(|(expected, at)| at_text(expected.as_str(), at)).collect::<Vec<_>>().join(", ")
        }
    }
}

fn at_text(expected: &str, at: &str) -> String {
    if at.is_empty() {
        format!("{expected} is expected at its end")
    } else {
        format!("{expected} is expected at `{at}`")
    }
}

fn wrong(text: &str, reasons: &[String]) -> String {
    format!("--query: `{text}` is no jq program: {}", reasons.join("; "))
}
