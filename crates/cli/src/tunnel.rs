//! `qcn tunnel`: a local port that leads to the API of a node elsewhere, with post-quantum keys on
//! both sides.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use qcn_crypto::Role;
use qcn_node::genesis::Genesis;
use qcn_node::keyfile;
use qcn_node::runtime::known_validators;
use qcn_node::transport::{KnownValidator, Tunnel, TunnelConfig, TunnelEvent};
use qcn_types::ValidatorIndex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::key::PassphraseArgs;
use crate::node::{async_runtime, until_told_to_stop};
use crate::output::{harmless, print_line};

pub const EXAMPLES: &str = "\
The node is reached at the UDP port where other validators reach it, not at its API. It must show
the key that the genesis has for a validator; the key of --key must be in `clients` under [network]
in its node.toml. Whoever reaches the local port can use the API with that key.

It ends if the first link does not come up, and makes another one whenever it breaks later. A
connection that comes meanwhile waits for five seconds and is then answered 503.

Exit code: 0 if it was told to stop, 2 for bad input or if the node does not let it in.

Examples:
  qcn key new --role transport --out client.key
  qcn key show client.key      # its key digest is what the operator lists
  qcn tunnel --key client.key --genesis genesis.json --to alice.example:7400
  qcn tunnel --key client.key --genesis genesis.json --to alice.example:7400 \\
    --validator alice --listen 127.0.0.1:9000
  qcn query status --node http://127.0.0.1:9000";

/// Where the tunnel leads.
#[derive(Debug, Args)]
pub struct TunnelArgs {
    /// The client's transport key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The genesis of the network.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Where the node listens for other validators, over UDP.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_endpoint)]
    to: String,
    /// The local port whose connections are forwarded.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The validator that has to be there, by its name or its index; any of the genesis if not
    /// given.
    #[arg(long, value_name = "VALIDATOR")]
    validator: Option<String>,
    /// Let other machines use the local port, which has no authentication of its own.
    #[arg(long)]
    allow_remote: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
}

/// Forwards until the process is told to stop.
pub fn run(args: &TunnelArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.listen.ip().is_loopback() || args.allow_remote,
        "--listen: {} can be reached from other machines; listen on 127.0.0.1, or add \
         --allow-remote if whoever reaches it may use the node",
        args.listen
    );
    let genesis = Genesis::read(&args.genesis)?;
    let validators = known_validators(&genesis);
    let expected = args.validator.as_deref().map(|asked| find(asked, &validators)).transpose()?;
    let config = TunnelConfig {
        chain: genesis.chain(),
        key: keyfile::load(&args.key, Role::Transport, &args.passphrase.source())?,
        validators,
        expected,
        to: args.to.clone(),
    };
    let tunnel = Tunnel::new(config)?;
    async_runtime()?.block_on(forward(args, &tunnel))
}

async fn forward(args: &TunnelArgs, tunnel: &Tunnel) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!("--listen: cannot listen on {}; choose another address or port", args.listen)
    })?;
    let local = listener.local_addr().context("--listen: the port has no address")?;
    // What cannot be printed ends the command, as soon as it is looked at.
    let unprinted = RefCell::new(None);
    let tell = |event: TunnelEvent| {
        let line = if args.json { in_json(&event, local).to_string() } else { text(&event, local) };
        if let Err(error) = print_line(&line) {
            unprinted.borrow_mut().get_or_insert(error);
        }
    };
    tokio::select! {
        ended = tunnel.run(listener, tell) => match ended? {},
        told = until_told_to_stop() => told?,
    }
    tunnel.close().await;
    unprinted.into_inner().map_or(Ok(ExitCode::SUCCESS), Err)
}

fn parse_endpoint(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let has_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_plain = !host.is_empty() && (!host.contains(':') || host.ends_with(']'));
    if has_port && is_plain {
        return Ok(text.to_owned());
    }
    Err("write HOST:PORT with the UDP port of the node, such as alice.example:7400 or \
         [2001:db8::1]:7400"
        .to_owned())
}

/// The validator of that name, or else of that index.
fn find(asked: &str, validators: &[KnownValidator]) -> anyhow::Result<ValidatorIndex> {
    if let Some(named) = validators.iter().find(|one| one.name == asked) {
        return Ok(named.index);
    }
    let index = asked.parse().ok().map(ValidatorIndex);
    let found = index.filter(|index| validators.iter().any(|one| one.index == *index));
    found.ok_or_else(|| {
        let names: Vec<&str> = validators.iter().map(|one| one.name.as_str()).take(8).collect();
        let more = if validators.len() > names.len() { ", .." } else { "" };
        anyhow!(
            "--validator: the genesis has no validator {asked:?}; give a name ({}{more}) or an \
             index below {}",
            names.join(", "),
            validators.len()
        )
    })
}

fn text(event: &TunnelEvent, local: SocketAddr) -> String {
    match event {
        TunnelEvent::Up { validator, address } => format!(
            "link to validator {} at {address}; it is reached at http://{local}",
            harmless(validator)
        ),
        TunnelEvent::Down { reason } => {
            format!("the link is down ({}); trying again", harmless(reason))
        }
        TunnelEvent::Failed { error, again_in } => {
            format!("no link yet: {error} (again in {:.1} s)", again_in.as_secs_f64())
        }
    }
}

fn in_json(event: &TunnelEvent, local: SocketAddr) -> Value {
    match event {
        TunnelEvent::Up { validator, address } => json!({
            "event": "up",
            "validator": validator,
            "address": address.to_string(),
            "node": format!("http://{local}"),
        }),
        TunnelEvent::Down { reason } => json!({ "event": "down", "reason": reason }),
        TunnelEvent::Failed { error, again_in } => json!({
            "event": "failed",
            "reason": error.to_string(),
            "again_in_ms": u64::try_from(again_in.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

#[cfg(test)]
mod tests {
    use qcn_crypto::{Scheme, SigningKey};

    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        for right in ["alice.example:7400", "192.0.2.7:1", "[2001:db8::1]:7400"] {
            assert_eq!(parse_endpoint(right).as_deref(), Ok(right));
        }
        for wrong in ["alice.example", "alice:", ":7400", "alice:0", "a:70000", "2001:db8::1", ""] {
            assert!(parse_endpoint(wrong).is_err_and(|said| said.contains("HOST:PORT")), "{wrong}");
        }
    }

    #[test]
    fn a_validator_is_found_by_name_and_then_by_index() {
        let key = SigningKey::from_seed(Scheme::MlDsa65, &[1; 32]).unwrap();
        let known = |(index, name): (usize, &&str)| KnownValidator {
            index: ValidatorIndex(index as u16),
            name: (*name).to_owned(),
            key: key.public_key().clone(),
            address: None,
        };
        let validators: Vec<_> = ["ada", "0", "bob"].iter().enumerate().map(known).collect();
        let index = |asked| find(asked, &validators).map(|index| index.0).ok();
        assert_eq!([index("ada"), index("0"), index("2")], [Some(0), Some(1), Some(2)]);
        for stranger in ["eve", "3", "-1", ""] {
            let error = find(stranger, &validators).unwrap_err().to_string();
            assert!(error.contains("ada, 0, bob") && error.contains("below 3"), "{error}");
        }
    }
}
