//! Proofs of receipts, out of the certified state of a shard that has sent some.

use super::*;
use crate::testing::crossing::{CROSSING, certificate_by};

/// The node with a checkpoint more, in which transfers went to shard 1.
fn sender() -> Node {
    let node = Node::new();
    node.archive.add_block(&CROSSING.executed.blocks[0]).unwrap();
    node.archive.add_checkpoint(&CROSSING.executed).unwrap();
    node
}

fn show(node: &Node, certificate: qcn_types::Certificate, ledger: qcn_ledger::Ledger) {
    node.view.set_certified(CertifiedState { certificate: Arc::new(certificate), ledger });
}

fn path(number: usize) -> String {
    format!("/v1/transactions/{}/receipt-proof", CROSSING.transfers[number].body.id())
}

/// Given a transfer that another shard has not acknowledged,
/// then whoever has the genesis sees that it left its shard; before its checkpoint is certified,
/// and after the acknowledgement, it is said what to do instead.
#[test]
fn a_transfer_is_proven_to_have_left_until_it_is_acknowledged() {
    let node = sender();
    assert_eq!(node.get(&path(0)).code(), (404, "not_certified".to_owned()));

    show(&node, CROSSING.certificate.clone(), CROSSING.ledger.clone());
    for number in 0..3 {
        let document = node.ask(&path(number));
        let Claims::Receipt(claims) = proven(&document) else { panic!("{document}") };
        assert_eq!(claims.transaction_id, CROSSING.transfers[number].body.id().to_string());
        assert_eq!((claims.source_shard, claims.destination_shard), (0, 1));
        assert_eq!((claims.lane_number, claims.certified.height), (number as u64, 1_000));
    }
    assert_eq!(node.ask(&path(0)), node.ask(&path(0).replace("/v1/", "/v1/shards/0/")));

    let (certificate, ledger) = CROSSING.acknowledged();
    show(&node, certificate, ledger);
    let answer = node.get(&path(0));
    assert_eq!(answer.code(), (404, "gone".to_owned()));
    let remedy = answer.json()["error"]["remedy"].as_str().unwrap().to_owned();
    assert!(remedy.contains("ask a node of shard 1") && remedy.contains("/proof here"), "{remedy}");
}

#[test]
fn what_sent_nothing_has_no_receipt() {
    let node = sender();
    show(&node, CROSSING.certificate.clone(), CROSSING.ledger.clone());
    let within = HISTORY.transfers[0].body.id();
    let answer = node.get(&format!("/v1/transactions/{within}/receipt-proof"));
    assert_eq!(answer.code(), (404, "no_receipt".to_owned()));
    let unknown = "7".repeat(64);
    let answer = node.get(&format!("/v1/transactions/{unknown}/receipt-proof"));
    assert_eq!(answer.code(), (404, "not_found".to_owned()));
    assert_eq!(node.get("/v1/transactions/x/receipt-proof").code(), (400, "malformed".to_owned()));
}

/// A node whose newest certificate is of another state gives out nothing that does not check.
#[test]
fn a_proof_that_is_given_out_is_of_the_state_that_is_certified() {
    let node = sender();
    let mut checkpoint = CROSSING.certificate.checkpoint;
    checkpoint.outbox_root = qcn_crypto::Digest([1; 32]);
    let certificate = certificate_by(CHAIN, &[(0, 0), (1, 1), (2, 2)], checkpoint);
    show(&node, certificate, CROSSING.ledger.clone());
    let document = ProofDocument::parse(&node.ask(&path(0)).to_string()).unwrap();
    let refused = verify(&document, &HISTORY.keys).unwrap_err().to_string();
    assert!(refused.contains("not in the certified outbox"), "{refused}");
}
