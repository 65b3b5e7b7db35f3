use super::*;

const STAKE: &str = include_str!("../../data/sui_stake.csv");
const REGIONS: &str = include_str!("../../data/aws_regions.csv");
const PLACEMENT_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/placement.csv");

/// Where a validator without coordinates would go.
const DEFAULT_REGION: &str = "us-east-1";

#[test]
fn the_matrix_is_complete_symmetric_and_plausible() {
    let matrix = aws();
    assert_eq!(matrix.regions.len(), 33);
    for (from, row) in matrix.one_way_us.iter().enumerate() {
        assert_eq!(row.len(), 33);
        for (to, &delay) in row.iter().enumerate() {
            assert_eq!(delay, matrix.one_way_us[to][from]);
            assert!((500..250_000).contains(&delay), "{delay} us is no measured latency");
        }
    }
    let [dublin, sydney] = ["eu-west-1", "ap-southeast-2"].map(|name| matrix.index(name));
    let delay = matrix.one_way_us[dublin.expect("known")][sydney.expect("known")];
    assert!((120_000..140_000).contains(&delay), "{delay} us from Dublin to Sydney");
}

#[test]
fn every_validator_stands_in_a_known_region_with_its_stake() {
    let validators = sui_validators();
    assert_eq!(validators.len(), 106);
    assert_eq!(validators[0].name, "santa-clara-0");
    assert_eq!(validators[0].weight, 235_248_877);
    let total: u64 = validators.iter().map(|validator| validator.weight).sum();
    for validator in validators {
        assert!(aws().index(&validator.region).is_some(), "{} is unknown", validator.region);
        assert!(validator.weight < total / 20, "{} is no whale", validator.name);
    }
    let mut names: Vec<&str> = validators.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 106);
}

#[test]
fn the_placement_is_what_the_coordinates_give() {
    for (expected, written) in computed_placement().lines().zip(PLACEMENT.lines()) {
        assert_eq!(expected, written, "write the table with the ignored test below");
    }
    assert_eq!(computed_placement(), PLACEMENT);
}

/// Run with `cargo test -p qcn-sim write_the_placement -- --ignored` after a change of the data.
#[test]
#[ignore = "writes data/placement.csv"]
#[expect(clippy::disallowed_methods, reason = "this one is a tool, not a run")]
fn write_the_placement() {
    std::fs::write(PLACEMENT_PATH, computed_placement()).expect("the data directory is writable");
}

fn computed_placement() -> String {
    let regions: Vec<(String, String, [f64; 2])> = table::rows(REGIONS)
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone(), [degrees(&row[2]), degrees(&row[3])]))
        .collect();
    let mut text = String::from("rank,name,city,country,region,weight\n");
    for row in table::rows(STAKE) {
        let [rank, stake, _, city, country, place, _] = &row[..] else { panic!("seven columns") };
        let nearest = match place.split_once(',') {
            Some((latitude, longitude)) => {
                let here = [degrees(latitude), degrees(longitude)];
                regions.iter().min_by(|a, b| arc(here, a.2).total_cmp(&arc(here, b.2)))
            }
            None => regions.iter().find(|region| region.0 == DEFAULT_REGION),
        };
        let (region, region_city, _) = nearest.expect("there are regions");
        let name = slug(if city.is_empty() { region_city } else { city });
        let weight = stake.split('.').next().unwrap_or_default();
        text += &format!("{rank},{name}-{rank},{city},{country},{region},{weight}\n");
    }
    text
}

fn degrees(text: &str) -> f64 {
    text.trim().parse().expect("a coordinate")
}

/// The great-circle distance on a unit sphere (haversine).
#[expect(clippy::disallowed_methods, reason = "the last bit does not decide which is nearest")]
fn arc(from: [f64; 2], to: [f64; 2]) -> f64 {
    let [[lat_a, lon_a], [lat_b, lon_b]] = [from, to].map(|place| place.map(f64::to_radians));
    let half = ((lat_b - lat_a) / 2.0).sin().powi(2)
        + lat_a.cos() * lat_b.cos() * ((lon_b - lon_a) / 2.0).sin().powi(2);
    2.0 * half.sqrt().asin()
}

/// A city's name in lower-case ASCII with hyphens.
fn slug(city: &str) -> String {
    let mut slug = String::new();
    for letter in city.to_lowercase().chars() {
        match letter {
            'ō' => slug.push('o'),
            'ü' => slug.push_str("ue"),
            'é' => slug.push('e'),
            'š' => slug.push('s'),
            letter if letter.is_ascii_alphanumeric() => slug.push(letter),
            ' ' | '-' => slug.push('-'),
            _ => {}
        }
    }
    slug
}

#[test]
fn equal_links_give_three_equal_delays() {
    let bounds = finality_bounds(&[1; 4], 3, |_, _| 10_000);
    for bound in bounds {
        assert_eq!(bound.three_delays_us, 30_000);
        assert_eq!(bound.composed_us, 30_000);
    }
}

/// A remote proposer pays for its distance twice, not three times.
#[test]
fn the_composed_bound_lets_votes_meet_among_the_near() {
    let bounds =
        finality_bounds(&[1; 4], 3, |from, to| if from == 3 || to == 3 { 100 } else { 10 });
    assert_eq!(bounds[3], FinalityBound { three_delays_us: 300, composed_us: 210 });
    assert_eq!(bounds[0], FinalityBound { three_delays_us: 30, composed_us: 30 });
}

#[test]
fn a_median_follows_the_shares() {
    assert_eq!(weighted_median(vec![(5, 1), (1, 1), (3, 1)]), 3);
    assert_eq!(weighted_median(vec![(5, 10), (1, 1), (3, 1)]), 5);
    assert_eq!(weighted_median(Vec::new()), 0);
}
