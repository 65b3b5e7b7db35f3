//! `cargo xtask bench-node`: a devnet of four validators under load on this machine, against the
//! limit that signatures and state alone set, measured in the same run.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::cargo::{cargo, metadata, root, succeeds};
use crate::relay::{self, Relays};

pub const VALIDATORS: usize = 4;
const ACCOUNTS: usize = 1_000;
const PORT: u16 = 19_400;
/// Shares of the limit that are offered, one after the other, as long as more becomes final.
const OFFERED: [f64; 8] = [0.2, 0.35, 0.5, 0.55, 0.6, 0.65, 0.75, 0.9];
/// A share of the best that is worse than noise explains: more would only wait.
const OVERLOADED: f64 = 0.9;
/// Transfers per second that keep no core busy: what is left is the protocol's own time.
const HARDLY_ANY: f64 = 50.0;
/// Transfers per second in two shards: hardly any, and steady ones.
const ACROSS: [f64; 2] = [50.0, 500.0];
/// What four idle validators in one process may take of a core, and of memory: that of one.
const MOST_IDLE_PERCENT: f64 = 10.0;
const MOST_IDLE_MEBIBYTES: f64 = 150.0;
/// How many times as long a transfer into another shard may take as one that stays.
const MOST_ACROSS: f64 = 2.5;
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long every packet between validators takes in the last measurement.
const ONE_WAY_DELAY: Duration = Duration::from_millis(50);
/// The least number of delays in which a transaction can become final.
const DELAYS: u32 = 3;

/// Measures and prints one table for each scheme. Says whether what has a bound is within it.
pub fn run(seconds: u64) -> Result<bool> {
    let programs = build()?;
    let mut is_within = true;
    for scheme in ["falcon-512", "ml-dsa-44"] {
        is_within &= measure(&programs, scheme, seconds)?;
    }
    Ok(is_within)
}

pub struct Programs {
    pub qcn: PathBuf,
    limit: PathBuf,
}

pub fn build() -> Result<Programs> {
    for arguments in [
        &["build", "--locked", "--release", "--package", "qcn"][..],
        &["build", "--locked", "--release", "--package", "qcn-node", "--example", "limit"],
    ] {
        if !succeeds(cargo(arguments))? {
            bail!("the build failed: see above");
        }
    }
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().context("no target directory")?;
    let release = Path::new(folder).join("release");
    Ok(Programs { qcn: release.join("qcn"), limit: release.join("examples").join("limit") })
}

fn measure(programs: &Programs, scheme: &str, seconds: u64) -> Result<bool> {
    let limit = json_of(Command::new(&programs.limit).args([scheme, &ACCOUNTS.to_string()]))?;
    let all_cores = number(&limit, "transfers_per_second_all_cores")?;
    let of_four = all_cores / VALIDATORS as f64;
    println!("\n{scheme}: {VALIDATORS} validators and the load on {} cores", limit["cores"]);
    println!(
        "  limit       {of_four:.0} transfers/s: one signature {:.1} us ({:.1} us where its \
         key is kept decoded), two accounts {:.1} us, on all cores, by {VALIDATORS} validators",
        number(&limit, "verify_us")?,
        number(&limit, "verify_decoded_us")?,
        number(&limit, "execute_us")?,
    );
    let devnet = Devnet::start(programs, scheme, Duration::ZERO)?;
    println!("  start       {:.2} s to the first certificate", devnet.first_certificate_s);
    let idle = devnet.usage(Duration::from_secs(10))?;
    println!(
        "  idle        {:.1}% of a core, {:.0} MiB, all validators together; at most \
         {MOST_IDLE_PERCENT}% and {MOST_IDLE_MEBIBYTES} MiB wanted",
        idle.0, idle.1
    );
    let is_idle = idle.0 <= MOST_IDLE_PERCENT && idle.1 <= MOST_IDLE_MEBIBYTES;
    let mut best = 0.0_f64;
    for share in OFFERED {
        let report = devnet.load(programs, share * of_four, seconds)?;
        let finalized = number(&report, "finalized_per_second")?;
        println!(
            "  offered     {:>6.0}/s  final {finalized:>6.0}/s  latency p50 {} ms, p99 {} ms",
            share * of_four,
            milliseconds(&report, "p50"),
            milliseconds(&report, "p99"),
        );
        if finalized < OVERLOADED * best {
            break;
        }
        best = best.max(finalized);
    }
    println!("  throughput  {best:.0} final transfers/s, {:.2} of the limit", best / of_four);
    devnet.stop()?;
    // Anew: what an overload has left waiting is not to be measured again.
    let devnet = Devnet::start(programs, scheme, Duration::ZERO)?;
    let quiet = devnet.load(programs, best / 10.0, seconds)?;
    println!(
        "  latency     p50 {} ms, p99 {} ms from submit to certificate at a tenth of that",
        milliseconds(&quiet, "p50"),
        milliseconds(&quiet, "p99"),
    );
    devnet.stop()?;
    let devnet = Devnet::start(programs, scheme, ONE_WAY_DELAY)?;
    let bound = ONE_WAY_DELAY * DELAYS;
    println!("  far apart   over relays that hold every packet for {ONE_WAY_DELAY:?}:");
    for (name, tps) in [("hardly any", HARDLY_ANY), ("a tenth", best / 10.0)] {
        let far = devnet.load(programs, tps, seconds)?;
        println!(
            "    {name:<10}{tps:>6.0}/s  p50 {} ms, p99 {} ms: {:.2} times {DELAYS} delays",
            milliseconds(&far, "p50"),
            milliseconds(&far, "p99"),
            number(&far["to_final"], "p50_ms")? / (bound.as_secs_f64() * 1e3),
        );
    }
    devnet.stop()?;
    Ok(measure_across(programs, scheme, seconds)? && is_idle)
}

