//! Messages on the wire, whatever their type.

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Sends any messages, and reads those of one type.
#[derive(Clone, Debug)]
pub struct DynamicCodec {
    read: MessageDescriptor,
}

impl DynamicCodec {
    /// Reads messages of this type.
    pub fn new(read: MessageDescriptor) -> DynamicCodec {
        DynamicCodec { read }
    }
}

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Writer;
    type Decoder = Reader;

    fn encoder(&mut self) -> Writer {
        Writer
    }

    fn decoder(&mut self) -> Reader {
        Reader(self.read.clone())
    }
}

/// Writes messages.
#[derive(Debug)]
pub struct Writer;

impl Encoder for Writer {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(to).map_err(|error| Status::internal(format!("a message cannot be written: {error}")))
    }
}

/// Reads messages.
#[derive(Debug)]
pub struct Reader(MessageDescriptor);

impl Decoder for Reader {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let mut message = DynamicMessage::new(self.0.clone());
        message.merge(from).map_err(|error| Status::internal(format!("a message cannot be read: {error}")))?;
        Ok(Some(message))
    }
}
