//! Compressed batches, at the edge of a client: the core carries them and does not look inside.
//!
//! Batches are opened as they come off the wire and compressed on their way onto it. What cannot be
//! opened stays as it is: the core's consumer stops there, and [`open_fetched`] knows why.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use seedlog::message::{Records, Request, Response};
use seedlog::record::{self, BatchHeader, Compression, HEADER_BYTES};

/// Kafka's names (`compression.type`).
pub const NAMES: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

/// No batch is larger opened: a few bytes of garbage can promise gigabytes.
const MAX_OPENED: usize = 256 << 20;
/// xerial's framing of snappy, which Java's clients write: magic, version 1, compatible with 1.
const XERIAL: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const XERIAL_BLOCK: usize = 32 << 10;

pub fn name_of(compression: Compression) -> &'static str {
    let known = NAMES.iter().find(|(_, named)| *named == compression);
    known.map_or("unknown compression", |(name, _)| name)
}

/// Compresses what a producer sends.
pub fn compress_produced(request: Arc<Request>, compression: Compression) -> Arc<Request> {
    if compression == Compression::None || !matches!(&*request, Request::Produce(_)) {
        return request;
    }
    let mut request = request;
    let Request::Produce(produce) = Arc::make_mut(&mut request) else { return request };
    for partition in &mut produce.partitions {
        let chunks = partition.records.chunks().iter();
        let chunks = chunks.map(|batch| {
            let header = BatchHeader::parse(batch).expect("the core's producer sends good batches");
            let packed = compress(compression, &batch[HEADER_BYTES..]);
            let packed = packed.expect("memory takes what is written");
            record::repack(&header, compression, &packed)
        });
        partition.records = Records::Inline(chunks.collect());
    }
    request
}

/// Opens what a consumer has fetched. The reason for the first batch that cannot be opened.
pub fn open_fetched(response: &mut Response) -> Option<String> {
    let Response::Fetch(fetch) = response else { return None };
    let mut trouble = None;
    for partition in &mut fetch.partitions {
        let chunks: Vec<Bytes> = partition.records.chunks().to_vec();
        let mut opened = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            let why = open_chunk(chunk, &mut opened);
            let place = partition.partition;
            trouble = trouble.or_else(|| why.map(|why| format!("partition {place}, {why}")));
        }
        partition.records = Records::Inline(opened);
    }
    trouble
}

/// Puts the batches of a chunk behind `opened`, and says why one of them is still compressed.
fn open_chunk(chunk: &Bytes, opened: &mut Vec<Bytes>) -> Option<String> {
    let mut done = 0;
    for batch in record::batches(chunk) {
        // A torn end, or garbage: the core judges that.
        let Ok((header, batch)) = batch else { break };
        done += batch.len();
        // A new frame has a new CRC: a broken batch must keep the old one, which tells.
        let sound = header.compression() != Compression::None && record::verify(&batch).is_ok();
        if !sound {
            opened.push(batch);
            continue;
        }
        match open(header.compression(), &batch[HEADER_BYTES..], MAX_OPENED) {
            Ok(records) => opened.push(record::repack(&header, Compression::None, &records)),
            Err(error) => {
                opened.push(chunk.slice(done - batch.len()..));
                let name = name_of(header.compression());
                return Some(format!("offset {}: {name}: {error}", header.base_offset.0));
            }
        }
    }
    if done < chunk.len() {
        opened.push(chunk.slice(done..));
    }
    None
}

fn compress(compression: Compression, records: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(records.to_vec()),
        Compression::Gzip => {
            let level = flate2::Compression::default();
            let mut out = flate2::write::GzEncoder::new(Vec::new(), level);
            out.write_all(records)?;
            out.finish()
        }
        Compression::Snappy => {
            let mut out = XERIAL.to_vec();
            for block in records.chunks(XERIAL_BLOCK) {
                let packed = snap::raw::Encoder::new().compress_vec(block)?;
                let length = u32::try_from(packed.len()).expect("a block is small");
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&packed);
            }
            Ok(out)
        }
        Compression::Lz4 => {
            let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
            out.write_all(records)?;
            out.finish().map_err(io::Error::other)
        }
        Compression::Zstd => zstd::encode_all(records, zstd::DEFAULT_COMPRESSION_LEVEL),
        Compression::Unknown => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Nothing that opens to more than `limit` bytes.
