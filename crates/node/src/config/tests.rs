use proptest::prelude::*;

use super::*;

const LEAST: &str = "genesis = \"g\"\nconsensus_key = \"c\"\ntransport_key = \"t\"\ndata = \"d\"\n\
    [network]\nlisten = \"0.0.0.0:7400\"\n";

fn full() -> NodeConfig {
    let mut config = NodeConfig::new("[::1]:7400".parse().unwrap());
    config.passphrase_file = Some("secrets/it's \"odd\"\\path".into());
    config.next_consensus_key = Some("keys/next consensus".into());
    config.next_transport_key = Some("/keys/next.transport".into());
    config.network.advertise = Some("me.example:7400".to_owned());
    config.network.seeds = vec!["a.example:1".to_owned(), "[::1]:2".to_owned()];
    config.network.clients = ["ab", "cd"].map(|digits| digits.repeat(32).parse().unwrap()).into();
    config.api.listen = "0.0.0.0:80".parse().unwrap();
    config.api.allow_remote = true;
    config.api.hosts = vec!["node.example".to_owned(), "qcn-api".to_owned()];
    config.log = LogConfig { level: LogLevel::Trace, format: LogFormat::Json };
    config
}

#[test]
fn what_is_written_reads_back() {
    for config in [NodeConfig::new("127.0.0.1:7400".parse().unwrap()), full()] {
        let text = config.to_toml();
        assert_eq!(NodeConfig::parse(&text, "node.toml").unwrap(), config, "{text}");
    }
}

#[test]
fn what_is_left_out_has_the_usual_value() {
    let config = NodeConfig::parse(LEAST, "node.toml").unwrap();
    assert_eq!(config.api, ApiConfig::default());
    assert!(config.api.listen.ip().is_loopback());
    assert_eq!(config.storage.keep_checkpoints, 1_000_000);
    assert_eq!(config.log, LogConfig::default());
    assert_eq!((config.next_consensus_key, config.next_transport_key), (None, None));
    assert_eq!((config.passphrase_file, config.network.clients), (None, Vec::new()));
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let folder = std::env::temp_dir().join(format!("qcn-config-{}", std::process::id()));
    let path = folder.join("node.toml");
    let mut config = full();
    config.genesis = "/etc/qcn/genesis.json".into();
    config.write(&path, Overwrite::Refuse).unwrap();
    let read = NodeConfig::read(&path).unwrap();
    assert_eq!(read.data, folder.join("data"));
    assert_eq!(read.consensus_key, folder.join("consensus.key"));
    assert_eq!(read.next_consensus_key, Some(folder.join("keys/next consensus")));
    assert_eq!(read.next_transport_key, Some("/keys/next.transport".into()));
    assert_eq!(read.passphrase_file, config.passphrase_file.map(|file| folder.join(file)));
    assert_eq!(read.genesis, Path::new("/etc/qcn/genesis.json"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn mistakes_are_named_with_their_place_and_remedy() {
    const KEY: &str = "\"abababababababababababababababababababababababababababababababab\"";
    let clients = |list: &str| format!("{LEAST}clients = [{list}]\n");
    let many_keys = (0..1_025).map(|n| format!("\"{n:064x}\",")).collect::<String>();
    let rows = [
        ("x = 1".to_owned(), "line 1, column 1", "unknown field `x`"),
        (LEAST.replace("data", "date"), "line 4, column 1", "leave it out"),
        (LEAST.replace("genesis = \"g\"\n", ""), "", "missing field `genesis`"),
        (LEAST.replace("\"g\"", "7"), "line 1, column 11", "expected"),
        (LEAST.replace("\"g\"", "\"\""), "genesis", "name a file"),
        (format!("next_consensus_key = \"c\"\n{LEAST}"), "next_consensus_key", "the new key"),
        (format!("next_transport_key = \"t\"\n{LEAST}"), "next_transport_key", "the present key"),
        (format!("next_transport_key = \"\"\n{LEAST}"), "next_transport_key", "name a file"),
        (LEAST.replace("0.0.0.0:7400", "everywhere"), "line 6, column 10", "socket address"),
        (format!("{LEAST}advertise = \"me\""), "network.advertise", "host:port"),
        (format!("{LEAST}seeds = [\"a:1\", \"b\"]"), "network.seeds[1]", "host:port"),
        (clients("\"abcd\""), "line 7, column 1", "the key digest that `qcn key show` prints"),
        (clients(&format!("\"{}\"", "x".repeat(64))), "line 7, column 1", "than hex digits"),
        (clients("7"), "line 7, column 1", "string"),
        (clients(&format!("{KEY}, {KEY}")), "network.clients[1]", "leave one of them out"),
        (clients(&many_keys), "network.clients", "up to 1024"),
        (format!("{LEAST}[api]\nlisten = \"0.0.0.0:80\""), "api.listen", "allow_remote = true"),
        (format!("{LEAST}[api]\nlisten = \"192.0.2.1:80\""), "api.listen", "allow_remote = true"),
        (format!("{LEAST}[api]\nlisten = \"[::]:80\""), "api.listen", "allow_remote = true"),
        (format!("{LEAST}[api]\nhosts = [\"a\", \"b:80\"]"), "api.hosts[1]", "without a port"),
        (format!("{LEAST}[api]\nhosts = [\"http://b\"]"), "api.hosts[0]", "no name of a host"),
        (format!("{LEAST}[api]\nhosts = [{}]", "\"a\",".repeat(513)), "api.hosts", "up to 512"),
        (format!("{LEAST}[api]\nmax_connections = 0"), "api.max_connections", "give 1 to"),
        (format!("{LEAST}[api]\nmax_subscribers = 70000"), "api.max_subscribers", "give 1 to"),
        (format!("{LEAST}[storage]\nkeep_checkpoints = 0"), "storage.keep_checkpoints", "at least"),
        (format!("{LEAST}[storage]\nkeep_checkpoints = -1"), "line 8, column 20", "u64"),
        (format!("{LEAST}[log]\nlevel = \"loud\""), "line 8, column 9", "`error`"),
        (format!("{LEAST}[log]\nlevel = \"info"), "line 8, column", "string"),
    ];
    for (text, place, part) in rows {
        let error = NodeConfig::parse(&text, "node.toml").unwrap_err();
        let message = error.to_string();
        assert!(error.place.starts_with(place), "{message} is not at {place}");
        assert!(message.contains(part), "{message} does not say {part:?}");
        assert!(message.starts_with("node.toml: "), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "([a-z_]{1,8} ?=? ?[\\[\\]\"a-z0-9.:]{0,12}\n?){0,12}") {
        let _ = NodeConfig::parse(&text, "node.toml");
        let _ = NodeConfig::parse(&format!("{LEAST}{text}"), "node.toml");
    }

    #[test]
    fn any_path_survives_the_template(path in "[^\u{0}]{1,30}") {
        let mut config = full();
        config.data = path.into();
        prop_assert_eq!(NodeConfig::parse(&config.to_toml(), "node.toml").unwrap(), config);
    }
}
