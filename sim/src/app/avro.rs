//! Values as Avro, each with the fingerprint of the schema that it was written with (Avro's
//! single-object encoding).

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::marker::PhantomData;

use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, from_value};
use bytes::Bytes;
use seedlog::client::app::format::{Codec, Malformed};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type whose values have an Avro schema.
pub trait Described: Serialize + DeserializeOwned + 'static {
    /// What its values are written with, as JSON.
    const SCHEMA: &'static str;
    /// What its values were written with before, and may still lie somewhere. Fields that they do
    /// not have need a default in [`Described::SCHEMA`].
    const OLDER: &'static [&'static str] = &[];
}

/// What a value begins with; then comes the fingerprint of its schema, then its datum.
const MARKER: [u8; 2] = [0xC3, 0x01];

/// CRC-64-AVRO of a schema's canonical form, little-endian.
type Fingerprint = [u8; 8];

/// Writes values of one type by its schema, and reads those of older schemas too.
pub struct Avro<T> {
    own: Fingerprint,
    schemas: BTreeMap<Fingerprint, Schema>,
    values: PhantomData<fn() -> T>,
}

fn fingerprint(schema: &Schema) -> Fingerprint {
    let bytes = schema.fingerprint::<Rabin>().bytes;
    bytes.try_into().expect("a CRC of 64 bits has eight bytes")
}

/// What is left of a datum. The library takes a union that is cut off for null: that it asked for
/// more than there was is remembered here.
struct Datum<'a> {
    rest: &'a [u8],
    is_short: bool,
}

impl Read for Datum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_short |= self.rest.is_empty() && !buffer.is_empty();
        self.rest.read(buffer)
    }
}

impl<T: Described> Avro<T> {
    /// # Panics
    /// If a schema of the type is none: a bug of whoever wrote it.
    #[must_use]
    pub fn new() -> Self {
        let parse = |text: &str| match Schema::parse_str(text) {
            Ok(schema) => (fingerprint(&schema), schema),
            Err(error) => panic!("{} has no schema: {error}", std::any::type_name::<T>()),
        };
        let (own, schema) = parse(T::SCHEMA);
        let mut schemas: BTreeMap<_, _> = T::OLDER.iter().map(|text| parse(text)).collect();
        schemas.insert(own, schema);
        Avro { own, schemas, values: PhantomData }
    }

    fn read(&self, writer: &Schema, datum: &mut Datum<'_>) -> Result<T, apache_avro::Error> {
        let reader = GenericDatumReader::builder(writer);
        let reader = reader.reader_schema(&self.schemas[&self.own]).build()?;
        from_value(&reader.read_value(datum)?)
    }
}

impl<T: Described> Default for Avro<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Described> Codec<T> for Avro<T> {
    fn encode(&self, value: &T) -> Bytes {
        let mut bytes = [&MARKER[..], &self.own].concat();
        let writer = GenericDatumWriter::builder(&self.schemas[&self.own]).build();
        let written = writer.and_then(|writer| writer.write_ser(&mut bytes, value));
        written.expect("values of a type follow its schema");
        bytes.into()
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, Malformed> {
        let wrong = |why: &str| Malformed(why.into());
        let Some(rest) = bytes.strip_prefix(&MARKER) else {
            return Err(wrong("it does not begin with C3 01"));
        };
        let Some((written_with, rest)) = rest.split_first_chunk::<8>() else {
            return Err(wrong("it ends before its schema's fingerprint does"));
        };
        let Some(schema) = self.schemas.get(written_with) else {
            let fingerprint = u64::from_le_bytes(*written_with);
            return Err(Malformed(format!("no schema has the fingerprint {fingerprint:016x}")));
        };
        let mut datum = Datum { rest, is_short: false };
        let value = self.read(schema, &mut datum).map_err(|error| Malformed(error.to_string()))?;
        match datum.rest.len() {
            _ if datum.is_short => Err(wrong("it ends too early")),
            0 => Ok(value),
            more => Err(Malformed(format!("{more} bytes come after it"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Seat {
        row: i64,
        name: Option<String>,
    }

    impl Described for Seat {
        const SCHEMA: &'static str = r#"{"type": "record", "name": "Seat", "fields": [
            {"name": "row", "type": "long"},
            {"name": "name", "type": ["null", "string"], "default": null}]}"#;
    }

    /// As it became later.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Newer {
        row: i64,
        price: i64,
        name: Option<String>,
    }

    impl Described for Newer {
        const SCHEMA: &'static str = r#"{"type": "record", "name": "Seat", "fields": [
            {"name": "row", "type": "long"},
            {"name": "price", "type": "long", "default": 12},
            {"name": "name", "type": ["null", "string"], "default": null}]}"#;
        const OLDER: &'static [&'static str] = &[Seat::SCHEMA];
    }

    fn seat() -> Seat {
        Seat { row: -2, name: Some("ab".into()) }
    }

    fn reason<T: Described + std::fmt::Debug>(bytes: &[u8]) -> String {
        Avro::<T>::new().decode(bytes).expect_err("it is malformed").0
    }

    #[test]
    fn a_value_is_marker_fingerprint_and_datum() {
        let bytes = Avro::new().encode(&seat());
        assert_eq!(bytes[..2], [0xC3, 0x01]);
        // -2 in zigzag; the union's second branch; a string of two.
        assert_eq!(bytes[10..], [3, 2, 4, b'a', b'b']);
        assert_eq!(Avro::new().decode(&bytes), Ok(seat()));
    }

    #[test]
    fn a_fingerprint_is_the_one_that_avro_publishes() {
        // share/test/data/schema-tests.txt of Apache Avro: "null".
        let schema = Schema::parse_str("\"null\"").expect("it is one");
        assert_eq!(i64::from_le_bytes(fingerprint(&schema)), 7_195_948_357_588_979_594);
    }

    #[test]
    fn a_reader_with_a_field_more_reads_what_was_written_before() {
        let old = Avro::new().encode(&seat());
        let newer = Newer { row: -2, price: 12, name: Some("ab".into()) };
        assert_eq!(Avro::new().decode(&old), Ok(newer.clone()));
        let new = Avro::new().encode(&newer);
        assert!(reason::<Seat>(&new).starts_with("no schema has the fingerprint "));
    }

    #[test]
    fn what_is_malformed_has_a_reason() {
        let good = Avro::new().encode(&seat());
        let cut = |end: usize| reason::<Seat>(&good[..end]);
        assert_eq!(cut(0), "it does not begin with C3 01");
        assert_eq!(reason::<Seat>(b"{\"row\":1}"), "it does not begin with C3 01");
        assert_eq!(cut(9), "it ends before its schema's fingerprint does");
        for end in 10..good.len() {
            assert!(!cut(end).is_empty(), "{end}");
        }
        assert_eq!(reason::<Seat>(&[&good, &b"x"[..]].concat()), "1 bytes come after it");
        let mut other = good.to_vec();
        other[2] ^= 1;
        assert!(reason::<Seat>(&other).starts_with("no schema has the fingerprint "));
    }

    proptest! {
        #[test]
        fn no_datum_makes_it_panic(datum: Vec<u8>) {
            let avro = Avro::<Newer>::new();
            for schema in avro.schemas.keys() {
                let _ = avro.decode(&[&MARKER[..], schema, &datum].concat());
            }
        }
    }
}
