//! Formats of values, by the names that scenarios use.

use seedlog::client::app::format::Format;

use super::avro::{Avro, Described};

/// How the values of an application or a feed are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// Nobody looks into them.
    Bytes,
    Json,
    Avro,
}

impl ValueFormat {
    /// Those of a type.
    pub const TYPED: &'static [ValueFormat] = &[ValueFormat::Json, ValueFormat::Avro];
    /// What passes values on as they are.
    pub const OPAQUE: &'static [ValueFormat] = &[ValueFormat::Bytes];
    pub const ALL: [ValueFormat; 3] = [ValueFormat::Bytes, ValueFormat::Json, ValueFormat::Avro];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ValueFormat::Bytes => "bytes",
            ValueFormat::Json => "json",
            ValueFormat::Avro => "avro",
        }
    }

    /// The format of a type's values.
    ///
    /// # Panics
    /// If it is bytes, which have no type.
    #[must_use]
    pub fn of<T: Described>(self) -> Format<T> {
        match self {
            ValueFormat::Bytes => panic!("bytes have no type"),
            ValueFormat::Json => Format::json(),
            ValueFormat::Avro => Format::new(self.name(), Avro::<T>::new()),
        }
    }
}
