//! RecordBatch v2, byte for byte as Kafka stores it.