/// How long transfers take until they are final in the other shard, beside until they are where they
/// were sent. Every validator has a seat in both. Says whether it is within the bound.
fn measure_across(programs: &Programs, scheme: &str, seconds: u64) -> Result<bool> {
    let devnet = Devnet::sharded(programs, scheme)?;
    println!("  two shards  at most {MOST_ACROSS} times as long into the other one:");
    let mut is_within = true;
    for tps in ACROSS {
        let report = devnet.load(programs, tps, seconds)?;
        let (stays, crosses) = (&report["to_final"], &report["to_arrived"]);
        let (here, there) = (number(stays, "p50_ms")?, number(crosses, "p50_ms")?);
        println!(
            "    {tps:>4.0}/s  final where it was sent p50 {here:.0} ms of {}, in the other shard p50 \
             {there:.0} ms, p99 {:.0} ms of {}: {:.2} times",
            stays["count"],
            number(crosses, "p99_ms")?,
            crosses["count"],
            there / here,
        );
        is_within &= there <= MOST_ACROSS * here;
    }
    devnet.stop()?;
    Ok(is_within)
}

/// A devnet in one process.
pub struct Devnet {
    process: Child,
    pub folder: PathBuf,
    /// From its start to the first certificate that a client could read.
    pub first_certificate_s: f64,
    _relays: Option<Relays>,
}

impl Devnet {
    /// A new one.
    pub fn start(programs: &Programs, scheme: &str, delay: Duration) -> Result<Self> {
        let folder = lay_out(programs, scheme, &[])?;
        let relays = match delay {
            Duration::ZERO => None,
            delay => Some(move_apart(programs, &folder, delay)?),
        };
        Self::resume(programs, folder, scheme, relays)
    }

    /// A new one of two shards, whose committees stay.
    fn sharded(programs: &Programs, scheme: &str) -> Result<Self> {
        let folder = lay_out(programs, scheme, &["--shards", "2", "--epoch-seconds", "0"])?;
        Self::resume(programs, folder, scheme, None)
    }

    /// Starts what lies in a folder.
    pub fn resume(
        programs: &Programs,
        folder: PathBuf,
        scheme: &str,
        relays: Option<Relays>,
    ) -> Result<Self> {
        let begun = Instant::now();
        let process = devnet(programs, &folder, scheme, &[])
            .stdout(Stdio::null())
            .spawn()
            .context("starting the devnet")?;
        let mut running = Self { process, folder, first_certificate_s: 0.0, _relays: relays };
        loop {
            let mut query = Command::new(&programs.qcn);
            query.args(["query", "checkpoint", "certified", "--json", "--node", &url(0)]);
            if query.output()?.status.success() {
                break;
            }
            if begun.elapsed() > PATIENCE || running.process.try_wait()?.is_some() {
                bail!("the devnet does not come up");
            }
        }
        running.first_certificate_s = begun.elapsed().as_secs_f64();
        Ok(running)
    }

    fn load(&self, programs: &Programs, tps: f64, seconds: u64) -> Result<Value> {
        let mut command = self.load_command(programs, tps, seconds);
        json_of(command.args(["--batch", "200"]).stderr(Stdio::inherit()))
    }

    /// Puts so many transactions per second on all of it, for a while.
    pub fn load_command(&self, programs: &Programs, tps: f64, seconds: u64) -> Command {
        let mut command = Command::new(&programs.qcn);
        command.args(["load", "--json", "--tps", &format!("{tps:.1}")]);
        command.args(["--seconds", &seconds.to_string()]);
        command.arg("--accounts-dir").arg(self.folder.join("accounts"));
        for at in 0..VALIDATORS {
            command.args(["--node", &url(at)]);
        }
        command
    }

