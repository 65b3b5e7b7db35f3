use std::collections::BTreeSet;

use super::*;

#[test]
fn the_signed_bytes_are_laid_out_as_documented() {
    let context = SigningContext::new(Domain::Block, ChainId(Digest([7; 32])), Role::Consensus);
    let expected = [b"\x0cqcn/v1/block".as_slice(), &[7; 32], &[1], b"message"].concat();
    assert_eq!(context.signed_bytes(b"message"), expected);
}

#[test]
fn different_statements_give_different_bytes() {
    let mut seen = BTreeSet::new();
    for domain in Domain::ALL {
        for chain in [Digest::ZERO, Digest([1; 32])] {
            for role in Role::ALL {
                for message in [b"".as_slice(), b"a", b"ab"] {
                    let context = SigningContext::new(*domain, ChainId(chain), role);
                    assert!(seen.insert(context.signed_bytes(message)), "{context:?}");
                }
            }
        }
    }
}

#[test]
fn a_role_is_one_byte_and_unknown_ones_are_refused() {
    for role in Role::ALL {
        assert_eq!(borsh::to_vec(&role).unwrap(), [role as u8]);
        assert_eq!(borsh::from_slice::<Role>(&[role as u8]).unwrap(), role);
    }
    assert!(borsh::from_slice::<Role>(&[0]).is_err());
    assert!(borsh::from_slice::<Role>(&[5]).is_err());
}
