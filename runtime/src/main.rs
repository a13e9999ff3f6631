//! The command `seedlog`: the core on real sockets.

mod client;
mod cluster;
mod codec;
mod compression;
mod disk;
mod node;
mod socket;

use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, value_parser};
use seedlog::config::{BrokerConfig, Pair};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::client::listed;
use crate::cluster::Cluster;

#[derive(Parser)]
#[command(name = "seedlog", about = "A Kafka-compatible cluster, producer and consumer", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a cluster in this process; takes commands on its input (try `help`).
    #[command(after_long_help = listed(BrokerConfig::NAMES))]
    Up {
        /// Brokers, on consecutive ports.
        #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(1..=100))]
        brokers: u16,
        /// The first broker's port.
        #[arg(long, default_value_t = 9092, value_parser = value_parser!(u16).range(1..=65_000))]
        port: u16,
        /// Controllers of the metadata quorum.
        #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=5))]
        controllers: u16,
        /// A setting of the brokers by Kafka's name (`--help` lists them); may be given again.
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = BrokerConfig::pair)]
        settings: Vec<Pair>,
    },
    /// Sends each line of its input as a record.
    Produce(client::ProduceArgs),
    /// Prints the records of a topic.
    Consume(client::ConsumeArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives an event loop");
    let result = runtime.block_on(async {
        match cli.command {
            Command::Up { brokers, port, controllers, settings } => {
                up(brokers, port, controllers, &settings).await
            }
            Command::Produce(args) => client::produce(args).await,
            Command::Consume(args) => client::consume(args).await,
        }
    });
    // A read of the terminal that nobody will end must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seedlog: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn up(brokers: u16, port: u16, controllers: u16, settings: &[Pair]) -> Result<(), String> {
    let mut config = cluster::defaults(brokers);
    config.set_pairs(settings)?;
    if let Err(impossible) = config.check_replicas(brokers) {
        Cli::command().error(clap::error::ErrorKind::ValueValidation, impossible).exit();
    }
    let started = Cluster::start(brokers, controllers, port, config).await;
    let mut cluster = started.map_err(|error| format!("port {port} and the next ones: {error}"))?;
    tokio::select! {
        () = cluster.ready() => {}
        _ = tokio::signal::ctrl_c() => return Ok(()),
    }
    let mut read = say(&format!("bootstrap: {}\n", cluster.bootstrap()));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut console = console_ends();
    while read {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            line = lines.next_line(), if console.open => match line {
                Ok(Some(line)) if matches!(line.trim(), "quit" | "exit") => break,
                Ok(Some(line)) => read = say(&(command(&mut cluster, line.trim()).await + "\n")),
                Ok(None) | Err(_) if console.ends => break,
                Ok(None) | Err(_) => console.open = false,
            }
        }
    }
    for number in (1..=cluster.len()).rev() {
        cluster.stop_now(number);
    }
    Ok(())
}

/// Writes to stdout; whether it is still read. A full disk ends the process.
fn say(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => false,
        Err(error) => {
            eprintln!("seedlog: the output cannot be written: {error}");
            std::process::exit(2);
        }
    }
}

/// Whether there is more input, and whether its end ends the process.
struct Console {
    open: bool,
    ends: bool,
}

/// The end of a pipe or of a terminal's input stops the cluster; `/dev/null` says nothing.
fn console_ends() -> Console {
    let pipe = std::fs::metadata("/dev/stdin").is_ok_and(|input| input.file_type().is_fifo());
    Console { open: true, ends: pipe || std::io::stdin().is_terminal() }
}

const HELP: &str = "broker stop N | broker start N | status | help | quit";

async fn command(cluster: &mut Cluster, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |text: &str| {
        let number = text.parse().ok().filter(|number| (1..=cluster.len()).contains(number));
        number.ok_or_else(|| format!("no broker {text}: there are 1 to {}", cluster.len()))
    };
    match &words[..] {
        [] => String::new(),
        ["status"] => cluster.status().await.1.trim_end().to_owned(),
        ["broker", "stop", which] => match number(which) {
            Ok(number) if !cluster.runs(number) => format!("broker {number} is stopped already"),
            Ok(number) => {
                cluster.stop_broker(number).await;
                format!("broker {number} stopped")
            }
            Err(error) => error,
        },
        ["broker", "start", which] => match number(which) {
            Ok(number) if cluster.runs(number) => format!("broker {number} is started already"),
            Ok(number) => match cluster.start_broker(number).await {
                Ok(()) => format!("broker {number} started"),
                Err(error) => format!("broker {number}: {error}"),
            },
            Err(error) => error,
        },
        ["help"] => HELP.to_owned(),
        _ => format!("unknown command; {HELP}"),
    }
}
