use serde_json::json;

use super::*;

/// A graph of packages `(name, [(dependency, kind)])`; names that begin with `qcn` are members.
fn graph(packages: &[(&str, &[(&str, &str)])]) -> Graph {
    let is_member = |name: &str| name.starts_with("qcn");
    let described = packages.iter().map(|(name, _)| {
        let source = (!is_member(name)).then_some(CRATES_IO);
        json!({ "id": name, "name": name, "source": source, "license": "MIT" })
    });
    let nodes = packages.iter().map(|(name, dependencies)| {
        let deps = dependencies.iter().map(|(to, kind)| {
            let kind = (*kind != "normal").then_some(kind);
            json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] })
        });
        json!({ "id": name, "deps": deps.collect::<Vec<_>>() })
    });
    let members = packages.iter().map(|(name, _)| *name).filter(|name| is_member(name));
    let metadata = json!({
        "packages": described.collect::<Vec<_>>(),
        "resolve": { "nodes": nodes.collect::<Vec<_>>() },
        "workspace_members": members.collect::<Vec<_>>(),
    });
    Graph::read(&metadata).unwrap()
}

#[test]
fn a_dependency_may_only_point_down() {
    let down = graph(&[("qcn-types", &[("qcn-crypto", "normal")]), ("qcn-crypto", &[])]);
    assert_eq!(down.against_the_layers(), Vec::<String>::new());
    for kind in ["normal", "dev", "build"] {
        let up = graph(&[("qcn-crypto", &[("qcn-types", kind)]), ("qcn-types", &[])]);
        assert_eq!(up.against_the_layers(), ["qcn-crypto depends on qcn-types, which is above"]);
    }
    let beside = graph(&[("qcn-consensus", &[("qcn-ledger", "normal")]), ("qcn-ledger", &[])]);
    assert_eq!(beside.against_the_layers().len(), 1);
    let itself = graph(&[("qcn-types", &[("qcn-types", "dev")])]);
    assert_eq!(itself.against_the_layers(), Vec::<String>::new());
    let unknown = graph(&[("qcn-new", &[])]);
    assert!(unknown.against_the_layers()[0].contains("no layer"));
}

#[test]
fn a_pure_crate_reaches_no_executor() {
    let quiet = |findings: Vec<String>| -> Vec<String> {
        findings.into_iter().filter(|finding| !finding.contains("not in the workspace")).collect()
    };
    let direct = graph(&[("qcn-types", &[("tokio", "normal")]), ("tokio", &[])]);
    assert_eq!(quiet(direct.impurities()).len(), 2);
    let hidden = graph(&[
        ("qcn-types", &[("borsh", "normal")]),
        ("borsh", &[("tokio", "normal")]),
        ("tokio", &[]),
    ]);
    assert_eq!(quiet(hidden.impurities()), ["qcn-types reaches tokio"]);
    let in_tests = graph(&[("qcn-types", &[("tokio", "dev")]), ("tokio", &[])]);
    assert_eq!(quiet(in_tests.impurities()), Vec::<String>::new());
}

#[test]
fn banned_crates_and_foreign_sources_are_found() {
    let clean = graph(&[("borsh", &[])]);
    let built = |name: &str| BTreeSet::from([name.to_owned()]);
    assert_eq!(clean.against_the_rules(&built("borsh")).unwrap(), Vec::<String>::new());
    let mut bad = graph(&[("openssl", &[])]);
    let package = bad.packages.get_mut("openssl").unwrap();
    package.source = Some("git+https://example.invalid/openssl".into());
    package.licence = None;
    assert_eq!(bad.against_the_rules(&built("openssl")).unwrap().len(), 3);
    let elsewhere = bad.against_the_rules(&built("borsh")).unwrap();
    assert_eq!(elsewhere, Vec::<String>::new(), "it is not built here");
}
