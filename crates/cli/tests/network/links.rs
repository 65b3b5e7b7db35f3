//! Nodes that cannot reach one another, or only slowly, or that stand still.

use std::time::{Duration, Instant};

use crate::namespaces::Namespaces;
use crate::network::{Network, Place, VALIDATORS};
use crate::patience::{for_as_long_as, seconds, until};
use crate::relay::{self, Relays};
use crate::traffic::{Sent, Traffic};
use crate::witness::Witness;

const EVERYBODY: [usize; VALIDATORS] = [0, 1, 2, 3];

/// What was sent before the cut may still be certified for so long.
const IN_FLIGHT: Duration = seconds(1);
/// A cut in which connections survive: transport gives them up after ten seconds.
const SHORT_CUT: Duration = seconds(4);
/// A cut after which nodes have to dial again.
const LONG_CUT: Duration = seconds(12);
/// How long agreement may take after the network is whole again.
const HEAL_PATIENCE: Duration = seconds(20);

const ONE_WAY_DELAY: Duration = Duration::from_millis(50);
const LOST_PER_MILLE: u64 = 20;

/// What lies between the nodes.
enum Between {
    Namespaces(Namespaces),
    Relays(Relays),
}

impl Between {
    fn set_cut(&self, is_cut: bool) {
        match self {
            Self::Namespaces(namespaces) => namespaces.set_cut(is_cut),
            Self::Relays(relays) => relays.set_cut(is_cut),
        }
    }

    fn set_delay_and_loss(&self, delay: Duration, lost_per_mille: u64) {
        match self {
            Self::Namespaces(namespaces) => {
                namespaces.set_delay_and_loss(delay, lost_per_mille).unwrap();
            }
            Self::Relays(relays) => relays.set_delay_and_loss(delay, lost_per_mille),
        }
    }
}

/// A network whose nodes reach one another through relays on loopback.
fn relayed(name: &str) -> (Network, Relays) {
    let mut network = Network::lay_out(name);
    let nodes: Vec<_> = EVERYBODY.iter().map(|at| network.listens_at(*at)).collect();
    let place = |node: &_| Place {
        listen: *node,
        reached_at: relay::address_of(*node),
        api: *node,
        namespace: None,
    };
    network.place(nodes.iter().map(place).collect());
    let relays = Relays::start(&nodes);
    network.launch_all();
    network.wait_until_ready();
    (network, relays)
}

/// A network whose nodes have a namespace each, prepared in some way before they start; an error
/// says why there is none.
fn in_namespaces(
    name: &str,
    prepare: impl FnOnce(&Namespaces) -> Result<(), String>,
) -> Result<(Network, Namespaces), String> {
    let mut network = Network::lay_out(name);
    let namespaces = Namespaces::create(&network.ports)?;
    prepare(&namespaces)?;
    let place = |at: &usize| {
        let (listen, api) = namespaces.addresses(*at);
        Place { listen, reached_at: listen, api, namespace: Some(namespaces.name(*at)) }
    };
    network.place(EVERYBODY.iter().map(place).collect());
    network.launch_all();
    network.wait_until_ready();
    Ok((network, namespaces))
}

/// In a split 2-2 nothing becomes final on either side, and afterwards all agree.
///
/// Given a network under load, each node in a network namespace of its own.
/// When the bridge between them is split 2-2 for longer than connections live,
/// then no side certifies anything; and when it is whole again, all agree and go on.
#[test]
fn a_long_partition_of_namespaces_heals() {
    match in_namespaces("namespaces", |_| Ok(())) {
        Ok((network, namespaces)) => {
            partition(network, &Between::Namespaces(namespaces), LONG_CUT);
        }
        Err(why) => println!("SKIPPED: no network namespaces here, relays stand in: {why}"),
    }
}

/// The same on loopback, for as short as connections survive it.
///
/// Given a network under load, whose nodes reach one another through relays.
/// When the relays carry nothing between the halves for some seconds,
/// then no side certifies anything; and when they carry again, all agree and go on.
#[test]
fn a_short_partition_heals() {
    let (network, relays) = relayed("partition");
    partition(network, &Between::Relays(relays), SHORT_CUT);
}

