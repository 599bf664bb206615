//! The pages of the reference are those that the contract makes. `UPDATE_REFERENCE=1` writes them anew.

use std::{collections::BTreeMap, fs, path::Path};

use graft_commands::{Contract, reference};
use graft_proto::FILE_DESCRIPTOR_SET;

#[test]
fn the_reference_is_what_the_contract_says() {
    let pages = reference::pages(&Contract::decode(FILE_DESCRIPTOR_SET).unwrap());
    assert!(pages["messages.md"].contains("| `top_k` |") && pages["head-service.md"].contains("## GetHead"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        pages.iter().for_each(|(file, page)| fs::write(folder.join(file), page).unwrap());
    }
    let found = fs::read_dir(&folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
    });
    assert!(found.collect::<BTreeMap<_, _>>() == pages, "run `make reference`, and look at what it changes");
}
