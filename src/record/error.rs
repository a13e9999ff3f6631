//! What can be wrong with the bytes of a batch.

use core::fmt;

use crate::error::ErrorCode;

/// Why bytes are not a good batch, or not one that may stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchError {
    /// Fewer bytes than the header says, or than a header takes: a torn write or message.
    Truncated,
    /// More bytes behind the batch where exactly one was expected.
    Trailing,
    /// The length field is impossible.
    Length,
    /// Not magic 2 (KIP-98): older formats are not spoken.
    Magic,
    /// The CRC-32C does not match.
    Crc,
    /// The CRC matches, but a field or a record inside makes no sense.
    Invalid,
    /// The records are compressed: carried, not opened.
    Compressed,
    /// The batch does not continue the log that it was meant for.
    OutOfOrder,
    /// The log that it was meant for has lost its disk.
    Storage,
}

impl BatchError {
    /// The answer to the peer who sent it.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            BatchError::Truncated
            | BatchError::Trailing
            | BatchError::Length
            | BatchError::Magic
            | BatchError::Crc
            | BatchError::OutOfOrder => ErrorCode::CorruptMessage,
            BatchError::Invalid => ErrorCode::InvalidRecord,
            BatchError::Compressed => ErrorCode::UnsupportedCompressionType,
            BatchError::Storage => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<BatchError> for ErrorCode {
    fn from(error: BatchError) -> ErrorCode {
        error.code()
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BatchError::Truncated => "the batch is cut short",
            BatchError::Trailing => "bytes behind the batch",
            BatchError::Length => "impossible batch length",
            BatchError::Magic => "not a batch of format 2",
            BatchError::Crc => "checksum mismatch",
            BatchError::Invalid => "invalid batch content",
            BatchError::Compressed => "compressed records",
            BatchError::OutOfOrder => "the batch does not continue the log",
            BatchError::Storage => "the log's disk failed",
        })
    }
}

impl core::error::Error for BatchError {}
