use super::*;

fn candidates(honest: &[u64], corrupt: &[u64]) -> Vec<Candidate> {
    let of = |weights: &[u64], corrupt| {
        weights.iter().map(move |weight| Candidate { weight: *weight, corrupt }).collect::<Vec<_>>()
    };
    [of(honest, false), of(corrupt, true)].concat()
}

fn equal(count: usize, corrupt: usize) -> Vec<Candidate> {
    candidates(&vec![7; count - corrupt], &vec![7; corrupt])
}

/// What the brute force finds: captured as formation weighs, captured as drawn, and committees
/// with a heavy honest member that no corrupt one outweighs.
#[derive(Default, Debug)]
struct Exhaustive {
    formed: f64,
    drawn: f64,
    heavy_honest: f64,
    total: f64,
}

/// Goes through every order in which seats can be filled.
fn exhaust(candidates: &[Candidate], seats: usize) -> Exhaustive {
    let mut found = Exhaustive::default();
    let rest = candidates.iter().map(|one| one.weight).sum::<u64>() as f64;
    fill(candidates, seats, &mut Vec::new(), 1.0, rest, &mut found);
    found
}

fn fill(
    candidates: &[Candidate],
    seats: usize,
    seated: &mut Vec<usize>,
    chance: f64,
    rest: f64,
    found: &mut Exhaustive,
) {
    if seated.len() == seats {
        let members: Vec<Candidate> = seated.iter().map(|place| candidates[*place]).collect();
        let mut weights: Vec<u64> = members.iter().map(|one| one.weight).collect();
        found.total += chance;
        found.drawn += if is_captured(&members, &weights) { chance } else { 0.0 };
        let total = weights.iter().sum::<u64>();
        let heavy = |corrupt: bool| {
            let side = members.iter().filter(|one| one.corrupt == corrupt);
            side.map(|one| one.weight).max().filter(|weight| 3 * weight >= total)
        };
        let counts = seats >= 4 && heavy(false).is_some() && heavy(false) > heavy(true);
        found.heavy_honest += if counts { chance } else { 0.0 };
        cap_weights(&mut weights);
        found.formed += if is_captured(&members, &weights) { chance } else { 0.0 };
        return;
    }
    for place in 0..candidates.len() {
        if !seated.contains(&place) {
            let weight = candidates[place].weight as f64;
            seated.push(place);
            fill(candidates, seats, seated, chance * weight / rest, rest - weight, found);
            seated.pop();
        }
    }
}

/// More than f = (W - 1) / 3, word for word.
fn is_captured(members: &[Candidate], weights: &[u64]) -> bool {
    let corrupt = members.iter().zip(weights).filter(|(one, _)| one.corrupt);
    let corrupt: u64 = corrupt.map(|(_, weight)| weight).sum();
    corrupt > (weights.iter().sum::<u64>() - 1) / 3
}

fn assert_close(found: f64, expected: f64, relative: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= relative * expected.abs(), "{what}: {found:e} is not {expected:e}");
}

const SMALL: [(&[u64], &[u64]); 7] = [
    (&[1, 1, 1, 1, 1], &[1, 1]),
    (&[5, 3, 8, 1, 2], &[4, 6, 7]),
    (&[100, 1, 1, 2, 3, 50], &[20, 9]),
    (&[1, 2, 3, 4, 5, 6], &[30]),
    (&[90, 2, 3, 4, 5], &[1, 1]),
    (&[1_007, 973, 503, 253], &[331, 777, 127]),
    (&[10, 10, 10], &[10, 10, 3, 3, 1]),
];

/// Given up to eight candidates of unequal weights.
/// When all orders in which they can be seated are gone through,
/// then as many are captured as the integral says, and those that formation changes are between
/// the bounds.
#[test]
fn small_cases_agree_with_all_orders_gone_through() {
    for (honest, corrupt) in SMALL {
        let all = candidates(honest, corrupt);
        for seats in 1..=all.len() {
            let expected = exhaust(&all, seats);
            let found = capture(&all, seats, Effort::Thorough);
            let what = format!("{honest:?} {corrupt:?}, {seats} seats");
            assert!((expected.total - 1.0).abs() < 1e-12);
            assert!(found.exact_weights, "{what}");
            assert_close(found.uncapped.lower, expected.drawn, 1e-11, &what);
            let upper = (found.uncapped.upper - UNDERFLOW).max(0.0);
            assert_close(upper, expected.drawn, 1e-11, &what);
            let Bounds { lower, upper } = found.probability;
            assert!(lower <= expected.formed * (1.0 + 1e-11), "{what}: {found:?} {expected:?}");
            assert!(upper >= expected.formed * (1.0 - 1e-11), "{what}: {found:?} {expected:?}");
            if seats < all.len() {
                assert_close(found.heavy_honest, expected.heavy_honest, 1e-11, &what);
            }
        }
    }
}

