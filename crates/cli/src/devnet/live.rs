//! The live view of a devnet in the terminal: a line for each validator, and one for the load.

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
        let seats: Vec<Seat> = names
            .zip(&urls)
            .map(|(name, url)| Seat::new(name, url))
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
    status: Option<Value>,
    /// When the last answers came, and the round and height they gave.
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Seat {
    fn new(name: String, url: &str) -> anyhow::Result<Self> {
        let url = url.parse().map_err(|error: String| anyhow!(error))?;
        Ok(Self { name, client: Client::new(url), status: None, samples: VecDeque::new() })
    }

    fn ask(&mut self) {
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
            let committee = devnet.genesis().committee();
            println!(
                "{} validators in {}; a quorum needs {} of {} weight{}",
                committee.len(),
                devnet.folder().display(),
                committee.quorum_weight(),
                committee.total_weight(),
                if committee.tolerates_a_fault() { "" } else { ", and no fault is tolerated" },
            );
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
        let load_bar = figures.is_some().then(|| line("load"));
        let plain_due = Instant::now();
        Ok(Self { seats, figures, bars, load_bar, json: args.json, plain_due, _lines: lines })
    }

    fn refresh(&mut self) {
        self.seats.iter_mut().for_each(Seat::ask);
        if self.json {
            return self.print_json();
        }
        let load = self.figures.as_ref().map(|figures| figures.line());
        if std::io::stderr().is_terminal() {
            for (seat, bar) in self.seats.iter().zip(&self.bars) {
                bar.set_message(seat.line());
                bar.tick();
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
            if let Some(line) = load {
                eprintln!("{:>8}  {line}", "load");
            }
        }
    }

    fn print_json(&self) {
        let validators: Vec<Value> = self
            .seats
            .iter()
            .map(|seat| json!({ "name": seat.name, "status": seat.status }))
            .collect();
        let load = self.figures.as_ref().map(|figures| figures.json());
        println!("{}", json!({ "validators": validators, "load": load }));
    }

    fn finish(self) {
        for bar in self.bars.iter().chain(&self.load_bar) {
            bar.abandon();
        }
    }
}
