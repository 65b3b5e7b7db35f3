use super::*;

#[test]
fn an_index_follows_another_whatever_they_are() {
    assert!(follows(0, 1) && follows(u64::MAX - 1, u64::MAX));
    for (before, index) in [(0, 0), (1, 0), (0, 2), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
        assert!(!follows(before, index), "{before} {index}");
    }
}
