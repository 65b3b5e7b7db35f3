//! The scenarios that come with the simulator.

/// A scenario file inside the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Its file's contents, with the comments that explain it.
    pub text: &'static str,
}

macro_rules! builtin {
    ($($name:literal),*) => {
        [$(Builtin {
            name: $name,
            text: include_str!(concat!("../../../../scenarios/", $name, ".toml")),
        }),*]
    };
}

/// All of them, in the order in which they are listed.
pub const BUILTIN: [Builtin; 9] = builtin![
    "wan",
    "partition",
    "byzantine",
    "heterogeneous",
    "scale",
    "churn",
    "flaky-disks",
    "shards",
    "epochs"
];

/// The one of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|scenario| scenario.name == name)
}
