//! Measures how many questions a second a node answers over HTTP: `cargo run -p qcn-node --release
//! --example api`. The node is a whole network by itself and runs in this process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use qcn_crypto::Scheme;
use qcn_node::devnet::{Devnet, DevnetPlan, read_node};
use qcn_node::runtime::Node;
use qcn_node::view::View;

/// Connections that ask at the same time, and how often each asks.
const CLIENTS: usize = 4;
const EACH: usize = 5_000;

/// Where the search for a free port begins.
const FIRST_PORT: u16 = 21_400;

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("qcn-api-{}", std::process::id()));
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    outcome
}

fn measure(folder: &Path) -> Result<()> {
    let plan = DevnetPlan {
        weights: vec![1_000],
        accounts: 1,
        account_scheme: Scheme::Falcon512,
        balance: 1_000,
        first_port: FIRST_PORT,
        shards: None,
    };
    let devnet = Devnet::create(folder, &plan, |_, _| {})?;
    let config: PathBuf = devnet.config_files().next().context("there is one node")?;
    let (genesis, config, keys) = read_node(&config)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let node = runtime.block_on(Node::start(&genesis, &config, keys))?;
    let outcome =
        wait_until_certified(node.views().first().context("it has a seat")?).and_then(|()| {
            let account = genesis.accounts().next().context("there is one account")?.address;
            print_conditions();
            let proof = format!("/v1/accounts/{account}/proof");
            for path in ["/v1/status", "/v1/supply", "/v1/checkpoints/certified", &proof] {
                ask_often(node.api_address(), path)?;
            }
            Ok(())
        });
    runtime.block_on(node.stop());
    outcome
}

fn wait_until_certified(view: &View) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let begin = Instant::now();
    while view.certified().is_none() {
        ensure!(begin.elapsed() < PATIENCE, "no state was certified in {} s", PATIENCE.as_secs());
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(())
}

fn print_conditions() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { "debug assertions on" } else { "release" };
    println!(
        "{cores} logical cores for node and clients, {build}; an idle network of one validator; \
         {CLIENTS} connections that stay open, each asks {EACH} times, one question at a time"
    );
}

fn ask_often(address: SocketAddr, path: &str) -> Result<()> {
    let begin = Instant::now();
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| one_client(address, path))).collect();
        let ended = clients.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|end| end.unwrap_or_else(|_| bail!("a client panicked"))).collect()
    });
    outcomes.into_iter().collect::<Result<()>>()?;
    let rate = (CLIENTS * EACH) as f64 / begin.elapsed().as_secs_f64();
    println!("{rate:>8.0} GET/s  {path}");
    Ok(())
}

fn one_client(address: SocketAddr, path: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut answer = Vec::new();
    for _ in 0..EACH {
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream, &mut answer)?;
    }
    Ok(())
}

/// Reads one answer to its end, which its length tells.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<()> {
    answer.clear();
    let mut piece = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut piece)?;
        ensure!(length > 0, "the node closed the connection");
        answer.extend_from_slice(&piece[..length]);
        if let Some(whole) = whole_length(answer)? {
            ensure!(answer.len() <= whole, "there is more than one answer to one question");
            if answer.len() == whole {
                return Ok(());
            }
        }
    }
}

/// How long an answer with its head is, once its head is there.
fn whole_length(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let lengths = head.lines().filter_map(|line| line.split_once(": "));
    let length = lengths
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, length)| length.parse::<usize>().ok());
    Ok(Some(end + 4 + length.context("the answer does not say how long it is")?))
}
