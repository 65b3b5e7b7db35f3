use super::*;

#[test]
fn a_stop_that_takes_long_says_why() {
    let mut status = NodeStatus::default();
    assert!(still_stopping(&status).contains("the log and the archive"));
    status.waiting_for = Some("the disk is full".to_owned());
    assert!(still_stopping(&status).contains("the disk is full"));
}
