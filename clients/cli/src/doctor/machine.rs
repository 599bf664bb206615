//! This machine, where the services run on it: programs, ONNX Runtime, GPU, disk.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::process::Command;

use super::check::Check;
use crate::programs::beside_me;

/// How long a program may take to say what it is asked; loading CUDA for the first time takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Free space of the data directory, in bytes: below the first, imports will soon fail; below the second, it is good to know.
const TOO_LITTLE: u64 = 256 << 20;
const LITTLE: u64 = 4 << 30;
/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Everything about this machine.
pub async fn checks(data: &Path) -> Vec<Check> {
    let (programs, runtime, gpu) = tokio::join!(programs(), run("graft-extractor", &["check-runtime"]), gpu());
    let mut checks = vec![programs];
    checks.extend(onnx_runtime(runtime, gpu));
    checks.push(disk(data));
    checks
}

/// What a program printed; what went wrong, if it did not run to a good end.
async fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let path = beside_me(program);
    let mut command = Command::new(&path);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let Output { status, stdout, stderr } = ended
        .map_err(|_| format!("{} does not end", path.display()))?
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    let reason =
        || text(stderr).lines().next().unwrap_or("it failed without a word").trim_start_matches("error: ").to_owned();
    if status.success() { Ok(text(stdout)) } else { Err(reason()) }
}

/// Whether `graft up` finds its programs, in this program's version.
async fn programs() -> Check {
    let (extractor, trainer) =
        tokio::join!(run("graft-extractor", &["--version"]), run("graft-trainer", &["--version"]));
    let found: Vec<String> =
        [&extractor, &trainer].iter().map(|said| said.as_ref().unwrap_or_else(|e| e).clone()).collect();
    let found = found.join(", ");
    match (extractor, trainer) {
        (Ok(extractor), Ok(trainer)) if [&extractor, &trainer].iter().all(|said| said.ends_with(VERSION)) => {
            Check::fine("programs", found)
        }
        (Ok(_), Ok(_)) => {
            Check::warning("programs", found, format!("install those of version {VERSION} beside this program"))
        }
        _ => {
            Check::warning("programs", found, "`graft up` needs graft-extractor and graft-trainer beside this program")
        }
    }
}

/// The names of the GPUs; none if there is none, or no driver.
async fn gpu() -> Option<String> {
    let told = run("nvidia-smi", &["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]).await;
    told.ok().filter(|told| !told.is_empty()).map(|told| told.replace('\n', "; "))
}

/// The library, and what it can run on.
fn onnx_runtime(told: Result<String, String>, gpu: Option<String>) -> Vec<Check> {
    let found = match told.and_then(|line| serde_json::from_str::<Value>(&line).map_err(|error| error.to_string())) {
        Ok(found) => found,
        Err(error) => {
            let advice = "run scripts/setup.sh, or let ORT_DYLIB_PATH name libonnxruntime.so";
            let gpu = Check::skipped("GPU", gpu.unwrap_or_else(|| "none found".into()));
            return vec![Check::failed("ONNX Runtime", error, advice), gpu];
        }
    };
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    let providers = found["providers"].as_array().cloned().unwrap_or_default();
    let works = |one: &&Value| one["error"].is_null();
    let names: Vec<&str> = providers.iter().filter(works).filter_map(|one| one["name"].as_str()).collect();
    let library = format!("{} ({}), runs on {}", text("version"), text("library"), names.join(", "));
    let cuda = providers.iter().find(|one| one["name"] == "cuda").and_then(|one| one["error"].as_str());
    vec![Check::fine("ONNX Runtime", library), gpu_check(gpu, names.contains(&"cuda"), cuda)]
}

fn gpu_check(gpu: Option<String>, works: bool, error: Option<&str>) -> Check {
    match (gpu, works) {
        (None, _) => {
            Check::skipped("GPU", "none found (nvidia-smi is not there, or names none); the processor does the work")
        }
        (Some(gpu), true) => {
            Check::fine("GPU", format!("{gpu}; CUDA can be loaded: --provider cuda of the extractor uses it"))
        }
        (Some(gpu), false) => Check::warning(
            "GPU",
            format!("{gpu}; CUDA cannot be loaded: {}", error.unwrap_or("the provider is not there")),
            "to use it, install an ONNX Runtime with CUDA and the CUDA libraries that it needs, and let ORT_DYLIB_PATH name it",
        ),
    }
}

/// How much room there is for data.
fn disk(data: &Path) -> Check {
    let name = "disk";
    // What is not there yet will be made in the nearest folder that is.
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let there: PathBuf = absolute.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned();
    let free = match rustix::fs::statvfs(&there) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return Check::warning(name, format!("{}: {error}", there.display()), "is it mounted?"),
    };
    let found = format!("{:.1} GiB free for {}", free as f64 / f64::from(1 << 30), data.display());
    let advice = "make room, or move the data: --data-dir of `graft up`";
    match free {
        ..TOO_LITTLE => Check::failed(name, found, advice),
        TOO_LITTLE..LITTLE => Check::warning(name, found, advice),
        _ => Check::fine(name, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::State;

    fn states(told: &str, gpu: Option<&str>) -> Vec<State> {
        onnx_runtime(Ok(told.into()), gpu.map(str::to_owned)).iter().map(|check| check.state).collect()
    }

    #[test]
    fn a_gpu_that_cannot_be_used_is_told_and_one_that_is_not_there_is_fine() {
        let without =
            r#"{"library":"l","version":"v","providers":[{"name":"cpu","error":null},{"name":"cuda","error":"no"}]}"#;
        let with =
            r#"{"library":"l","version":"v","providers":[{"name":"cpu","error":null},{"name":"cuda","error":null}]}"#;
        assert_eq!(states(without, None), [State::Fine, State::Skipped]);
        assert_eq!(states(without, Some("H200")), [State::Fine, State::Warning]);
        assert_eq!(states(with, Some("H200")), [State::Fine, State::Fine]);
        assert_eq!(states("nonsense", None), [State::Failed, State::Skipped]);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_room_all_the_same() {
        let folder = tempfile::TempDir::new().unwrap();
        let check = disk(&folder.path().join("not/yet"));
        assert!(check.found.contains("GiB free"), "{check:?}");
    }
}