/// The probability that of `seats` from `count` equal candidates a third or more are corrupt.
fn hypergeometric_tail(count: usize, corrupt: usize, seats: usize) -> f64 {
    let honest = count - corrupt;
    let mut sum = 0.0;
    for bad in seats.div_ceil(3)..=seats.min(corrupt) {
        let good = seats - bad;
        if good > honest {
            continue;
        }
        // C(corrupt, bad) C(honest, good) / C(count, seats), factor by factor.
        let choose = (0..bad).map(|place| (seats - place) as f64 / (bad - place) as f64);
        let of_corrupt = (0..bad).map(|place| (corrupt - place) as f64 / (count - place) as f64);
        let of_honest =
            (0..good).map(|place| (honest - place) as f64 / (count - bad - place) as f64);
        sum += choose.chain(of_corrupt).chain(of_honest).product::<f64>();
    }
    sum
}

#[test]
fn equal_weights_agree_with_the_hypergeometric_tail() {
    for (count, corrupt, seats) in
        [(10, 3, 4), (100, 25, 40), (300, 75, 100), (1_000, 250, 200), (600, 199, 512), (50, 5, 7)]
    {
        let expected = hypergeometric_tail(count, corrupt, seats);
        let Bounds { lower, upper } =
            capture(&equal(count, corrupt), seats, Effort::Thorough).probability;
        let what = format!("{corrupt} of {count}, {seats} seats");
        assert_close(lower.midpoint(upper), expected, 1e-12, &what);
        assert!(lower <= expected && expected <= upper, "{what}: {lower:e} {expected:e} {upper:e}");
        assert!(upper <= lower * (1.0 + 1e-10), "{what}: {lower:e} {upper:e}");
    }
}

/// However coarsely weights are rounded, the bounds hold.
#[test]
fn coarse_rounding_keeps_its_bounds() {
    let mut rounded = 0;
    for salt in 0..12_u64 {
        let weight = |place: u64| 500 + (place * 7_919 + salt * 104_729) % 1_511;
        let weights: Vec<u64> = (0..7).map(weight).collect();
        let all = candidates(&weights[..5], &weights[5..]);
        for seats in 3..7 {
            let expected = exhaust(&all, seats).drawn;
            let found = capture_within(&all, seats, 1);
            rounded += usize::from(!found.exact_weights);
            let Bounds { lower, upper } = found.uncapped;
            let holds = lower <= expected * (1.0 + 1e-11) && expected * (1.0 - 1e-11) <= upper;
            assert!(holds, "{weights:?}, {seats} seats: {lower:e} {expected:e} {upper:e}");
        }
    }
    assert_eq!(rounded, 48);
}

/// Rounded weights bound what exact ones give.
#[test]
fn rounding_bounds_the_exact_probability() {
    let weight = |place: u64| 10_000 + place * place * 377 % 20_011;
    let honest: Vec<u64> = (0..18).map(weight).collect();
    let corrupt: Vec<u64> = (18..24).map(weight).collect();
    let all = candidates(&honest, &corrupt);
    let exact = capture(&all, 6, Effort::Thorough);
    let rounded = capture(&all, 6, Effort::Quick);
    assert!(exact.exact_weights && !rounded.exact_weights);
    let (exact, rounded) = (exact.uncapped, rounded.uncapped);
    assert!(rounded.lower < exact.lower && exact.upper < rounded.upper, "{rounded:?} {exact:?}");
    assert!(exact.upper <= exact.lower * (1.0 + 1e-11));
    assert!(rounded.upper < rounded.lower * 1.5);
}

/// Somebody completes the committee: the density of that integrates to one, within the bounds
/// that are claimed, for equal and for extremely unequal weights, and with a coarse step.
#[test]
fn the_certificate_holds_for_an_integral_that_is_known() {
    for (weights, seats) in [
        (vec![1; 30], 10),
        (vec![1; 30], 29),
        ([vec![1_000_000_000; 5], vec![1; 5]].concat(), 7),
        ((0..16).map(|power| 1_u64 << (2 * power)).collect(), 8),
    ] {
        // Everybody is corrupt, so every committee is captured.
        let race = Race::new(&candidates(&[], &weights), seats, Effort::Quick.cells());
        for tolerance in [1e-1, 1e-3, 1e-6, 1e-13] {
            let clock = Clock::new(&race.sizes, seats);
            let [_, measure, ..] = clock.integrate(tolerance, |time| race.density(time));
            assert!(measure.lower <= 1.0 && 1.0 <= measure.upper, "{weights:?} {measure:?}");
            let width = measure.upper / measure.lower - 1.0;
            assert!(width <= 6.0 * tolerance + 1e-10, "{weights:?} {measure:?}");
        }
    }
}
