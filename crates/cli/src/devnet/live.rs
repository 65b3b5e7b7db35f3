//! The live view of a devnet in the terminal: a line for each validator, one for each shard where
//! there are several, and one for the load.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use qcn_node::devnet::Devnet;
use qcn_types::ValidatorIndex;
use serde_json::{Value, json};

use super::DevnetArgs;
use super::load::{BackgroundLoad, LoadFigures};
use crate::client::Client;

/// How often the validators are asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Over how many askings a rate is taken.
const RATE_WINDOW: usize = 8;

/// The threads that ask, draw and send.
pub(super) struct Live {
    drawing: JoinHandle<()>,
    load: Option<BackgroundLoad>,
    end: Sender<()>,
}

impl Live {
    pub(super) fn start(
        args: &DevnetArgs,
        devnet: &Devnet,
        urls: Vec<String>,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let names = devnet.genesis().validators().iter().map(|it| it.name.clone());
        let genesis = devnet.genesis();
        let hosts = |at: usize| {
            let validator = ValidatorIndex(u16::try_from(at).unwrap_or(u16::MAX));
            let seated = genesis.shards().iter().filter(|shard| shard.seat_of(validator).is_some());
            seated.map(|shard| shard.id.0).collect()
        };
        let seats: Vec<Seat> = names
            .zip(&urls)
            .enumerate()
            .map(|(at, (name, url))| Seat::new(name, url, hosts(at)))
            .collect::<anyhow::Result<_>>()?;
        let load = match args.load {
            0.0 => None,
            rate => Some(BackgroundLoad::start(devnet, &urls, rate, Arc::clone(&stop))?),
        };
        let figures = load.as_ref().map(BackgroundLoad::figures);
        let (end, ended) = channel();
        let screen = Screen::new(args, devnet, &urls, seats, figures)?;
        let drawing = std::thread::Builder::new()
            .name("live".to_owned())
            .spawn(move || {
                let mut screen = screen;
                while !stop.load(Ordering::Relaxed) {
                    screen.refresh();
                    match ended.recv_timeout(INTERVAL) {
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
                screen.finish();
            })
            .context("starting the live view")?;
        Ok(Self { drawing, load, end })
    }

    /// Ends the view and the load, and says what came of it.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        // The thread may have ended by itself.
        let _ = self.end.send(());
        self.drawing.join().map_err(|_| anyhow!("the live view panicked"))?;
        if let Some(load) = self.load {
            load.finish()?;
        }
        Ok(())
    }
}

/// One validator as the view knows it.
struct Seat {
    name: String,
    client: Client,
    /// The shards in which it has a seat.
    shards: Vec<u32>,
    status: Option<Value>,
    /// What it says of all shards, where there are several.
    all_shards: Option<Value>,
    /// When the last answers came, and the round and height they gave.
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Seat {
    fn new(name: String, url: &str, shards: Vec<u32>) -> anyhow::Result<Self> {
        let url = url.parse().map_err(|error: String| anyhow!(error))?;
        let (client, samples) = (Client::new(url), VecDeque::new());
        Ok(Self { name, client, shards, status: None, all_shards: None, samples })
    }

    fn ask(&mut self, of_several: bool) {
        if of_several {
            self.all_shards = self.client.get::<Value>("/v1/shards").ok();
        }
        self.status = self.client.get::<Value>("/v1/status").ok();
        match &self.status {
            Some(status) => {
                let number = |name: &str| status[name].as_u64().unwrap_or(0);
                let sample = (Instant::now(), number("round"), number("certified_height"));
                self.samples.push_back(sample);
                while self.samples.len() > RATE_WINDOW {
                    self.samples.pop_front();
                }
            }
            None => self.samples.clear(),
        }
    }

    /// Rounds and certified checkpoints per second.
    fn rates(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let seconds = (last.0 - first.0).as_secs_f64().max(1e-3);
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        (rate(first.1, last.1), rate(first.2, last.2))
    }

    fn line(&self) -> String {
        if self.shards.is_empty() {
            return "has no seat in any shard".to_owned();
        }
        let Some(status) = &self.status else {
            return "no answer".to_owned();
        };
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        let (rounds, checkpoints) = self.rates();
        let condition = match status["stopped"].as_str() {
            Some(reason) => format!("STOPPED: {reason}"),
            None if status["waiting_for"].is_string() => "waits: its disk is full".to_owned(),
            None if status["recovering"] == true => "asks what it has signed".to_owned(),
            None if status["synchronising"] == true => "synchronises state".to_owned(),
            None => "runs".to_owned(),
        };
        format!(
            "round {:>7} ({rounds:>5.1}/s)  height {:>7}  certified {:>7} ({checkpoints:>5.1}/s)  \
             peers {:>2}  waiting {:>5}  {condition}",
            number("round"),
            number("height"),
            number("certified_height"),
            number("peers_connected"),
            number("mempool"),
        )
    }
}

/// Where it is drawn: lines in place on a terminal, otherwise a line now and then.
struct Screen {
    seats: Vec<Seat>,
    figures: Option<Arc<LoadFigures>>,
    shards: Vec<ShardLine>,
    bars: Vec<ProgressBar>,
    load_bar: Option<ProgressBar>,
    json: bool,
    plain_due: Instant,
    // Keeps the lines in order.
    _lines: MultiProgress,
}

impl Screen {
    fn new(
        args: &DevnetArgs,
        devnet: &Devnet,
        urls: &[String],
        seats: Vec<Seat>,
        figures: Option<Arc<LoadFigures>>,
    ) -> anyhow::Result<Self> {
        let lines = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>8}  {msg}")
            .context("the template of the live view")?;
        let line = |name: &str| {
            let bar = lines.add(ProgressBar::new_spinner().with_style(style.clone()));
            bar.set_prefix(name.to_owned());
            bar
        };
        if !args.json {
            print_committees(devnet);
            println!("its keys are not encrypted: for trying things out only");
            println!("explorer and API: {}", urls.join("  "));
            println!("accounts with money: {}", devnet.accounts_folder().display());
            if figures.is_some() {
                let folder = devnet.load_folder();
                println!("the load below pays from others, in {}", folder.display());
            }
            println!("Ctrl-C stops it; the same command goes on with it\n");
        }
        let bars: Vec<ProgressBar> = seats.iter().map(|seat| line(&seat.name)).collect();
        let ids = devnet.genesis().shards().iter().map(|shard| shard.id.0);
        let ids = ids.filter(|_| devnet.genesis().shards().len() > 1);
        let shards = ids.map(|id| ShardLine { id, bar: line(&format!("shard {id}")) }).collect();
        let load_bar = figures.is_some().then(|| line("load"));
        let plain_due = Instant::now();
        Ok(Self {
            seats,
            figures,
            shards,
            bars,
            load_bar,
            json: args.json,
            plain_due,
            _lines: lines,
        })
    }