fn open(compression: Compression, packed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(packed.to_vec()),
        Compression::Gzip => read_all(flate2::read::GzDecoder::new(packed), limit),
        Compression::Snappy => match packed.strip_prefix(XERIAL) {
            Some(blocks) => open_blocks(blocks, limit),
            // librdkafka writes one bare block.
            None => open_block(packed, limit),
        },
        Compression::Lz4 => read_all(lz4_flex::frame::FrameDecoder::new(packed), limit),
        Compression::Zstd => read_all(zstd::Decoder::with_buffer(packed)?, limit),
        Compression::Unknown => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn too_large(limit: usize) -> io::Error {
    io::Error::other(format!("opens to more than {} MiB", limit >> 20))
}

fn read_all(packed: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let bytes = u64::try_from(limit).expect("64 bits fit");
    packed.take(bytes + 1).read_to_end(&mut out)?;
    if out.len() > limit { Err(too_large(limit)) } else { Ok(out) }
}

fn open_blocks(mut blocks: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    while !blocks.is_empty() {
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (length, rest) = blocks.split_first_chunk().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("32 bits fit");
        let (block, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        out.extend(open_block(block, limit - out.len())?);
        blocks = rest;
    }
    Ok(out)
}

fn open_block(block: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    // It begins with its size: nothing may be reserved before that is looked at.
    if snap::raw::decompress_len(block)? > limit {
        return Err(too_large(limit));
    }
    Ok(snap::raw::Decoder::new().decompress_vec(block)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use seedlog::error::ErrorCode;
    use seedlog::ids::{Offset, TopicRef};
    use seedlog::message::fetch::{FetchResponse, FetchedPartition};
    use seedlog::message::produce::{Acks, ProducePartition, ProduceRequest};
    use seedlog::message::transaction::TransactionVersion;
    use seedlog::record::Builder;
    use seedlog::time::{Duration, Timestamp};

    use super::*;

    fn batch(values: &[&[u8]]) -> Bytes {
        let mut builder = Builder::new();
        values.iter().for_each(|value| builder.append(Timestamp(7), None, Some(value)));
        builder.build()
    }

    fn produced(batch: &Bytes, compression: Compression) -> Bytes {
        let partition = ProducePartition {
            topic: TopicRef::Name("orders".into()),
            partition: 0,
            records: Records::Inline(vec![batch.clone()]),
        };
        let request = Request::Produce(ProduceRequest {
            transactional_id: None,
            version: TransactionVersion::V1,
            acks: Acks::All,
            timeout: Duration::ZERO,
            partitions: vec![partition],
        });
        let request = compress_produced(Arc::new(request), compression);
        let Request::Produce(produce) = &*request else { panic!("as it was") };
        produce.partitions[0].records.chunks()[0].clone()
    }

    fn fetched(chunk: Bytes) -> (Vec<Bytes>, Option<String>) {
        let partition = FetchedPartition {
            topic: TopicRef::Name("orders".into()),
            partition: 4,
            error: ErrorCode::None,
            high_watermark: Offset(9),
            last_stable_offset: Offset(9),
            log_start_offset: Offset(0),
            diverging: None,
            current_leader: None,
            aborted: Vec::new(),
            records: Records::Inline(vec![chunk]),
        };
        let fetch = FetchResponse { error: ErrorCode::None, partitions: vec![partition] };
        let mut response = Response::Fetch(fetch);
        let trouble = open_fetched(&mut response);
        let Response::Fetch(fetch) = response else { panic!("as it was") };
        (fetch.partitions[0].records.chunks().to_vec(), trouble)
    }

    #[test]
    fn what_is_compressed_opens_to_the_same_batch() {
        let plain = batch(&[&[1; 50_000], b"x", &[3; 90_000]]);
        for (name, compression) in NAMES {
            let packed = produced(&plain, compression);
            let header = record::verify(&packed).expect("a whole batch");
            assert_eq!(header.compression(), compression, "{name}");
            let small = compression == Compression::None || packed.len() < plain.len() / 10;
            assert!(small, "{name}: {} bytes", packed.len());
            // Two batches, and the cut beginning of a third.
            let chunk = [&packed[..], &packed, &packed[..70]].concat().into();
            let (opened, trouble) = fetched(chunk);
            assert_eq!((opened.len(), trouble), (3, None), "{name}");
            assert_eq!(opened[..2], [plain.clone(), plain.clone()], "{name}");
            assert_eq!(opened[2], packed[..70], "{name}");
        }
    }

    #[test]
    fn a_bare_block_of_snappy_opens_too() {
        let plain = batch(&[b"from librdkafka"]);
        let header = record::verify(&plain).expect("whole");
        let block = snap::raw::Encoder::new().compress_vec(&plain[HEADER_BYTES..]);
        let packed = record::repack(&header, Compression::Snappy, &block.expect("memory"));
        assert_eq!(fetched(packed), (vec![plain], None));
    }

    #[test]
    fn what_cannot_be_opened_stays_with_all_behind_it_and_is_named() {
        let plain = batch(&[b"a", b"b"]);
        let header = record::verify(&plain).expect("whole");
        for (name, compression) in &NAMES[1..] {
            let broken =
                record::repack(&header, *compression, b"\xff\xff\xff\xff\x0fno such thing");
            let chunk: Bytes = [&plain[..], &broken, &plain].concat().into();
            let (opened, trouble) = fetched(chunk);
            assert_eq!(opened, [plain.clone(), [&broken[..], &plain].concat().into()], "{name}");
            let trouble = trouble.expect("a reason");
            assert!(trouble.starts_with(&format!("partition 4, offset 0: {name}: ")), "{trouble}");
        }
    }

    #[test]
    fn a_batch_whose_bytes_were_flipped_keeps_the_crc_that_tells() {
        let packed = produced(&batch(&[&[1; 500]]), Compression::Gzip);
        let mut flipped = packed.to_vec();
        flipped[80] ^= 1;
        let flipped = Bytes::from(flipped);
        assert_eq!(fetched(flipped.clone()), (vec![flipped], None));
    }

    #[test]
    fn a_small_batch_cannot_open_to_all_of_memory() {
        let limit = 1 << 20;
        for (name, compression) in &NAMES[1..] {
            let bomb = compress(*compression, &vec![0; limit + 1]).expect("memory");
            let error = open(*compression, &bomb, limit).expect_err(name).to_string();
            assert!(error.contains("opens to more than"), "{name}: {error}");
            let whole = compress(*compression, &vec![0; limit]).expect("memory");
            assert!(open(*compression, &whole, limit).is_ok(), "{name}");
        }
        let promise = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        let error = open(Compression::Snappy, &promise, limit).expect_err("4 GiB").to_string();
        assert_eq!(error, "opens to more than 1 MiB");
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), framed: bool,
        ) {
            let bytes = if framed { [&XERIAL[..], &bytes].concat() } else { bytes };
            for (_, compression) in NAMES {
                let _ = open(compression, &bytes, 1 << 20);
            }
        }
    }
}
