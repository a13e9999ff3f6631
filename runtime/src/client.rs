//! `seedlog produce` and `seedlog consume`: the core's own clients over sockets.

use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, value_parser};
use seedlog::client::{Admin, AdminSetup, Consumer, ConsumerSetup, Producer, ProducerSetup, SPACE};
use seedlog::config::{AdminConfig, ConsumerConfig, OffsetReset, Pair, ProducerConfig};
use seedlog::defect::Defects;
use seedlog::error::ErrorCode;
use seedlog::ids::{CallId, Endpoint, TopicName, TopicRef};
use seedlog::machine::{Effects, Input, Machine};
use seedlog::message::metadata::MetadataRequest;
use seedlog::message::{Request, Response};
use seedlog::op::{Op, Outcome, SendRecord};
use seedlog::record::Compression;
use seedlog::time::Now;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use crate::cluster::seed;
use crate::compression;
use crate::disk::Disk;
use crate::node::{Clock, Mail, Mailbox, Network, Node};
use crate::say;
use crate::socket::Outside;

const CLIENT_ID: &str = "seedlog";
/// What is wrong with the topic or the cluster: the next record would fare no better.
const FINAL: [ErrorCode; 2] = [ErrorCode::InvalidTopicException, ErrorCode::RequestTimedOut];

#[derive(Args)]
#[command(after_long_help = listed(ProducerConfig::NAMES))]
pub struct ProduceArgs {
    /// Brokers to ask first: host:port,..
    #[arg(long, default_value = "127.0.0.1:9092", value_parser = endpoints)]
    bootstrap: Arc<[Endpoint]>,
    #[arg(long)]
    topic: String,
    /// Splits a line into key and value.
    #[arg(long)]
    key_separator: Option<String>,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd.
    #[arg(long, default_value = "none", value_parser = compression(), hide_possible_values = true)]
    compression: Compression,
    /// A producer setting under Kafka's name (`--help` lists them): `acks=1`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = ProducerConfig::pair)]
    settings: Vec<Pair>,
}

#[derive(Args)]
#[command(after_long_help = listed(ConsumerConfig::NAMES))]
pub struct ConsumeArgs {
    /// Brokers to ask first: host:port,..
    #[arg(long, default_value = "127.0.0.1:9092", value_parser = endpoints)]
    bootstrap: Arc<[Endpoint]>,
    #[arg(long)]
    topic: String,
    /// Starts at the oldest record instead of the end.
    #[arg(long)]
    from_beginning: bool,
    /// Ends after so many records.
    #[arg(long)]
    count: Option<usize>,
    /// Ends after so many seconds without a record, or without an answer at the start.
    #[arg(long, value_parser = value_parser!(u64).range(1..))]
    idle_seconds: Option<u64>,
    /// A consumer setting under Kafka's name (`--help` lists them): `fetch.min.bytes=1000`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = ConsumerConfig::pair)]
    settings: Vec<Pair>,
}

fn compression() -> impl TypedValueParser<Value = Compression> {
    let names = compression::NAMES;
    let named = move |name: String| names.iter().find(|known| known.0 == name).map(|known| known.1);
    PossibleValuesParser::new(names.map(|known| known.0))
        .map(move |name| named(name).expect("one of the possible values"))
}

/// A client machine and its calls.
struct Client {
    mail: Mailbox,
    outcomes: mpsc::UnboundedReceiver<(CallId, Outcome)>,
    calls: u64,
    outside: Arc<Outside>,
}

impl Client {
    fn run<M: Machine + Send + 'static>(
        compression: Compression,
        start: impl FnOnce(Now, &mut Effects) -> M + Send + 'static,
    ) -> Self {
        let (mail, inbox) = mpsc::unbounded_channel();
        let (returns, outcomes) = mpsc::unbounded_channel();
        let (unreadable, complaints) = (OnceLock::new(), Mutex::default());
        let client_id = CLIENT_ID;
        let outside = Arc::new(Outside { client_id, compression, unreadable, complaints });
        let (network, clock) = (Network::Sockets(Arc::clone(&outside)), Clock::start());
        let report = |_: &M| (true, String::new());
        let node = Node::new(mail.clone(), Disk::default(), network, clock, report, returns);
        tokio::spawn(node.run(|_, now, out| start(now, out), inbox));
        Client { mail, outcomes, calls: 0, outside }
    }

    fn send(&mut self, op: Op) {
        let call = CallId(self.calls);
        self.calls += 1;
        let _ = self.mail.send(Mail::Input(Input::Call { call, op: Arc::new(op) }));
    }

    async fn outcome(&mut self) -> Outcome {
        let (_, outcome) = self.outcomes.recv().await.expect("the client runs as long as this");
        outcome
    }

    async fn call(&mut self, op: Op) -> Outcome {
        self.send(op);
        self.outcome().await
    }
}

fn endpoints(list: &str) -> Result<Arc<[Endpoint]>, String> {
    let endpoint = |text: &str| {
        let (host, port) = text.trim().rsplit_once(':')?;
        Some(Endpoint { host: host.into(), port: port.parse().ok()? })
    };
    let wrong = |text| format!("{text:?}: expected host:port");
    list.split(',').map(|text| endpoint(text).ok_or_else(|| wrong(text))).collect()
}

/// What `--help` ends with.
pub fn listed(names: &[&str]) -> String {
    format!("Settings: {}", names.join(", "))
}

