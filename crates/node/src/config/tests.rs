use super::*;

#[test]
fn what_is_written_reads_back() {
    let config = NodeConfig::new("127.0.0.1:7400".parse().unwrap());
    assert_eq!(NodeConfig::parse(&config.to_toml(), "node.toml").unwrap(), config);
}
