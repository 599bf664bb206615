//! Bytes of answers in files: those of all answers one after the other, in a file that appears whole or not at all.

use std::{
    collections::HashSet,
    io::Write,
    path::{Path, PathBuf},
};

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, Value};
use tempfile::NamedTempFile;

use crate::{
    Failure,
    flags::{self, Flag, Shape},
    value::Reading,
};

/// A field of bytes, and where it goes.
pub struct ToFile {
    field: Flag,
    path: PathBuf,
    /// `None` for standard output.
    file: Option<NamedTempFile>,
}

impl ToFile {
    /// The field of this name in answers of this type.
    ///
    /// # Errors
    /// There is none, or the file cannot be made.
    pub fn new(output: &MessageDescriptor, field: &str, path: &Path) -> Result<ToFile, String> {
        let all = flags::flags(output, &HashSet::new());
        let fields: Vec<&Flag> = all.iter().filter(|flag| is_bytes(flag)).collect();
        let field = flags::find(&fields, field).map_err(|error| format!("--output-file: {error}"))?.clone();
        let file = (path != Path::new("-")).then(|| beside(path)).transpose();
        let file = file.map_err(|error| format!("--output-file: {}: {error}", path.display()))?;
        Ok(ToFile { field, path: path.to_owned(), file })
    }

    /// Take the bytes out of an answer; whether there were any.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn take(&mut self, answer: &mut DynamicMessage, out: &mut (dyn Write + Send)) -> Result<bool, Failure> {
        let Some((field, parents)) = self.field.path.split_last() else { return Ok(false) };
        let Some(Value::Bytes(bytes)) = within(answer, parents, field) else { return Ok(false) };
        match &mut self.file {
            None => super::write(out, &bytes)?,
            Some(file) => file.write_all(&bytes).map_err(|error| wrong(&self.path, error))?,
        }
        Ok(true)
    }

    /// Let the file appear.
    ///
    /// # Errors
    /// It cannot be put in its place.
    pub fn finish(self) -> Result<(), Failure> {
        let Some(file) = self.file else { return Ok(()) };
        file.persist(&self.path).map(|_| ()).map_err(|error| wrong(&self.path, error.error))
    }
}

fn is_bytes(flag: &Flag) -> bool {
    matches!(flag.reading, Reading::Bytes)
        && flag.shape == Shape::One
        && !flag.parents().iter().any(FieldDescriptor::is_list)
}

fn within(answer: &mut DynamicMessage, parents: &[FieldDescriptor], field: &FieldDescriptor) -> Option<Value> {
    let mut holder = answer;
    for parent in parents {
        if !holder.has_field(parent) {
            return None;
        }
        holder = holder.get_field_mut(parent).as_message_mut()?;
    }
    holder.has_field(field).then(|| holder.take_field(field)).flatten()
}

/// A file that is still without a name, in the folder of `path`, with the permissions of any new file.
fn beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What the user's mask forbids, the system takes away.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".graft-").tempfile_in(folder)
}

fn wrong(path: &Path, error: std::io::Error) -> Failure {
    Failure::Input(format!("--output-file: {}: {error}", path.display()))
}
