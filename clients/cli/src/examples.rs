//! The examples of each command's long help. They are command lines that are accepted: a test parses each.

use clap::Command;

use crate::{completions::at, ended::EXIT_CODES};

/// Commands with their examples. What is after a `#` says what for.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "graft up                                # in one terminal: both services",
            "graft import pets path/to/photos        # in another: one sub-folder a class",
            "graft train pets",
            "graft classify pets some-photo.jpg",
        ],
    ),
    ("up", &["graft up", "graft up --data-dir /srv/graft-data --image-uri https://images.example.com/photos"]),
    (
        "config",
        &[
            "graft config set-context production --trainer https://graft.example.org:7400 --token-file token",
            "graft config use-context production",
            "graft --context production heads          # once, whatever the current one is",
        ],
    ),
    ("config get-contexts", &["graft config get-contexts", "graft config get-contexts --output json"]),
    ("config use-context", &["graft config use-context production"]),
    (
        "config set-context",
        &[
            "graft config set-context here --trainer http://127.0.0.1:7400 --extractor http://127.0.0.1:7401",
            "graft config set-context production --ca-file ca.pem --cert-file me.pem --key-file me-key.pem",
            "graft config set-context production --unset ca-file",
        ],
    ),
    ("config delete-context", &["graft config delete-context here"]),
    ("config view", &["graft config view"]),
    ("config path", &["graft config path"]),
    ("backbone", &["graft backbone list", "graft backbone add resnet50.onnx --name resnet50 --manifest resnet50.toml"]),
    (
        "backbone add",
        &[
            "graft backbone add resnet50.onnx --name resnet50 --manifest resnet50.toml",
            "graft backbone add hf://Xenova/resnet-50/onnx/model.onnx@main --name resnet50",
            "graft backbone add s3://models/vit.onnx --name vit --replace",
        ],
    ),
    ("backbone list", &["graft backbone list", "graft backbone list --output json"]),
    ("backbone show", &["graft backbone show efficientnet-lite0"]),
    ("backbone bench", &["graft backbone bench resnet50", "graft backbone bench resnet50 --seconds 120 --dry-run"]),
    ("backbone remove", &["graft backbone remove resnet50"]),
    (
        "import",
        &[
            "graft import pets path/to/photos                  # one sub-folder a class",
            "graft import pets pets.csv --path-column file --label-column species",
            "graft import pets more.zip --split train --rejects rejected.jsonl",
            "graft import scenes scenes.parquet --multi-label --backbone resnet50",
            "graft import pets path/to/more --unlabelled       # `graft suggest` says which to label",
        ],
    ),
    (
        "train",
        &[
            "graft train pets",
            "graft train pets --kind auto --head pets-best",
            "graft train pets --balance-classes --seed 7 --learning-curve always",
        ],
    ),
    (
        "classify",
        &[
            "graft classify pets some-photo.jpg",
            "graft classify pets@production path/to/photos --output csv --top-k 2",
            "graft classify pets 'photos/*.jpg' --unknown --output jsonl",
            "curl -s https://example.com/photo.jpg | graft classify pets -",
            "find . -name '*.png' | graft classify pets --files-from -",
            "graft classify pets https://images.example.com/photos/1.jpg    # where the extractor has --image-uri",
            "graft classify --head pets --head rooms some-photo.jpg",
            "graft classify --every-head-of efficientnet-lite0 --alias production some-photo.jpg",
        ],
    ),
    ("correct", &["graft correct pets some-photo.jpg --label dog"]),
    ("corrections", &["graft corrections", "graft corrections pets@2 --limit 20"]),
    ("suggest", &["graft suggest pets --count 20", "graft suggest pets --ids"]),
    ("report", &["graft report pets", "graft report pets@production --html report.html --images path/to/photos"]),
    ("heads", &["graft heads", "graft heads show pets@2", "graft heads history pets"]),
    ("heads list", &["graft heads list --output json"]),
    ("heads show", &["graft heads show pets", "graft heads show pets@production --output json"]),
    ("heads delete", &["graft heads delete pets@1"]),
    ("heads aliases", &["graft heads aliases", "graft heads aliases pets"]),
    ("heads unalias", &["graft heads unalias pets@staging"]),
    ("heads history", &["graft heads history pets --alias production --limit 10"]),
    ("export", &["graft export pets --onnx pets.onnx", "graft export pets@2 --safetensors pets.safetensors"]),
    (
        "import-head",
        &[
            "graft import-head pets.safetensors --name pets",
            "graft import-head model.npz --name theirs --backbone efficientnet-lite0",
        ],
    ),
    ("gc", &["graft gc --dry-run", "graft gc"]),
    ("dataset", &["graft dataset list", "graft dataset show pets"]),
    ("dataset list", &["graft dataset list --output json"]),
    ("dataset show", &["graft dataset show pets"]),
    ("dataset stats", &["graft dataset stats pets"]),
    (
        "dataset examples",
        &["graft dataset examples pets --split test --limit 1000", "graft dataset examples pets --conflicts"],
    ),
    ("dataset relabel", &["graft dataset relabel pets cat/12.jpg --label dog"]),
    ("dataset remove", &["graft dataset remove pets cat/12.jpg cat/13.jpg"]),
    ("dataset snapshot", &["graft dataset snapshot pets"]),
    ("dataset snapshots", &["graft dataset snapshots pets"]),
    (
        "dataset export",
        &["graft dataset export pets --parquet pets.parquet", "graft dataset export pets --npy pets.npy --split test"],
    ),
    ("dataset delete", &["graft dataset delete pets"]),
    (
        "promote",
        &[
            "graft promote pets                                # the newest version is pets@production, unless it is worse",
            "graft promote pets@3 --alias staging --by ci",
            "graft promote pets@3 --tolerance 0.02 --expected 2",
        ],
    ),
    ("rollback", &["graft rollback pets", "graft rollback pets --alias staging"]),
    ("diff", &["graft diff pets@1 pets@2", "graft diff pets@production pets --most 50"]),
    ("canary", &["graft canary pets@3 --percent 5", "graft canary pets --off"]),
    ("shadow", &["graft shadow pets@3", "graft shadow pets --off"]),
    ("traffic", &["graft traffic pets", "graft traffic pets@production --classes"]),
    ("doctor", &["graft doctor", "graft doctor --data-dir /srv/graft-data --output json"]),
    (
        "completions",
        &[
            "source <(graft completions bash)                                       # in ~/.bashrc",
            "source <(graft completions zsh)                                        # in ~/.zshrc",
            "graft completions fish > ~/.config/fish/completions/graft.fish",
        ],
    ),
    ("man", &["graft man ~/.local/share/man/man1"]),
];