    /// Share of a core in percent, and resident memory in MiB.
    pub fn usage(&self, over: Duration) -> Result<(f64, f64)> {
        let path = Path::new("/proc").join(self.process.id().to_string());
        let ticks = || -> Result<f64> {
            let stat = fs::read_to_string(path.join("stat")).context("reading /proc")?;
            let (_, fields) = stat.rsplit_once(") ").context("reading /proc")?;
            let times = fields.split(' ').skip(11).take(2);
            Ok(times.filter_map(|field| field.parse::<f64>().ok()).sum())
        };
        let (before, begun) = (ticks()?, Instant::now());
        std::thread::park_timeout(over);
        let seconds = begun.elapsed().as_secs_f64();
        let status = fs::read_to_string(path.join("status")).context("reading /proc")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        // Linux counts hundredths of a second.
        let percent = (ticks()? - before) / seconds;
        Ok((percent, kilobytes.unwrap_or(0.0_f64) / 1024.0))
    }

    /// Ends it as Ctrl-C would. Its folder stays.
    pub fn stop(mut self) -> Result<PathBuf> {
        let id = self.process.id().to_string();
        succeeds({
            let mut kill = Command::new("kill");
            kill.args(["-TERM", &id]);
            kill
        })?;
        self.process.wait().context("waiting for the devnet")?;
        Ok(self.folder.clone())
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Lays a network out in place of the last one.
fn lay_out(programs: &Programs, scheme: &str, more: &[&str]) -> Result<PathBuf> {
    let folder = root().join("target").join("bench-node");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("deleting the last devnet")?;
    }
    // What it says of the files is of no interest here.
    let mut laying_out = devnet(programs, &folder, scheme, &[&["--init-only"], more].concat());
    laying_out.stdout(Stdio::null());
    if !succeeds(laying_out)? {
        bail!("the devnet could not be laid out");
    }
    Ok(folder)
}

fn devnet(programs: &Programs, folder: &Path, scheme: &str, more: &[&str]) -> Command {
    let mut command = Command::new(&programs.qcn);
    command.args(["devnet", "--load", "0", "--scheme", scheme, "--json"]);
    command.args(["--validators", &VALIDATORS.to_string()]);
    command.args(["--accounts", &ACCOUNTS.to_string(), "--port", &PORT.to_string()]);
    command.arg("--dir").arg(folder).args(more);
    command
}

/// Puts a relay that holds every packet for a while in front of each validator of a network that
/// never ran.
fn move_apart(programs: &Programs, folder: &Path, delay: Duration) -> Result<Relays> {
    let port = |at: usize| PORT + at as u16;
    let nodes: Vec<SocketAddr> =
        (0..VALIDATORS).map(|at| (Ipv4Addr::LOCALHOST, port(at)).into()).collect();
    let genesis = folder.join("genesis.json");
    let mut content: Value = serde_json::from_slice(&fs::read(&genesis)?)?;
    for (at, node) in nodes.iter().enumerate() {
        content["validators"][at]["address"] = relay::address_of(*node).to_string().into();
    }
    fs::write(&genesis, serde_json::to_vec_pretty(&content)?)?;
    for (at, node) in nodes.iter().enumerate() {
        let home = folder.join(format!("v{at}"));
        let config = home.join("node.toml");
        let reached_at = relay::address_of(*node);
        let listens = format!("listen = \"{node}\"\n");
        let text = fs::read_to_string(&config)?;
        let moved = text.replacen(&listens, &format!("{listens}advertise = \"{reached_at}\"\n"), 1);
        fs::write(&config, moved)?;
        fs::remove_dir_all(home.join("data"))?;
        let mut init = Command::new(&programs.qcn);
        init.args(["node", "--init", "--config"]).arg(&config).stdout(Stdio::null());
        if !succeeds(init)? {
            bail!("validator {at} could not be moved");
        }
    }
    let relays = Relays::start(&nodes);
    relays.set_delay_and_loss(delay, 0);
    Ok(relays)
}

pub fn url(at: usize) -> String {
    format!("http://127.0.0.1:{}", usize::from(PORT) + at)
}

pub fn json_of(command: &mut Command) -> Result<Value> {
    let output = command.output().context("starting a program")?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("reading from {command:?}"))
}

pub fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("no {name} in {value}"))
}

fn milliseconds(report: &Value, percentile: &str) -> String {
    let latency = &report["to_final"];
    let value = latency[format!("{percentile}_ms")].as_f64();
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}
