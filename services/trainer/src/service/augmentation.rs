//! Which views a dataset's examples have: what a request asks for, against what the dataset has.

use graft_chassis::status;
use graft_proto::{augmentation, v1::Augmentation};
use tonic::Status;

use crate::store::{Store, datasets::DatasetRow};

/// What was asked for, with its defaults filled in; `field` is the request's field that holds it.
pub fn resolve(field: &str, asked: &Augmentation) -> Result<Option<Augmentation>, Status> {
    augmentation::resolve(asked).map_err(|bad| status::invalid(&format!("{field}.{}", bad.field), bad.message))
}

/// The dataset with the views that an import asks for, which an empty dataset without any takes over.
pub async fn agree(store: &Store, dataset: DatasetRow, asked: Option<&Augmentation>) -> Result<DatasetRow, Status> {
    const FIELD: &str = "options.augmentation";
    let Some(asked) = asked else { return Ok(dataset) };
    let asked = resolve(FIELD, asked)?;
    if asked == dataset.augmentation {
        return Ok(dataset);
    }
    if let Some(asked) = &asked
        && store.set_augmentation(dataset.id, asked).await?
    {
        return Ok(DatasetRow { augmentation: Some(asked.clone()), ..dataset });
    }
    let name = &dataset.name;
    let message = match &dataset.augmentation {
        Some(_) => format!(
            "{} asked for, but `{name}` has {}; name the same or none, or import into another dataset",
            told(asked.as_ref()),
            told(dataset.augmentation.as_ref()),
        ),
        None => format!(
            "{} asked for, but `{name}` holds examples that have none; import into another dataset",
            told(asked.as_ref())
        ),
    };
    Err(status::precondition(FIELD, message))
}

/// Views as a person is told of them.
fn told(augmentation: Option<&Augmentation>) -> String {
    match augmentation {
        None => "no views".into(),
        Some(views) => {
            let recipe = augmentation::recipe(views);
            format!("{} views (recipe {recipe})", views.views)
        }
    }
}