pub async fn produce(args: ProduceArgs) -> Result<(), String> {
    let mut config = ProducerConfig::default();
    config.set_pairs(&args.settings)?;
    config.max_block = config.max_block.min(config.delivery_timeout);
    let client_id = CLIENT_ID.into();
    let (defects, partitioner) = (Defects::NONE, None);
    let setup = Arc::new(ProducerSetup {
        client_id,
        bootstrap: args.bootstrap,
        config,
        defects,
        partitioner,
        transactional_id: None,
        space: SPACE,
    });
    let start = move |now, out: &mut _| Producer::start(&setup, seed(), now, out);
    let mut client = Client::run(args.compression, start);
    let topic: TopicName = args.topic.as_str().into();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut open, mut failed, mut why) = (true, 0_u64, String::new());
    while open || client.calls > 0 {
        tokio::select! {
            line = lines.next_line(), if open => match line.map_err(|error| error.to_string())? {
                Some(line) => client.send(record(&topic, &line, args.key_separator.as_deref())),
                None => {
                    client.send(Op::Flush);
                    open = false;
                }
            },
            outcome = client.outcome() => match outcome {
                Outcome::Done => break,
                Outcome::Failed(error) | Outcome::Unknown(error) => {
                    failed += 1;
                    if !FINAL.contains(&error) {
                        eprintln!("seedlog: a record was not acknowledged: {error}");
                        continue;
                    }
                    why = format!(": {error}");
                    if std::mem::take(&mut open) {
                        client.send(Op::Flush);
                    }
                }
                Outcome::Sent { .. }
                | Outcome::Polled(_)
                | Outcome::Rebalanced(_)
                | Outcome::Committed(_)
                | Outcome::Answered(_) => {}
            },
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} records were not acknowledged{why}")) }
}

fn record(topic: &TopicName, line: &str, separator: Option<&str>) -> Op {
    let (key, value) = match separator.and_then(|separator| line.split_once(separator)) {
        Some((key, value)) => (Some(key.to_owned().into()), value),
        None => (None, line),
    };
    Op::Send(SendRecord {
        topic: topic.clone(),
        partition: None,
        key,
        value: Some(value.to_owned().into()),
        headers: Vec::new(),
        timestamp: None,
    })
}

/// How many partitions the topic has.
async fn partitions(args: &ConsumeArgs, idle: Duration) -> Result<usize, String> {
    let mut config = AdminConfig::default();
    config.api_timeout = config.api_timeout.min(idle);
    let setup = Arc::new(AdminSetup {
        client_id: CLIENT_ID.into(),
        bootstrap: Arc::clone(&args.bootstrap),
        config,
        defects: Defects::NONE,
    });
    let start = move |now, out: &mut _| Admin::start(&setup, seed(), now, out);
    let mut admin = Client::run(Compression::None, start);
    let request = MetadataRequest {
        topics: Some(vec![TopicRef::Name(args.topic.as_str().into())]),
        allow_auto_topic_creation: false,
    };
    let Outcome::Answered(response) = admin.call(Op::Admin(Request::Metadata(request))).await
    else {
        return Err("no broker answers".to_owned());
    };
    let Response::Metadata(response) = &*response else { return Err("garbage".to_owned()) };
    let found = response.topics.first().ok_or("garbage")?;
    let count = found.partitions.len();
    if count > 0 { Ok(count) } else { Err(format!("no topic {:?}: {}", args.topic, found.error)) }
}

pub async fn consume(args: ConsumeArgs) -> Result<(), String> {
    let mut config = ConsumerConfig::default();
    if args.from_beginning {
        config.auto_offset_reset = OffsetReset::Earliest;
    }
    config.set_pairs(&args.settings)?;
    let topic: TopicName = args.topic.as_str().into();
    let timeout = Duration::from_secs(args.idle_seconds.unwrap_or(3_600));
    let count = partitions(&args, timeout).await?;
    let (client_id, defects) = (CLIENT_ID.into(), Defects::NONE);
    let setup = Arc::new(ConsumerSetup {
        client_id,
        bootstrap: args.bootstrap,
        config,
        group: None,
        defects,
        space: SPACE,
    });
    let start = move |now, out: &mut _| Consumer::start(&setup, seed(), now, out);
    let mut client = Client::run(Compression::None, start);
    let assigned = (0..).take(count).map(|partition| (topic.clone(), partition)).collect();
    client.call(Op::Assign(assigned)).await;
    let mut left = args.count.unwrap_or(usize::MAX);
    while left > 0 {
        let poll = client.call(Op::Poll { max_records: left.min(500), timeout });
        let outcome = tokio::select! {
            outcome = poll => outcome,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        if let Outcome::Failed(error) = outcome {
            let why = client.outside.unreadable.get().cloned();
            let why = why.unwrap_or_else(|| error.to_string());
            return Err(format!("topic {topic} cannot be read on: {why}"));
        }
        let Outcome::Polled(records) = outcome else { return Err(format!("{outcome:?}")) };
        if records.is_empty() && args.idle_seconds.is_some() {
            break;
        }
        let mut lines = String::new();
        for record in records.iter() {
            let text = |bytes: &Option<Bytes>| match bytes {
                Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                None => "null".to_owned(),
            };
            let (key, value) = (text(&record.key), text(&record.value));
            let _ = writeln!(lines, "{}\t{}\t{key}\t{value}", record.partition, record.offset.0);
        }
        left = if say(&lines) { left - records.len() } else { 0 };
    }
    Ok(())
}
