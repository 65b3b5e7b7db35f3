//! Known answers for ML-DSA.

use super::super::ParameterSet::{self, P44, P65, P87};

/// Key generation of NIST's ACVP server (ML-DSA-keyGen-FIPS204, vector set 42):
/// parameter set, seed, SHA-256 of the public key.
pub(super) const KEY_GENERATION: &[(ParameterSet, &str, &str)] = &[
    (
        P44,
        "7194b13c95231010afd2c909992bd2003ba6f437c3886bdbe3f6b867a14ba161",
        "838b88b6ac41e2c60698173e08ca173d0b0d2839205806e56a8a3d53195f3a03",
    ),
    (
        P44,
        "2ebe5a4123398dfbcd5bdf0a42ebdd03112be3bc88a6e9b78d93120ab8d0120e",
        "366cdfa62052438e03a4bb70e8aaa2c31c535584ef83a926b4efa1796605dacb",
    ),
    (
        P44,
        "2aa7609556919cce9893561bb4120cdd9cff12734267a8ccb4b2d2ca93066e1e",
        "075ff22d7358e8548b4c2b59681b86e790f1ef2ef4a651d977d91264b06cfcc3",
    ),
    (
        P65,
        "a991fd42b071d49c48ae3e75c647459e0daad1e1ba356a04801912d3294bcff8",
        "b1a7d0d2f0d7a04b9d5ffccd9bd578864dab4a01cdd7f70a05cd1f4f0672e43a",
    ),
    (
        P65,
        "494f29ad1c93abb2b9545bd14cc575a98ecd3062137b439b49eb1a8cc6652fc6",
        "4f2a21f2bee92fc15c91ce7dc7d96f5dac1ee1f0f7eb7325823ea96dd12ecc84",
    ),
    (
        P65,
        "c4ec434d7feddcbff68b77a80e45935f3e363289a493e49acbae366e5c6b3d01",
        "01d5cc69a363d4b47fffa5a042edf4293cd5290c3f4a1b5c2f11260b6446eace",
    ),
    (
        P87,
        "a16f5b0796703e2d1a0140a35cbf36efabe70e752ba59b6a9a0e9c4b05302f73",
        "33f49649f05ec2fc3b050007b18ade043bbc8d1c0ded03a269d540486daaa5f4",
    ),
    (
        P87,
        "e46d458a660285930d9656a88d14e751730cae7a4975b6e4fbe69e80e3f01e7f",
        "f445cbb034fba125d17a8ac1be6ff617ddaca04a3e6b76ccf44e3dbc94cc7946",
    ),
    (
        P87,
        "719bce87e014abdb6a0f77ea1c84eac7dd674d5b03b27ece154ba7fdde8a0458",
        "e0e816ae6f6cd0180674efd3191400694ab9a713e2b319de7f54ce9de45cf6ca",
    ),
];

/// A deterministic signature with a context.
pub(super) struct Signed {
    pub(super) set: ParameterSet,
    pub(super) seed: &'static str,
    pub(super) message: &'static str,
    pub(super) context: &'static str,
    pub(super) public_key_sha256: &'static str,
    pub(super) signature_sha256: &'static str,
}