    fn refresh(&mut self) {
        let of_several = !self.shards.is_empty();
        self.seats.iter_mut().for_each(|seat| seat.ask(of_several));
        if self.json {
            return self.print_json();
        }
        let load = self.figures.as_ref().map(|figures| figures.line());
        if std::io::stderr().is_terminal() {
            for (seat, bar) in self.seats.iter().zip(&self.bars) {
                bar.set_message(seat.line());
                bar.tick();
            }
            for shard in &self.shards {
                shard.bar.set_message(shard.line(&self.seats));
                shard.bar.tick();
            }
            if let (Some(bar), Some(line)) = (&self.load_bar, load) {
                bar.set_message(line);
                bar.tick();
            }
        } else if Instant::now() >= self.plain_due {
            self.plain_due = Instant::now() + 10 * INTERVAL;
            for seat in &self.seats {
                eprintln!("{:>8}  {}", seat.name, seat.line());
            }
            for shard in &self.shards {
                eprintln!("{:>8}  {}", format!("shard {}", shard.id), shard.line(&self.seats));
            }
            if let Some(line) = load {
                eprintln!("{:>8}  {line}", "load");
            }
        }
    }

    fn print_json(&self) {
        let validators: Vec<Value> = self
            .seats
            .iter()
            .map(|seat| match &seat.all_shards {
                None => json!({ "name": seat.name, "status": seat.status }),
                Some(all) => json!({ "name": seat.name, "status": seat.status, "shards": all }),
            })
            .collect();
        let load = self.figures.as_ref().map(|figures| figures.json());
        println!("{}", json!({ "validators": validators, "load": load }));
    }

    fn finish(self) {
        let shards = self.shards.iter().map(|shard| &shard.bar);
        for bar in self.bars.iter().chain(shards).chain(&self.load_bar) {
            bar.abandon();
        }
    }
}

/// One shard, as the first validator says that hosts it.
struct ShardLine {
    id: u32,
    bar: ProgressBar,
}

impl ShardLine {
    fn line(&self, seats: &[Seat]) -> String {
        let hosts = |seat: &&Seat| seat.shards.contains(&self.id) && seat.all_shards.is_some();
        let Some(all) = seats.iter().find(hosts).and_then(|seat| seat.all_shards.as_ref()) else {
            return "no answer".to_owned();
        };
        let list = |name: &str| all[name].as_array().cloned().unwrap_or_default();
        let shard = list("shards").into_iter().find(|shard| shard["shard"] == self.id);
        let shard = shard.unwrap_or_default();
        let state = &shard["state"];
        let number = |name: &str| state[name].as_u64().unwrap_or(0);
        let lanes = list("lanes");
        let count = |direction: &str, what: &str| -> u64 {
            let own = lanes.iter().filter(|lane| lane[direction] == self.id);
            own.filter_map(|lane| lane[what]["receipts"].as_u64()).sum()
        };
        let waiting = lanes.iter().filter(|lane| lane["from"] == self.id);
        let waiting: u64 = waiting.filter_map(|lane| lane["in_flight"].as_u64()).sum();
        format!(
            "{:<4} certified {:>7}  {:>7.1} transactions/s  waiting {:>5}  across: {} sent, {} \
             received, {waiting} on their way",
            shard["prefix"].as_str().unwrap_or("?"),
            number("certified_height"),
            state["transactions_per_second"].as_f64().unwrap_or(0.0),
            number("mempool"),
            count("from", "sent"),
            count("to", "received"),
        )
    }
}

/// Who has to agree, for each committee.
fn print_committees(devnet: &Devnet) {
    let genesis = devnet.genesis();
    let several = genesis.shards().len() > 1;
    if several {
        println!(
            "{} validators and {} shards in {}",
            genesis.validators().len(),
            genesis.shards().len(),
            devnet.folder().display()
        );
    }
    for shard in genesis.shards() {
        let committee = &shard.committee;
        let faults = if committee.tolerates_a_fault() { "" } else { ", and no fault is tolerated" };
        let (quorum, total) = (committee.quorum_weight(), committee.total_weight());
        if several {
            let names: Vec<&str> =
                committee.members().iter().map(|member| member.name.as_str()).collect();
            println!(
                "shard {} ({}): {}; a quorum needs {quorum} of {total} weight{faults}",
                shard.id,
                shard.prefix,
                names.join(" ")
            );
        } else {
            println!(
                "{} validators in {}; a quorum needs {quorum} of {total} weight{faults}",
                committee.len(),
                devnet.folder().display(),
            );
        }
    }
}
