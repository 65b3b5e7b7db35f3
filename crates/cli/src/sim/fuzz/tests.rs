use super::*;

#[test]
fn a_range_of_seeds_is_two_numbers() {
    let seeds = |text: &str| text.parse::<Seeds>().map(|Seeds(range)| range);
    assert_eq!(seeds("3..10"), Ok(3..10));
    assert_eq!(seeds("0..10_000"), Ok(0..10_000));
    for wrong in ["", "5", "5..", "..5", "a..b", "5..=6", "-1..5"] {
        assert!(seeds(wrong).is_err_and(|error| error.contains("write one as")), "{wrong}");
    }
    assert!(seeds("5..5").is_err_and(|error| error.contains("holds no seed")));
}