/// The command, with examples in its long help and in that of all below it.
pub fn put_into(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (path, lines)| {
        let path: Vec<&str> = path.split(' ').filter(|name| !name.is_empty()).collect();
        let mut text = "Examples:".to_owned();
        lines.iter().for_each(|line| text += &format!("\n  {line}"));
        if path.is_empty() {
            text += &format!("\n\n{EXIT_CODES}");
        }
        at(command, &path, &|command| command.after_long_help(text.clone()))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The words of the last `graft` of a line, as a shell has them.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(" # ").next().unwrap_or(line);
        let line = line.split(" > ").next().unwrap_or(line).replace("<(", "").replace(')', "");
        let command = line.rfind("graft ").map_or(&*line, |at| &line[at..]);
        command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
    }

    #[test]
    fn each_example_is_accepted() {
        for line in EXAMPLES.iter().flat_map(|(_, lines)| *lines) {
            let parsed = put_into(crate::Cli::command()).try_get_matches_from(words(line));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    fn without_examples(command: &Command, path: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name());
            if below.get_after_long_help().is_none() {
                found.push(path.clone());
            }
            without_examples(below, &path, found);
        }
    }

    #[test]
    fn each_command_has_examples() {
        let mut found = Vec::new();
        without_examples(&put_into(crate::Cli::command()), "graft", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
