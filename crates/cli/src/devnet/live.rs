//! The live view of a devnet in the terminal: a line for each validator, one for each shard where
//! there are several, and one for the load.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use qcn_node::devnet::Devnet;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::DevnetArgs;
use super::load::{BackgroundLoad, LoadFigures};
use crate::client::Client;
use crate::output::{print, print_if_read};

/// How often the validators are asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Over how many askings a rate is taken.
const RATE_WINDOW: usize = 8;

/// The threads that ask, draw and send.
pub(super) struct Live {
    drawing: JoinHandle<()>,
    load: Option<BackgroundLoad>,
    end: Sender<()>,
    /// Told once nobody reads what is printed any more.
    unread: Arc<Notify>,
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
        let unread = Arc::new(Notify::new());
        let screen = Screen::new(args, devnet, &urls, seats, figures)?;
        let drawing = std::thread::Builder::new()
            .name("live".to_owned())
            .spawn({
                let unread = Arc::clone(&unread);
                move || {
                    let mut screen = screen;
                    while !stop.load(Ordering::Relaxed) {
                        if !screen.refresh() {
                            unread.notify_one();
                            break;
                        }
                        match ended.recv_timeout(INTERVAL) {
                            Err(RecvTimeoutError::Timeout) => {}
                            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                        }
                    }
                    screen.finish();
                }
            })
            .context("starting the live view")?;
        Ok(Self { drawing, load, end, unread })
    }

    /// Returns once nobody reads what is printed any more.
    pub(super) async fn unread(&self) {
        self.unread.notified().await;
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
    /// What it says of all shards, where there are several or may come to be.
    all_shards: Option<Value>,
    /// When the last answers came, and the round and height they gave.
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Seat {
    fn new(name: String, url: &str) -> anyhow::Result<Self> {
        let url = url.parse().map_err(|error: String| anyhow!(error))?;
        let (client, samples) = (Client::new(url), VecDeque::new());
        Ok(Self { name, client, status: None, all_shards: None, samples })
    }

    fn ask(&mut self, of_all: bool) {
        if of_all {
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

    /// What it says of each shard.
    fn shards(&self) -> Option<&Vec<Value>> {
        self.all_shards.as_ref()?["shards"].as_array()
    }

    fn line(&self) -> String {
        let is_hosted = |shard: &Value| shard["hosted"] == true;
        if self.shards().is_some_and(|shards| !shards.iter().any(is_hosted)) {
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
    /// Whether there are several shards, or may come to be.
    of_all: bool,
    json: bool,
    plain_due: Instant,
    lines: MultiProgress,
    style: ProgressStyle,
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
        let line = |name: &str| lines.add(new_line(name, &style));
        if !args.json {
            let load = figures.as_ref().map(|_| {
                format!("the load below pays from others, in {}\n", devnet.load_folder().display())
            });
            print(&format!(
                "{}its keys are not encrypted: for trying things out only\n\
                 explorer and API: {}\naccounts with money: {}\n{}\
                 Ctrl-C stops it; the same command goes on with it\n\n",
                committees(devnet),
                urls.join("  "),
                devnet.accounts_folder().display(),
                load.unwrap_or_default(),
            ))?;
        }
        let bars: Vec<ProgressBar> = seats.iter().map(|seat| line(&seat.name)).collect();
        let load_bar = figures.is_some().then(|| line("load"));
        let genesis = devnet.genesis();
        let ids: Vec<u32> = genesis.shards().iter().map(|shard| shard.id.0).collect();
        let mut screen = Self {
            seats,
            figures,
            shards: Vec::new(),
            bars,
            load_bar,
            of_all: ids.len() > 1 || genesis.beacon().is_some(),
            json: args.json,
            plain_due: Instant::now(),
            lines,
            style,
        };
        screen.show_shards(&ids);
        Ok(screen)
    }

    /// Shows a line for each of these shards, if they are several, and none for others.
    fn show_shards(&mut self, ids: &[u32]) {
        let ids = if ids.len() > 1 { ids } else { &[] };
        for gone in self.shards.extract_if(.., |shard| !ids.contains(&shard.id)) {
            self.lines.remove(&gone.bar);
        }
        for id in ids {
            if self.shards.iter().any(|shard| shard.id == *id) {
                continue;
            }
            let bar = new_line(&format!("shard {id}"), &self.style);
            let bar = match &self.load_bar {
                Some(load) => self.lines.insert_before(load, bar),
                None => self.lines.add(bar),
            };
            self.shards.push(ShardLine { id: *id, bar });
        }
    }

    /// Asks and shows. Says whether somebody reads it.
    fn refresh(&mut self) -> bool {
        let of_all = self.of_all;
        self.seats.iter_mut().for_each(|seat| seat.ask(of_all));
        if let Some(ids) = newest_layout(&self.seats) {
            self.show_shards(&ids);
        }
        if self.json {
            // Where nothing can be written nothing is read.
            return print_if_read(&self.json_line()).unwrap_or(false);
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
            let seats = self.seats.iter().map(|seat| (seat.name.clone(), seat.line()));
            let shards = self.shards.iter();
            let shards = shards.map(|one| (format!("shard {}", one.id), one.line(&self.seats)));
            let lines = seats.chain(shards).chain(load.map(|line| ("load".to_owned(), line)));
            let text: String = lines.map(|(name, line)| format!("{name:>8}  {line}\n")).collect();
            return std::io::stderr().write_all(text.as_bytes()).is_ok();
        }
        true
    }

    fn json_line(&self) -> String {
        let validators: Vec<Value> = self
            .seats
            .iter()
            .map(|seat| match &seat.all_shards {
                None => json!({ "name": seat.name, "status": seat.status }),
                Some(all) => json!({ "name": seat.name, "status": seat.status, "shards": all }),
            })
            .collect();
        let load = self.figures.as_ref().map(|figures| figures.json());
        format!("{}\n", json!({ "validators": validators, "load": load }))
    }

    fn finish(self) {
        let shards = self.shards.iter().map(|shard| &shard.bar);
        for bar in self.bars.iter().chain(shards).chain(&self.load_bar) {
            bar.abandon();
        }
    }
}

fn new_line(name: &str, style: &ProgressStyle) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style.clone());
    bar.set_prefix(name.to_owned());
    bar
}

/// The shards of the newest epoch that a validator tells of.
fn newest_layout(seats: &[Seat]) -> Option<Vec<u32>> {
    let epoch = |seat: &&Seat| seat.all_shards.as_ref().and_then(|all| all["epoch"].as_u64());
    let newest = seats.iter().filter(|seat| seat.shards().is_some()).max_by_key(epoch)?;
    let number = |shard: &Value| u32::try_from(shard["shard"].as_u64()?).ok();
    Some(newest.shards()?.iter().filter_map(number).collect())
}

/// One shard, as the first validator says that hosts it.
struct ShardLine {
    id: u32,
    bar: ProgressBar,
}

impl ShardLine {
    fn line(&self, seats: &[Seat]) -> String {
        let is_it = |shard: &Value| shard["shard"] == self.id && shard["hosted"] == true;
        let hosts = |seat: &&Seat| seat.shards().is_some_and(|shards| shards.iter().any(is_it));
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
fn committees(devnet: &Devnet) -> String {
    let mut text = String::new();
    let genesis = devnet.genesis();
    let several = genesis.shards().len() > 1;
    if several {
        text += &format!(
            "{} validators and {} shards in {}\n",
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
            text += &format!(
                "shard {} ({}): {}; a quorum needs {quorum} of {total} weight{faults}\n",
                shard.id,
                shard.prefix,
                names.join(" ")
            );
        } else {
            text += &format!(
                "{} validators in {}; a quorum needs {quorum} of {total} weight{faults}\n",
                committee.len(),
                devnet.folder().display(),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Given two validators, of which the second knows of a split and the first does not yet.
    /// Then the shards are those that the second tells of.
    #[test]
    fn the_shards_of_the_newest_epoch_are_shown() {
        let mut seats: Vec<Seat> = ["v0", "v1"]
            .map(|name| Seat::new(name.to_owned(), "http://127.0.0.1:1").unwrap())
            .into();
        assert_eq!(newest_layout(&seats), None);
        let all = |epoch: u64, shards: &[u32]| {
            let of = |shard: &u32| json!({ "shard": shard, "hosted": true });
            json!({ "epoch": epoch, "shards": shards.iter().map(of).collect::<Vec<_>>() })
        };
        seats[0].all_shards = Some(all(3, &[0]));
        assert_eq!(newest_layout(&seats), Some(vec![0]));
        seats[1].all_shards = Some(all(4, &[0, 1]));
        assert_eq!(newest_layout(&seats), Some(vec![0, 1]));
    }
}