fn partition(mut network: Network, between: &Between, length: Duration) {
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.wait_for_more(&network, 20);
    let logged = network.log(0).len();
    between.set_cut(true);
    for_as_long_as(IN_FLIGHT, || witness.look(&network));
    let certified = witness.certified;
    for_as_long_as(length - IN_FLIGHT, || {
        witness.look(&network);
        assert_eq!(witness.certified, certified, "half of the weight certified a height");
    });
    network.assert_alive();
    if length == LONG_CUT {
        let since_cut = network.log(0).split_off(logged);
        assert!(since_cut.contains("connection ended"), "the cut outlasts no connection");
    }
    between.set_cut(false);
    let healed = Instant::now();
    until("heights are certified again", HEAL_PATIENCE, || {
        witness.look(&network);
        (witness.certified > certified).then_some(())
    });
    println!("finality came back {:?} after a cut of {length:?}", healed.elapsed());
    network.wait_until_ready();
    let sent = traffic.stop();
    witness.audit(&network, &sent, &EVERYBODY);
}

/// Finality goes on across slow and lossy links.
///
/// Given a network under load.
/// When every packet between nodes takes 50 ms, and then also one in fifty is lost,
/// then transfers become final within a few delays, and finality never stops for long.
#[test]
fn finality_goes_on_over_slow_and_lossy_links() {
    let slow = in_namespaces("slow", |namespaces| namespaces.set_delay_and_loss(ONE_WAY_DELAY, 0));
    let (network, between) = match slow {
        Ok((network, namespaces)) => (network, Between::Namespaces(namespaces)),
        Err(why) => {
            println!("no delay by the kernel here, relays stand in: {why}");
            let (network, relays) = relayed("slow-relayed");
            (network, Between::Relays(relays))
        }
    };
    let mut witness = Witness::default();
    let mut sent = Sent::default();
    for (lost_per_mille, median_max) in [(0, ONE_WAY_DELAY * 10), (LOST_PER_MILLE, seconds(1))] {
        between.set_delay_and_loss(ONE_WAY_DELAY, lost_per_mille);
        witness.wait_for_more(&network, 5);
        let traffic = Traffic::start_after(&network, &sent);
        witness.start_measuring();
        for_as_long_as(seconds(7), || witness.look(&network));
        let pause = witness.longest_pause;
        let more = traffic.stop();
        let median = more.median_latency();
        println!(
            "{ONE_WAY_DELAY:?} one way, {lost_per_mille} of 1000 lost: {} transfers, median \
             latency {median:?}, the longest pause of finality {pause:?}",
            more.finals.len()
        );
        assert!(median < median_max, "median latency {median:?}");
        assert!(pause < seconds(5), "finality paused for {pause:?}");
        sent.add(more);
    }
    witness.audit(&network, &sent, &EVERYBODY);
}

/// Validators that stand still, as a paused machine does, do not do harm when they go on.
///
/// Given a network under load.
/// When two of four processes are stopped by SIGSTOP,
/// then nothing becomes final; and after SIGCONT all agree and go on.
#[test]
fn frozen_nodes_wake_up_and_agree() {
    const FROZEN: [usize; 2] = [1, 3];
    let mut network = Network::start("frozen");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.wait_for_more(&network, 20);
    FROZEN.iter().for_each(|at| network.signal(*at, "STOP"));
    let awake = |network: &Network| {
        network.api(0).certified_height().max(network.api(2).certified_height())
    };
    for_as_long_as(IN_FLIGHT, || {});
    let certified = awake(&network);
    for_as_long_as(SHORT_CUT, || {
        assert_eq!(awake(&network), certified, "half of the weight certified a height");
    });
    FROZEN.iter().for_each(|at| network.signal(*at, "CONT"));
    let woken = Instant::now();
    until("heights are certified again", HEAL_PATIENCE, || {
        (awake(&network) > certified).then_some(())
    });
    println!("finality came back {:?} after SIGCONT", woken.elapsed());
    network.wait_until_ready();
    let sent = traffic.stop();
    witness.audit(&network, &sent, &EVERYBODY);
}
