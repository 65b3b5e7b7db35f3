use std::sync::LazyLock;

use qcn_crypto::Scheme;

use super::*;
use crate::decode;
use crate::testing::{CHAIN, digest};

static KEYS: LazyLock<[SigningKey; 4]> = LazyLock::new(|| {
    let schemes = [Scheme::Falcon512, Scheme::MlDsa65, Scheme::MlDsa44, Scheme::Falcon512];
    let mut seed = 40;
    schemes.map(|scheme| {
        seed += 1;
        SigningKey::from_seed(scheme, &[seed; 32]).unwrap()
    })
});

fn applicant() -> Applicant<'static> {
    let [consensus, transport, recovery, _] = &*KEYS;
    Applicant {
        name: "Vera",
        consensus,
        transport,
        recovery: Some(recovery),
        weight: Weight(1_000),
        anchor: digest("anchor"),
        address: Some("vera.example.org:4000"),
    }
}

fn registration() -> Registration {
    Registration::sign(CHAIN, &applicant()).unwrap()
}

fn refused(change: impl FnOnce(&mut Registration)) -> RegistrationError {
    let mut registration = registration();
    change(&mut registration);
    registration.check(CHAIN).unwrap_err()
}

fn role_of(error: &RegistrationError) -> Option<Role> {
    match error {
        RegistrationError::Possession(role, _) => Some(*role),
        _ => None,
    }
}

#[test]
fn a_registration_is_taken_with_and_without_a_recovery_key() {
    assert_eq!(registration().check(CHAIN), Ok(()));
    let plain = Applicant { recovery: None, address: None, ..applicant() };
    let plain = Registration::sign(CHAIN, &plain).unwrap();
    assert_eq!(plain.check(CHAIN), Ok(()));
    assert_eq!(decode::<Registration>(&encode(&plain)).unwrap(), plain);
}

/// The proofs cover everything that is registered: whoever changes anything has to prove all keys.
#[test]
fn nothing_of_a_registration_can_be_changed() {
    let changes: [fn(&mut Registration); 7] = [
        |it| it.name = Bounded::truncated(b"Eve".to_vec()),
        |it| it.weight = Weight(2_000),
        |it| it.anchor = digest("other"),
        |it| it.address = None,
        |it| it.recovery = None,
        |it| it.consensus.key = KEYS[3].public_key().clone(),
        |it| it.consensus.possession = it.transport.possession.clone(),
    ];
    for change in changes {
        assert_eq!(role_of(&refused(change)), Some(Role::Consensus));
    }
    let elsewhere = registration().check(ChainId(digest("another chain"))).unwrap_err();
    assert_eq!(role_of(&elsewhere), Some(Role::Consensus));
}

/// Each key is proven for itself.
#[test]
fn every_key_needs_its_proof() {
    let wrong = || Signature::new([1; 666]).unwrap();
    let transport = refused(|it| it.transport.possession = wrong());
    assert_eq!(role_of(&transport), Some(Role::Transport));
    let recovery = refused(|it| {
        if let Some(recovery) = &mut it.recovery {
            recovery.possession = wrong();
        }
    });
    assert_eq!(role_of(&recovery), Some(Role::Operator));
}

#[test]
fn names_addresses_and_weights_are_sound() {
    for name in [&b""[..], b" Vera", b"Ve\nra", b"\xff"] {
        let name = Bounded::truncated(name.to_vec());
        assert_eq!(refused(|it| it.name = name), RegistrationError::Name);
    }
    for address in [&b""[..], b"vera example", b"v\x00", "v\u{e9}ra".as_bytes()] {
        let address = Some(Bounded::truncated(address.to_vec()));
        assert_eq!(refused(|it| it.address = address), RegistrationError::NetworkAddress);
    }
    for weight in [Weight(0), Weight(Committee::MAX_TOTAL + 1)] {
        assert_eq!(refused(|it| it.weight = weight), RegistrationError::Weight(weight));
    }
}

/// Members approve of what is registered, whichever of its many proofs they have seen.
#[test]
fn the_digest_covers_the_statement_alone() {
    let (one, other) = (registration(), registration());
    assert_ne!(one.consensus.possession, other.consensus.possession);
    assert_eq!(one.digest(), other.digest());
    let mut heavier = one.clone();
    heavier.weight = Weight(1);
    assert_ne!(one.digest(), heavier.digest());
}

fn rotation(new: &NewKeys<'_>) -> KeyRotation {
    KeyRotation::sign(CHAIN, new, &KEYS[2]).unwrap()
}

fn both() -> NewKeys<'static> {
    let (consensus, transport) = (Some(&KEYS[3]), Some(&KEYS[1]));
    NewKeys { number: 7, counter: 3, consensus, transport, anchor: None }
}

#[test]
fn a_rotation_replaces_any_of_its_parts() {
    let anchor = Some(digest("anchor"));
    for new in [
        both(),
        NewKeys { transport: None, ..both() },
        NewKeys { consensus: None, ..both() },
        NewKeys { consensus: None, transport: None, anchor, ..both() },
    ] {
        let rotation = rotation(&new);
        assert_eq!(rotation.check(CHAIN), Ok(()));
        assert_eq!(decode::<KeyRotation>(&encode(&rotation)).unwrap(), rotation);
    }
    let nothing = NewKeys { consensus: None, transport: None, ..both() };
    assert_eq!(rotation(&nothing).check(CHAIN), Err(RegistrationError::Nothing));
}

/// Nothing of a rotation can be changed, and each of its parts is proven.
#[test]
fn nothing_of_a_rotation_can_be_changed() {
    let changes: [fn(&mut KeyRotation); 6] = [
        |it| it.body.counter += 1,
        |it| it.body.number += 1,
        |it| it.body.recovery = KEYS[0].public_key().clone(),
        |it| it.body.anchor = Some(digest("other")),
        |it| it.consensus_possession = None,
        |it| it.body.consensus = None,
    ];
    for change in changes {
        let mut changed = rotation(&both());
        change(&mut changed);
        assert_eq!(role_of(&changed.check(CHAIN).unwrap_err()), Some(Role::Consensus));
    }
    let mut forged = rotation(&NewKeys { consensus: None, transport: None, ..both() });
    forged.body.anchor = Some(digest("anchor"));
    assert!(matches!(forged.check(CHAIN), Err(RegistrationError::Recovery(_))));
    let elsewhere = rotation(&both()).check(ChainId(digest("another chain")));
    assert_eq!(role_of(&elsewhere.unwrap_err()), Some(Role::Consensus));
}

/// Who proves its new keys, but does not hold the recovery key, rotates nothing.
#[test]
fn a_rotation_needs_the_recovery_key() {
    let mut forged = KeyRotation::sign(CHAIN, &both(), &KEYS[2]).unwrap();
    forged.signature = KeyRotation::sign(CHAIN, &both(), &KEYS[0]).unwrap().signature;
    assert!(matches!(forged.check(CHAIN), Err(RegistrationError::Recovery(_))));
}
