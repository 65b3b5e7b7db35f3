//! A node that has stopped for good: its process ends, and says by its exit code whether to start
//! it again.

use std::fs;

use crate::network::{Network, qcn};
use crate::patience::{seconds, until};

/// A validator whose log fails ends so that its service manager starts it again.
///
/// Given a network of four.
/// When the folder of one validator's log goes away under it,
/// then its process ends with exit code 1 and the reason, and the others go on;
/// and started again with the folder back, it runs.
#[test]
fn a_failed_log_ends_the_process_for_another_start() {
    let mut network = Network::start("stopped");
    let log = network.data(3).join("log");
    let away = log.with_extension("away");
    fs::rename(&log, &away).unwrap();
    let status = network.end_of(3, seconds(90));
    assert_eq!(status.code(), Some(1), "{}", network.log(3));
    let said = network.log(3);
    assert!(said.contains("stopped: the block log failed: "), "{said}");
    assert!(said.contains("starting it again may help"), "{said}");
    let before = network.api(0).certified_height().unwrap();
    until("the others go on", seconds(20), || {
        network.api(0).certified_height().filter(|height| *height > before)
    });

    let _ = fs::remove_dir_all(&log);
    fs::rename(&away, &log).unwrap();
    network.launch(3);
    network.wait_until_ready();
}

/// A validator that has left the others for another state is not started again.
///
/// Given a validator with the mark that such an end leaves.
/// When it is started, then it refuses with exit code 3, the reason and the remedy; and without
/// the mark it starts.
#[test]
fn a_node_that_stopped_for_good_refuses_to_start() {
    let mut network = Network::lay_out("for-good");
    let mark = network.data(0).join("stopped-for-good");
    fs::write(&mark, "checkpoint 7 gave ab here, but a quorum attests cd\n").unwrap();
    network.launch(0);
    let status = network.end_of(0, seconds(30));
    assert_eq!(status.code(), Some(3), "{}", network.log(0));
    let said = network.log(0);
    assert!(said.contains("a quorum attests cd") && said.contains("with an empty one"), "{said}");
    assert!(!said.contains("is up"), "{said}");

    fs::remove_file(&mark).unwrap();
    network.launch_all();
    network.wait_until_ready();
    let (status, _) = network.terminate(0, |_| {});
    assert_eq!(status.code(), Some(0));
}

/// `qcn node` without anything to do is bad input, as is a file that is not there.
#[test]
fn a_command_line_without_a_configuration_is_refused() {
    for arguments in [&["node"][..], &["node", "--check"], &["node", "--config", "/nowhere"]] {
        assert_eq!(qcn(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
