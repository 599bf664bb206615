//! Labelled images in the forms that `graft import` reads, written as others write them.

use std::{fs::File, io::Write, path::Path, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use npyz::WriterBuilder;
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// An array of unsigned bytes as IDX, gzipped.
pub fn idx(path: &Path, sizes: &[u32], data: &[u8]) -> Result<()> {
    let mut file = GzEncoder::new(File::create(path)?, Compression::fast());
    file.write_all(&[0, 0, 8, sizes.len() as u8])?;
    for size in sizes {
        file.write_all(&size.to_be_bytes())?;
    }
    file.write_all(data)?;
    file.finish()?;
    Ok(())
}

/// An array as NumPy writes it.
pub fn npy<T: npyz::AutoSerialize>(path: &Path, sizes: &[u64], data: &[T]) -> Result<()> {
    let file = File::create(path)?;
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(sizes).writer(file).begin_nd()?;
    for number in data {
        writer.push(number)?;
    }
    Ok(writer.finish()?)
}

/// A tar of these members, whatever their paths are; gzipped if the file's name says so.
pub fn tar(path: &Path, members: &[(&str, &[u8])]) -> Result<()> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes)?;
    }
    let bytes = builder.into_inner()?;
    if path.extension().is_some_and(|end| end == "gz") {
        let mut file = GzEncoder::new(File::create(path)?, Compression::fast());
        file.write_all(&bytes)?;
        file.finish()?;
    } else {
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

/// A zip of these members, whatever their paths are.
pub fn zip(path: &Path, members: &[(&str, &[u8])]) -> Result<()> {
    let mut writer = ZipWriter::new(File::create(path)?);
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default())?;
        writer.write_all(bytes)?;
    }
    writer.finish()?;
    Ok(())
}

/// Parquet as Hugging Face's datasets write it: `image` is `{bytes, path}`, `label` a number, and the names of the classes
/// are in the metadata. A row without bytes has none.
pub fn parquet(path: &Path, classes: &[&str], rows: &[(Option<Bytes>, i64)]) -> Result<()> {
    let schema = "message schema {
        optional group image { optional binary bytes; optional binary path (STRING); }
        optional int64 label;
    }";
    let names = serde_json::json!({ "info": { "features": {
        "image": { "_type": "Image" }, "label": { "names": classes, "_type": "ClassLabel" },
    } } });
    let metadata = vec![KeyValue::new("huggingface".to_owned(), names.to_string())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata)).build();
    let schema = Arc::new(parse_message_type(schema)?);
    let mut file = SerializedFileWriter::new(File::create(path)?, schema, Arc::new(properties))?;
    // Two groups of rows, as large files have many.
    for rows in rows.chunks(rows.len().div_ceil(2).max(1)) {
        let mut group = file.next_row_group()?;
        let bytes: Vec<ByteArray> = rows.iter().filter_map(|(bytes, _)| bytes.clone().map(ByteArray::from)).collect();
        let levels: Vec<i16> = rows.iter().map(|(bytes, _)| if bytes.is_some() { 2 } else { 1 }).collect();
        let mut column = group.next_column()?.context("the column of the bytes")?;
        column.typed::<ByteArrayType>().write_batch(&bytes, Some(&levels), None)?;
        column.close()?;
        let mut column = group.next_column()?.context("the column of the paths")?;
        column.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; rows.len()]), None)?;
        column.close()?;
        let labels: Vec<i64> = rows.iter().map(|(_, label)| *label).collect();
        let mut column = group.next_column()?.context("the column of the labels")?;
        column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; rows.len()]), None)?;
        column.close()?;
        group.close()?;
    }
    file.close()?;
    Ok(())
}
