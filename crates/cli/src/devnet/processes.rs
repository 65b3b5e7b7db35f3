//! A devnet whose validators are processes of their own.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use qcn_node::config::NodeConfig;
use qcn_node::devnet::Devnet;

use super::{DevnetArgs, follow};
use crate::node::{StopSignals, async_runtime};

/// How long a process gets to stop by itself.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(
    args: &DevnetArgs,
    lasts: Option<Duration>,
    devnet: &Devnet,
) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("finding the program itself")?;
    let runtime = async_runtime()?;
    // Before the first of them: none is left behind, whenever the signal comes.
    let signals = runtime.block_on(async { StopSignals::new() })?;
    let mut children = Children(Vec::new());
    let mut logs = Vec::new();
    let mut urls = Vec::new();
    for config_file in devnet.config_files() {
        let config = NodeConfig::read(&config_file)?;
        let log_path = config_file.with_file_name("node.log");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log_path)
            .with_context(|| format!("opening {}", log_path.display()))?;
        let child = Command::new(&program)
            .args(["node", "--config"])
            .arg(&config_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is for this process, which then stops the others in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        children.0.push(child);
        logs.push(log_path);
        urls.push(format!("http://{}", config.api.listen));
    }
    let followed = runtime.block_on(async {
        tokio::select! {
            followed = follow(args, lasts, devnet, urls, signals) => followed,
            died = children.first_death(&logs) => died,
        }
    });
    runtime.block_on(children.stop());
    followed.map(|()| ExitCode::SUCCESS)
}

/// Processes that are stopped when they are no longer needed, in whatever way that comes about.
struct Children(Vec<Child>);

impl Children {
    /// Returns once a process has ended, which none does by itself.
    async fn first_death(&mut self, logs: &[PathBuf]) -> anyhow::Result<()> {
        let mut interval = tokio::time::interval(Duration::from_millis(200));
        loop {
            interval.tick().await;
            for (at, child) in self.0.iter_mut().enumerate() {
                if let Some(status) = child.try_wait().context("looking at a process")? {
                    let log = logs[at].display();
                    bail!("validator v{at} ended with {status}: see {log}");
                }
            }
        }
    }

    /// Asks all of them to stop, and ends those that do not.
    async fn stop(&mut self) {
        for child in &self.0 {
            // Whoever has stopped already cannot be asked.
            let _ = Command::new("kill")
                .args(["-TERM", &child.id().to_string()])
                .stderr(Stdio::null())
                .status();
        }
        let all_ended = async {
            let mut interval = tokio::time::interval(Duration::from_millis(50));
            while self.0.iter_mut().any(|child| matches!(child.try_wait(), Ok(None))) {
                interval.tick().await;
            }
        };
        if tokio::time::timeout(PATIENCE, all_ended).await.is_err() {
            eprintln!("some validators did not stop by themselves and were killed");
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            if matches!(child.try_wait(), Ok(None)) {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
