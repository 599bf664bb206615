//! A message for each file, or several for one that goes in pieces.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read, stdin},
    path::Path,
};

use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::{
    To, files,
    parts::{Parts, is_member},
    words::{self, Named},
};
use crate::{
    flags::{self, Flag, Shape},
    request::{self, Given},
    value::Reading,
};

/// The size of the pieces of a file, in bytes.
const PIECE: usize = 1 << 20;
/// The most that a file may have that goes in one message: services take no larger ones.
const LARGEST: u64 = 16 << 20;
/// The field that is the file's path unless a flag says otherwise.
const ID: &str = "id";

/// Files of which each is a message.
#[derive(Debug)]
pub struct Each {
    input: MessageDescriptor,
    parts: Parts,
    /// The fields and the paths, in their order.
    sources: Vec<(Flag, String)>,
}

impl Each {
    /// The files that `FIELD=PATH` name.
    ///
    /// # Errors
    /// There is no such field, or the field is left out and there is not exactly one.
    pub fn new(input: &MessageDescriptor, given: Vec<Given>, texts: &[String]) -> Result<Each, String> {
        let all = flags::flags(input, &HashSet::new());
        let fields: Vec<&Flag> = all.iter().filter(|flag| takes_file(flag)).collect();
        let sources = texts.iter().map(|text| source(&fields, text).map_err(|error| format!("--each: {error}")));
        Ok(Each { input: input.clone(), parts: Parts::of(input, given), sources: sources.collect::<Result<_, _>>()? })
    }

    /// The messages before those of the files.
    ///
    /// # Errors
    /// A flag whose text cannot be read.
    pub fn first(&self) -> Result<Vec<DynamicMessage>, String> {
        self.parts.before(self.sources.first().and_then(|(field, _)| member(field)))
    }

    /// Send the messages of the files.
    ///
    /// # Errors
    /// A file that cannot be read, or none where there should be some.
    pub(super) fn send(&self, to: &To) -> Result<(), String> {
        let mut index = 0;
        for (field, path) in &self.sources {
            let template = Template::new(&self.input, field, &self.parts)?;
            let before = index;
            for file in files::of(path).map_err(|error| format!("--each: {error}"))? {
                let file = file.map_err(|error| format!("--each: {error}"))?;
                if !template.send(Named { path: &file, index }, to)? {
                    return Ok(());
                }
                index += 1;
            }
            if index == before {
                return Err(format!("--each: {path}: there is no file"));
            }
        }
        Ok(())
    }
}

fn takes_file(flag: &Flag) -> bool {
    matches!(flag.reading, Reading::Bytes) && !matches!(flag.shape, Shape::Map(_))
}

fn source(fields: &[&Flag], text: &str) -> Result<(Flag, String), String> {
    let named = text.split_once('=').map(|(name, path)| (flags::find(fields, name), path));
    match (named, fields) {
        (Some((Ok(field), path)), _) => Ok((field.clone(), path.to_owned())),
        (_, [only]) => Ok(((*only).clone(), text.to_owned())),
        (Some((Err(error), _)), _) => Err(error),
        (None, _) => Err(match flags::find(fields, text) {
            Ok(_) => format!("`{text}` names no file; FIELD=PATH is accepted"),
            Err(error) => format!("which field takes `{text}`? FIELD=PATH is accepted: {error}"),
        }),
    }
}

fn member(flag: &Flag) -> Option<u32> {
    flag.path.first().filter(|field| is_member(field)).map(FieldDescriptor::number)
}

/// What the messages of all files have in common.
struct Template<'a> {
    field: &'a Flag,
    message: DynamicMessage,
    /// What differs from file to file.
    varying: Vec<Given>,
    /// The message in it that gets the path as its `id`, and that field.
    id: Option<(&'a [FieldDescriptor], FieldDescriptor)>,
}

