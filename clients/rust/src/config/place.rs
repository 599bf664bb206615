//! Where the file of contexts is.

use std::path::{Path, PathBuf};

use crate::Error;

/// Names the file.
pub const FILE: &str = "GRAFT_CONFIG";

/// Where the file of contexts is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// Whether somebody named it: then it must be there.
    pub told: bool,
}

impl Place {
    /// The file that was `told`, that the environment names, or that is where such files are.
    ///
    /// # Errors
    /// [`Error::Config`] if nothing says where the home directory is.
    pub fn find(told: Option<&Path>, environment: impl Fn(&str) -> Option<String>) -> Result<Place, Error> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = told.map(Path::to_owned).or_else(|| variable(FILE)) {
            return Ok(Place { path, told: true });
        }
        // The XDG specification has relative paths ignored.
        let folder = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let folder = folder.or_else(|| Some(variable("HOME")?.join(".config")));
        let folder = folder.ok_or_else(|| Error::Config {
            place: "the file of contexts".into(),
            reason: format!("neither {FILE}, XDG_CONFIG_HOME nor HOME says where it is"),
        })?;
        Ok(Place { path: folder.join("graft").join("config.toml"), told: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(told: Option<&str>, variables: &[(&str, &str)]) -> Result<(String, bool), Error> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Place::find(told.map(Path::new), environment).map(|place| (place.path.display().to_string(), place.told))
    }

    #[test]
    fn what_is_nearest_to_the_caller_wins() {
        let all = [("GRAFT_CONFIG", "/g.toml"), ("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(found(Some("told.toml"), &all).unwrap(), ("told.toml".into(), true));
        assert_eq!(found(None, &all).unwrap(), ("/g.toml".into(), true));
        assert_eq!(found(None, &all[1..]).unwrap(), ("/x/graft/config.toml".into(), false));
        assert_eq!(found(None, &all[2..]).unwrap(), ("/h/.config/graft/config.toml".into(), false));
        let odd = [("GRAFT_CONFIG", ""), ("XDG_CONFIG_HOME", "relative"), ("HOME", "/h")];
        assert_eq!(found(None, &odd).unwrap(), ("/h/.config/graft/config.toml".into(), false));
        assert!(found(None, &[]).unwrap_err().to_string().contains("HOME"));
    }
}
