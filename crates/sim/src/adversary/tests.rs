use super::*;

#[test]
fn every_adversary_has_a_name_of_its_own() {
    for adversary in Adversary::ALL {
        assert_eq!(Adversary::named(adversary.name()), Some(adversary));
    }
    assert_eq!(Adversary::named("saint"), None);
}