impl<'a> Template<'a> {
    fn new(input: &MessageDescriptor, field: &'a Flag, parts: &Parts) -> Result<Template<'a>, String> {
        let given = parts.of_member(member(field));
        let said = |parents: &[FieldDescriptor], id: &FieldDescriptor| {
            given.iter().any(|given| given.flag.parents() == parents && given.flag.field() == Some(id))
        };
        let id = id_field(input, field).filter(|(parents, id)| !said(parents, id));
        let (varying, fixed): (Vec<_>, Vec<_>) = given.into_iter().partition(words::varies);
        let mut message = DynamicMessage::new(input.clone());
        request::apply(&mut message, &fixed)?;
        Ok(Template { field, message, varying, id })
    }

    /// Send the messages of a file; `false` says that nobody takes them any more.
    fn send(&self, file: Named<'_>, to: &To) -> Result<bool, String> {
        let mut message = self.message.clone();
        for given in &self.varying {
            request::refine(&mut message, &words::of_file(given, file))?;
        }
        if let Some((parents, id)) = &self.id {
            let path = file.path.to_string_lossy().into_owned();
            set(&mut message, parents, id, Value::String(path))?;
        }
        if self.field.path.len() == 1 && self.field.shape == Shape::One {
            self.pieces(message, file.path, to)
        } else {
            self.whole(message, file.path, to)
        }
    }

    /// A file in one message.
    fn whole(&self, mut message: DynamicMessage, path: &Path, to: &To) -> Result<bool, String> {
        let mut bytes = Vec::new();
        let read = open(path)?.take(LARGEST + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("--each: {}: {error}", path.display()))?;
        if bytes.len() as u64 > LARGEST {
            let most = LARGEST >> 20;
            return Err(format!("--each: {}: more than {most} MiB do not go into one message", path.display()));
        }
        self.put(&mut message, bytes.into())?;
        Ok(to.blocking_send(message).is_ok())
    }

    /// A file in as many messages as it needs: the first has all else that is said, later ones only bytes.
    fn pieces(&self, first: DynamicMessage, path: &Path, to: &To) -> Result<bool, String> {
        let mut file = open(path)?;
        let mut message = first;
        let later = DynamicMessage::new(self.message.descriptor());
        for place in 0.. {
            let mut piece = Vec::new();
            let read = (&mut file).take(PIECE as u64).read_to_end(&mut piece);
            read.map_err(|error| format!("--each: {}: {error}", path.display()))?;
            if piece.is_empty() && place > 0 {
                break;
            }
            let last = piece.len() < PIECE;
            self.put(&mut message, piece.into())?;
            if to.blocking_send(message).is_err() {
                return Ok(false);
            }
            if last {
                break;
            }
            message = later.clone();
        }
        Ok(true)
    }

    fn put(&self, message: &mut DynamicMessage, bytes: Bytes) -> Result<(), String> {
        let Some(field) = self.field.field() else { return Ok(()) };
        let bytes = match self.field.shape {
            Shape::One => Value::Bytes(bytes),
            _ => Value::List(vec![Value::Bytes(bytes)]),
        };
        set(message, self.field.parents(), field, bytes)
    }
}

fn set(
    message: &mut DynamicMessage,
    parents: &[FieldDescriptor],
    field: &FieldDescriptor,
    value: Value,
) -> Result<(), String> {
    request::holder(message, parents, None)?.try_set_field(field, value).map_err(|error| error.to_string())
}

fn open(path: &Path) -> Result<Box<dyn Read>, String> {
    if path == Path::new("-") {
        return Ok(Box::new(stdin().lock()));
    }
    File::open(path)
        .map(|file| Box::new(file) as Box<dyn Read>)
        .map_err(|error| format!("--each: {}: {error}", path.display()))
}

/// The nearest message around the field that has a text `id`, and that field.
fn id_field<'a>(input: &MessageDescriptor, flag: &'a Flag) -> Option<(&'a [FieldDescriptor], FieldDescriptor)> {
    let parents = flag.parents();
    (0..=parents.len()).rev().find_map(|depth| {
        let holder = match depth.checked_sub(1).map(|above| parents[above].kind()) {
            None => input.clone(),
            Some(Kind::Message(message)) => message,
            Some(_) => return None,
        };
        let id = holder.get_field_by_name(ID)?;
        (id.kind() == Kind::String && !id.is_list()).then(|| (&parents[..depth], id))
    })
}
