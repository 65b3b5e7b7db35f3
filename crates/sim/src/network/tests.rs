use super::*;

fn quiet() -> LinkModel {
    LinkModel { jitter_permille: 0, bandwidth_bits_per_second: None, ..LinkModel::default() }
}

fn network(processes: usize, model: LinkModel) -> Network {
    let matrix = LatencyModel::Constant(10_000).matrix(processes, 0).expect("a matrix");
    Network::new(matrix, processes, model, 1)
}

#[test]
fn a_message_takes_the_latency_of_its_link() {
    let matrix: Arc<[u32]> = vec![0, 1_000, 2_000, 0].into();
    let matrix = LatencyModel::Matrix(matrix).matrix(2, 0).expect("fits");
    let mut network = Network::new(matrix, 2, quiet(), 1);
    assert_eq!(network.send(5, 0, 1, 100), Fate::Arrives(1_005));
    assert_eq!(network.send(5, 1, 0, 100), Fate::Arrives(2_005));
}

#[test]
fn a_matrix_of_another_size_is_refused() {
    assert_eq!(LatencyModel::Matrix(vec![1; 9].into()).matrix(2, 0), None);
}

/// Given an uplink of 8 Mbit/s, when five copies of 1,000 bytes are sent at once,
/// then each leaves a millisecond after the one before.
#[test]
fn copies_leave_one_after_the_other() {
    let model = LinkModel { bandwidth_bits_per_second: Some(8_000_000), ..quiet() };
    let mut network = network(6, model);
    let arrivals: Vec<Fate> = (1..6).map(|to| network.send(0, 0, to, 1_000)).collect();
    let expected: Vec<Fate> = (1..6).map(|copy| Fate::Arrives(10_000 + copy * 1_000)).collect();
    assert_eq!(arrivals, expected);
    assert_eq!(network.send(0, 1, 0, 1_000), Fate::Arrives(11_000), "another uplink is free");
    assert_eq!(network.send(50_000, 0, 1, 1_000), Fate::Arrives(61_000), "it has caught up");
}

#[test]
fn jitter_stays_in_its_share_and_reorders() {
    let mut network = network(2, LinkModel { jitter_permille: 100, ..quiet() });
    let mut arrivals = Vec::new();
    for sent in 0..200 {
        let Fate::Arrives(at) = network.send(sent, 0, 1, 100) else { panic!("not cut") };
        assert!((10_000..=11_000).contains(&(at - sent)));
        arrivals.push(at);
    }
    assert!(!arrivals.is_sorted());
}

/// Given a tenth of the packets lost, when 20,000 are sent, then about a tenth arrive late.
#[test]
fn a_lost_packet_costs_time_but_not_the_message() {
    let mut network = network(2, LinkModel { loss_per_million: 100_000, ..quiet() });
    let late = (0..20_000).filter(|_| network.send(0, 0, 1, 100) != Fate::Arrives(10_000)).count();
    assert!((1_800..2_200).contains(&late), "{late}");
}

#[test]
fn some_messages_arrive_twice() {
    let mut network = network(2, LinkModel { duplication_per_million: 500_000, ..quiet() });
    let twice =
        (0..1_000).filter(|_| matches!(network.send(0, 0, 1, 100), Fate::ArrivesTwice(..))).count();
    assert!((400..600).contains(&twice), "{twice}");
}

#[test]
fn a_partition_cuts_between_groups_until_it_heals() {
    let mut network = network(5, quiet());
    network.disturb(Disturbance::Partition(vec![vec![0, 1], vec![2, 3]]));
    assert!(!network.is_cut(0, 1));
    assert!(network.is_cut(1, 2));
    assert!(network.is_cut(3, 0));
    assert!(network.is_cut(4, 0), "who is in no group is alone");
    assert_eq!(network.send(0, 0, 2, 100), Fate::Cut);
    network.heal();
    assert_eq!(network.send(0, 0, 2, 100), Fate::Arrives(10_000));
    assert!(!network.is_split());
}

#[test]
fn a_one_way_cut_lets_the_answers_through() {
    let mut network = network(3, quiet());
    network.disturb(Disturbance::OneWay { from: vec![0], to: vec![1, 2] });
    assert!(network.is_cut(0, 1) && network.is_cut(0, 2));
    assert!(!network.is_cut(1, 0) && !network.is_cut(1, 2));
}

#[test]
fn ending_one_disturbance_leaves_the_others() {
    let mut network = network(3, quiet());
    let first = network.disturb(Disturbance::OneWay { from: vec![0], to: vec![1] });
    let slow = network.disturb(Disturbance::Latency { processes: vec![1], permille: 3_000 });
    network.disturb(Disturbance::OneWay { from: vec![0], to: vec![1] });
    network.settle(first);
    assert!(network.is_cut(0, 1), "the other cut is still there");
    assert_eq!(network.send(0, 2, 1, 10), Fate::Arrives(30_000));
    assert_eq!(network.send(0, 0, 2, 10), Fate::Arrives(10_000));
    network.heal();
    assert_eq!(network.send(0, 0, 1, 10), Fate::Arrives(30_000), "healing ends cuts only");
    network.settle(slow);
    assert_eq!(network.send(0, 0, 1, 10), Fate::Arrives(10_000));
}

#[test]
fn a_narrowed_uplink_slows_its_sender_only() {
    let mut network = network(3, quiet());
    let narrow = Disturbance::Bandwidth { processes: vec![1], bits_per_second: 8_000 };
    let number = network.disturb(narrow);
    assert_eq!(network.send(0, 1, 0, 10), Fate::Arrives(20_000));
    assert_eq!(network.send(0, 0, 1, 10), Fate::Arrives(10_000));
    network.settle(number);
    assert_eq!(network.send(0, 1, 0, 10), Fate::Arrives(10_000));
}

#[test]
fn packets_are_counted_and_pay_their_overhead() {
    assert_eq!([packets(0), packets(1), packets(1_200), packets(1_201)], [1, 1, 1, 2]);
    assert_eq!(wire_bytes(1_201), 1_201 + 120);
    assert_eq!(encoded_bytes(&(7_u32, vec![1_u8, 2, 3])), 11);
}
