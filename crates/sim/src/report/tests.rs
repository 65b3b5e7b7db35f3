use super::sample::sample;
use super::*;
use crate::result::{Percentiles, Violation};

fn page(result: &RunResult) -> String {
    html(result).expect("plots can be drawn")
}

#[test]
fn the_table_says_conditions_before_measurements() {
    let text = table(&sample(), Detail::Summary);
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words:?} in {text}"));
    let order =
        ["Conditions", "Measured in virtual time", "Validators", "Events", "On this machine"];
    assert!(order.map(place).is_sorted());
    for words in [
        "106; a quorum needs 66.67% of the weight, up to 33.33% may be faulty, adversaries hold 5%",
        "real Falcon-512, checked once on the host and charged to every validator",
        "p50 305.8 ms",
        "the median is 1.42 times that",
        "10.84 per second",
        "adversary, 1 piece of evidence, isolated",
        "and 99 more, which --full shows",
        "40% of the weight is cut off",
        "Every invariant held.",
    ] {
        place(words);
    }
    assert!(text.lines().all(|line| line.chars().count() <= 160), "too wide: {text}");
}

#[test]
fn the_full_table_has_a_row_for_every_validator() {
    let text = table(&sample(), Detail::Full);
    for one in sample().validators {
        assert!(text.lines().any(|line| line.trim_start().starts_with(&one.name)), "{}", one.name);
    }
    assert!(!text.contains("--full"));
}

#[test]
fn a_broken_invariant_is_on_the_table_and_the_page() {
    let mut result = sample();
    result.violations.push(Violation {
        invariant: "agreement".into(),
        at_ms: 1234.0,
        validator: Some("london-2".into()),
        detail: "two commits <of> one height".into(),
    });
    let text = table(&result, Detail::Summary);
    assert!(text.contains("One invariant was broken."));
    assert!(text.contains("1.234 s  agreement at london-2: two commits <of> one height"), "{text}");
    let page = page(&result);
    assert!(page.contains("One invariant was broken."));
    assert!(page.contains("two commits &lt;of&gt; one height"));
}

#[test]
fn the_page_stands_alone() {
    let page = page(&sample());
    for loader in ["<script", "<link", "src=", "url(", "@import", "href="] {
        assert!(!page.contains(loader), "the page loads something with {loader}");
    }
    let addresses = page.matches("http").count();
    assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
}

#[test]
fn every_plot_has_a_text_alternative_and_a_caption() {
    let page = page(&sample());
    assert_eq!(page.matches("<svg ").count(), 7);
    assert_eq!(page.matches("<svg role=\"img\" aria-label=").count(), 7);
    assert_eq!(page.matches("<figcaption>").count(), 7);
}

#[test]
fn events_are_marked_on_every_time_axis() {
    let page = page(&sample());
    for word in [">\npartition\n<", ">\nheal\n<", ">\n2 × crash\n<", ">\nwarm-up\n<"] {
        assert_eq!(page.matches(word).count(), 3, "{word:?} is not on all three time axes");
    }
}

/// A colour that the style sheet does not know would stay dark on dark.
#[test]
fn every_colour_of_a_plot_is_mapped_to_the_dark_theme() {
    let page = page(&sample());
    let (style, body) = page.split_once("</style>").expect("there is a style sheet");
    for attribute in ["fill=\"#", "stroke=\"#"] {
        for (at, _) in body.match_indices(attribute) {
            let pair = &body[at..at + attribute.len() + 7];
            let shade = "fill=\"#8C959F\"";
            assert!(
                style.contains(&format!("svg [{pair}]")) || pair == shade,
                "{pair} is not mapped"
            );
        }
    }
}

#[test]
fn a_result_with_nothing_in_it_is_still_reported() {
    let empty = RunResult { scenario: "<empty>".into(), ..Default::default() };
    assert!(page(&empty).contains("&lt;empty&gt;"));
    let text = table(&empty, Detail::Summary);
    assert!(text.contains("nothing was finalized in the measured time"));
}

#[test]
fn numbers_read_well() {
    use number::*;
    assert_eq!(count(0), "0");
    assert_eq!(count(1_234_567), "1,234,567");
    assert_eq!(decimal(0.05), "0.05");
    assert_eq!(decimal(12.0), "12");
    assert_eq!(decimal(123.456), "123.5");
    assert_eq!(decimal(-12_345.6), "-12,346");
    assert_eq!(bytes(88_090.0), "88.09 kB");
    assert_eq!(moment(12_000.0), "12 s");
    assert_eq!(ms(Percentiles::default().p50), "-");
    assert_eq!(of(1, "block"), "1 block");
}

/// For looking at: `cargo test -p qcn-sim write_the_sample -- --ignored`, then open the file.
#[test]
#[ignore = "writes qcn-sample-report.html"]
#[expect(clippy::disallowed_methods, reason = "this one is a tool, not a run")]
fn write_the_sample() {
    let path = std::env::temp_dir().join("qcn-sample-report.html");
    std::fs::write(path, page(&sample())).expect("the temporary directory is writable");
}
