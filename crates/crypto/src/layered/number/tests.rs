use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    let number = scan(text).unwrap();
    assert_eq!(number.text, text);
    number.canonical()
}

#[test]
fn a_number_ends_where_pythons_reader_ends_it() {
    let rows = [
        ("0", "0", true),
        ("01", "0", true),
        ("12a", "12", true),
        ("-0.5,", "-0.5", false),
        ("1.", "1", true),
        ("1.e5", "1", true),
        ("1e", "1", true),
        ("1e+", "1", true),
        ("1.5e", "1.5", false),
        ("1E-05]", "1E-05", false),
        ("1.25.5", "1.25", false),
    ];
    for (text, found, is_integer) in rows {
        let number = scan(text).unwrap();
        assert_eq!((number.text, number.is_integer), (found, is_integer), "{text}");
    }
    assert!(["", "-", "+1", ".5", "e5", "a", "-a", "é"].iter().all(|text| scan(text).is_none()));
}

/// Long fractions against large exponents: Rust's own reader gives up on the
/// exponent at 65,536, Python's does not.
#[test]
fn a_fraction_and_an_exponent_of_any_length_make_up_for_each_other() {
    for zeros in [400, 70_000, 700_000] {
        let small = format!("0.{}15e{}", "0".repeat(zeros), zeros + 1);
        assert_eq!(canonical(&small), "1.5", "{zeros} zeros");
        let large = format!("15{}.0e-{}", "0".repeat(zeros), zeros + 1);
        assert_eq!(canonical(&large), "1.5", "{zeros} zeros");
    }
    assert_eq!(canonical("1e-99999999999999999999999999"), "0.0");
    assert_eq!(canonical("-1e99999999999999999999999999"), "-Infinity");
    assert_eq!(canonical("0.0e99999999999999999999999999"), "0.0");
}

/// Two shortest forms lie equally near; Python takes the one with the even last digit.
#[test]
fn ties_between_shortest_forms_go_to_the_even_digit() {
    assert_eq!(canonical("1769376246438434.25"), "1769376246438434.2");
    assert_eq!(canonical("1769376246438434.75"), "1769376246438434.8");
    assert_eq!(canonical("-13.5e14"), "-1350000000000000.0");
}

/// At a power of two the doubles below lie closer than those above, and the
/// nearest short form can belong to a neighbour. Values from Python.
#[test]
fn powers_of_two_are_pythons() {
    let rows = [
        (f64::from_bits(1), "5e-324"),
        (2f64.powi(-1022), "2.2250738585072014e-308"),
        (2f64.powi(-44), "5.684341886080802e-14"),
        (2f64.powi(53), "9007199254740992.0"),
        (2f64.powi(54), "1.8014398509481984e+16"),
        (2f64.powi(100), "1.2676506002282294e+30"),
        (2f64.powi(1023), "8.98846567431158e+307"),
    ];
    for (number, expected) in rows {
        assert_eq!(repr(number), expected);
    }
}

proptest! {
    #[test]
    fn a_written_float_reads_back_as_the_same(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let text = repr(number);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
        prop_assert_eq!(nearest(&text).to_bits(), bits);
        // A float never looks like an integer.
        prop_assert!(text.contains(['.', 'e']), "{}", text);
    }

    #[test]
    fn joining_point_and_exponent_changes_nothing(
        integer in "0|[1-9][0-9]{0,30}", fraction in "[0-9]{1,40}", exponent in -340i32..340,
    ) {
        let text = format!("{integer}.{fraction}e{exponent}");
        prop_assert_eq!(nearest(&text).to_bits(), text.parse::<f64>().unwrap().to_bits());
    }
}