/// Deterministic signatures in the pure, external form with contexts: the first
/// records of the community's KAT files `kat_MLDSA_{44,65,87}_det_pure.rsp`.
pub(super) const SIGNATURES: &[Signed] = &[
    Signed {
        set: P44,
        seed: "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
        message: "6dbbc4375136df3b07f7c70e639e223e",
        context: "480c658c0cb3e040bde084345cef0df7",
        public_key_sha256: "18288249b90bcbd48d473d2a507cc3c1e95e040f639ac3333a8ed1891de14552",
        signature_sha256: "e8a1941380e7cadb3c8dfb31dd3f3986568d26e4bf2d975610e81df300267c37",
    },
    Signed {
        set: P44,
        seed: "6de62e3465a55c9c78a07d265be8540b3e58b0801a124d07ff12b438d5202ea0",
        message: "d69cfc64f84d4f33e4c54e166b7ff9283a394986a539b23987a10f39d2d9689b",
        context: "0121cb32acd1871135cb34e29c1a0e26",
        public_key_sha256: "8d91b9927e331d039df029d6960679e87f4f8411231ef874ec4ba85ec780d18e",
        signature_sha256: "bde31139420e9aa6d8b6482a7483e24a4045314bc2d7ca3ced3dc0a8563e0c4d",
    },
    Signed {
        set: P44,
        seed: "1eaae6bb91b27cd748c402c4111140d5a942cf3c95ff7977f88d2ef515bb26d0",
        message: "63470357110828f25b23edc80ed280ecd398a9f53251c3332754de2af0b15e901a43ac1d7f898991f0e86b404a1e2ab2",
        context: "01f985e18f93d8cdee7c3e4b428c8358",
        public_key_sha256: "14d343d8fdc3129d8f4a3691da42875bc709b14297d900c05083fcedad2e8af2",
        signature_sha256: "366350e50cd857d1895130b331811adef6ef5b3d7116e4a9b4a52a8cb34fa1c4",
    },
    Signed {
        set: P65,
        seed: "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
        message: "6dbbc4375136df3b07f7c70e639e223e",
        context: "480c658c0cb3e040bde084345cef0df7",
        public_key_sha256: "ab0f27cfe4f84d2a9fa74d48467439df9e5dd8401f8715f82ed70e43a371400a",
        signature_sha256: "413e6b4eac737e0406fa3849b9263480667ad6123580f80e4fd3da81bda993bb",
    },
    Signed {
        set: P65,
        seed: "6de62e3465a55c9c78a07d265be8540b3e58b0801a124d07ff12b438d5202ea0",
        message: "d69cfc64f84d4f33e4c54e166b7ff9283a394986a539b23987a10f39d2d9689b",
        context: "0121cb32acd1871135cb34e29c1a0e26",
        public_key_sha256: "7492efc0fe061dd862f3d2df3f9df030b143766ef056ff14bba44a4f0089ff1d",
        signature_sha256: "296309f4d6d7028f8980d8b7390a0dc093601b75f6e4dfe567fa4cbb351a8152",
    },
    Signed {
        set: P65,
        seed: "1eaae6bb91b27cd748c402c4111140d5a942cf3c95ff7977f88d2ef515bb26d0",
        message: "63470357110828f25b23edc80ed280ecd398a9f53251c3332754de2af0b15e901a43ac1d7f898991f0e86b404a1e2ab2",
        context: "01f985e18f93d8cdee7c3e4b428c8358",
        public_key_sha256: "1a07e19eb0a9bf16faa9171421d7619b2d1d10bfd0325b35c2da12ddb70bf546",
        signature_sha256: "c4fed8c729107b09e9ae209dc909ed58829b17c836ba6affe09678a8c133c749",
    },
    Signed {
        set: P87,
        seed: "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
        message: "6dbbc4375136df3b07f7c70e639e223e",
        context: "480c658c0cb3e040bde084345cef0df7",
        public_key_sha256: "b509c4ebd6b5fa67009c73cc7cebe55a3f38486a24acfbf9d91dd04f63e660b5",
        signature_sha256: "8c05ed511a746a00f603cc61ee3e967b85ac2320aab03ce2035915823e608465",
    },
    Signed {
        set: P87,
        seed: "6de62e3465a55c9c78a07d265be8540b3e58b0801a124d07ff12b438d5202ea0",
        message: "d69cfc64f84d4f33e4c54e166b7ff9283a394986a539b23987a10f39d2d9689b",
        context: "0121cb32acd1871135cb34e29c1a0e26",
        public_key_sha256: "943aafe0f0b4c5ecfcea9a44fd6db6810648a75bb7172869d1f0559c00963893",
        signature_sha256: "1230c8a0117600d246e0514a1738194899163e88a3f7b6554860f576c6e88f93",
    },
    Signed {
        set: P87,
        seed: "1eaae6bb91b27cd748c402c4111140d5a942cf3c95ff7977f88d2ef515bb26d0",
        message: "63470357110828f25b23edc80ed280ecd398a9f53251c3332754de2af0b15e901a43ac1d7f898991f0e86b404a1e2ab2",
        context: "01f985e18f93d8cdee7c3e4b428c8358",
        public_key_sha256: "ee938aadfe7b4a1cc21331afbf3395612eff6ea67e8705132561b2f84d0b0f43",
        signature_sha256: "9bd9749fd8909b117bbcc2d8d113bb714308c43e67e2e7707bf2c22e40aa751a",
    },
];
