//! A node whose validator is not in the genesis waits until the beacon has admitted it.
//!
//! The others refuse its links until then. It knows those of the genesis, dials them again and
//! again, and asks whoever takes it for the announcements; each is certified by the committee
//! before, from the genesis on. The plan that names its key says which number it has.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qcn_crypto::{PublicKey, SigningKey};
use qcn_types::{ValidatorIndex, decode, encode};
use tokio::sync::mpsc;
use tokio::time::interval;

use super::envelope::Envelope;
use super::epochs::Plans;
use super::{NodeError, known_validators};
use crate::config::NodeConfig;
use crate::defects::Defects;
use crate::genesis::Genesis;
use crate::transport::{
    Class, KnownValidator, Limits, MAX_VALIDATORS, Received, Transport, TransportConfig,
    TransportError,
};

/// The number of a validator that has none yet; the register gives the lowest free ones.
const NO_NUMBER: ValidatorIndex = ValidatorIndex(u16::MAX);

/// How often those who have let it in are asked.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// How long it may take until the own socket is gone; if it is not by then, the next one says so.
const FREE_WITHIN: Duration = Duration::from_secs(10);

/// How often the operator is told that the node still waits.
const REMINDER_INTERVAL: Duration = Duration::from_secs(600);

/// The number under which the newest plan that names one of some consensus keys knows it.
pub(super) fn number_of(plans: &Plans, keys: &[PublicKey]) -> Option<ValidatorIndex> {
    let kept: Vec<_> = plans.kept().collect();
    let validators = kept.iter().rev().flat_map(|plan| plan.validators.iter());
    let planned = validators.into_iter().find(|planned| keys.contains(&planned.key))?;
    u16::try_from(planned.number).ok().map(ValidatorIndex)
}

/// Waits until a plan names the consensus key, and says under which number.
///
/// # Errors
/// [`NodeError::Transport`], if the socket cannot be opened.
pub(super) async fn wait(
    genesis: &Genesis,
    config: &NodeConfig,
    consensus: &[PublicKey],
    transport: &SigningKey,
    plans: &mut Plans,
) -> Result<ValidatorIndex, NodeError> {
    let (transport, mut received) = outside(genesis, config, transport).await?;
    let mut asked = BTreeSet::new();
    let mut asks = interval(ASK_INTERVAL);
    let mut reminders = interval(REMINDER_INTERVAL);
    let number = loop {
        if let Some(number) = number_of(plans, consensus) {
            break number;
        }
        tokio::select! {
            _ = reminders.tick() => tracing::info!(
                "this validator is not in the genesis: the node waits until the others have \
                 admitted it; let them run `qcn vote admit` with its registration"
            ),
            _ = asks.tick() => ask(&transport, plans, &mut asked),
            reason = transport.defects().ended() => {
                return Err(NodeError::System(std::io::Error::other(reason)));
            }
            received = received.recv() => match received {
                Some(received) => hear(&transport, &received, plans, &mut asked),
                None => return Err(NodeError::System(std::io::Error::other("the socket is gone"))),
            },
        }
    };
    transport.close().await;
    drop(transport);
    until_free(config.network.listen).await;
    tracing::info!(%number, epoch = plans.newest().epoch.0, "the beacon has admitted this validator");
    Ok(number)
}

/// Waits until nothing listens at an address: a socket is there until its connections have ended, for
/// a few round trips after they were closed.
async fn until_free(address: SocketAddr) {
    let since = Instant::now();
    while UdpSocket::bind(address).is_err() && since.elapsed() < FREE_WITHIN {
        tokio::time::sleep(ASK_INTERVAL / 20).await;
    }
}

/// A transport of somebody whom the others do not know, or not yet.
async fn outside(
    genesis: &Genesis,
    config: &NodeConfig,
    key: &SigningKey,
) -> Result<(Transport, mpsc::Receiver<Received>), TransportError> {
    let own = KnownValidator {
        index: NO_NUMBER,
        name: String::new(),
        key: key.public_key().clone(),
        address: None,
    };
    // A founder that has lost its disk after a rotation may have the transport key of the genesis.
    let others = known_validators(genesis).into_iter().filter(|known| known.key != own.key);
    let validators = others.take(MAX_VALIDATORS - 1).chain([own.clone()]).collect();
    Transport::start(TransportConfig {
        chain: genesis.chain(),
        own: NO_NUMBER,
        key: key.clone(),
        listen: config.network.listen,
        advertise: config.network.advertise.clone(),
        validators,
        seeds: config.network.seeds.clone(),
        clients: None,
        limits: Limits::for_committee(genesis.validators().len()),
        defects: Defects::default(),
    })
    .await
}

fn ask(transport: &Transport, plans: &Plans, asked: &mut BTreeSet<ValidatorIndex>) {
    let frame = Bytes::from(encode(&Envelope::AskEpochs(plans.newest().epoch)));
    for peer in transport.peers().iter().filter(|peer| peer.connected) {
        asked.insert(ValidatorIndex(peer.index));
        transport.send(ValidatorIndex(peer.index), Class::Sync, frame.clone());
    }
}

/// Takes in announcements. Whatever else is said to it is said too early.
fn hear(
    transport: &Transport,
    received: &Received,
    plans: &mut Plans,
    asked: &mut BTreeSet<ValidatorIndex>,
) {
    let Ok(Envelope::Epochs(announcements)) = decode::<Envelope>(&received.frame) else { return };
    if !asked.remove(&received.from) {
        return transport.note_refused(received.from);
    }
    let before = plans.newest().epoch;
    for announcement in announcements.into_inner() {
        if let Err(error) = plans.take(announcement) {
            tracing::warn!(%error, from = %received.from, "an announcement was refused");
            return transport.note_refused(received.from);
        }
    }
    if plans.newest().epoch > before {
        // There may be more than one answer holds.
        ask(transport, plans, asked);
    }
}
