//! Known answers for SLH-DSA.

use super::super::ParameterSet::{self, F128, S128, S192, S256};

/// Key generation of NIST's ACVP server (SLH-DSA-keyGen-FIPS205, vector set 53):
/// parameter set, SK.seed, SK.prf, PK.seed, public key.
pub(super) const KEY_GENERATION: &[(ParameterSet, &str, &str, &str, &str)] = &[
    (
        S128,
        "173d04c938c1c36bf289c3c022d04b14",
        "63ae23c41aa546da589774ac20b745c4",
        "0d794777914c99766827f0f09ca972be",
        "0d794777914c99766827f0f09ca972be0162c10219d422adba1359e6aa65299c",
    ),
    (
        S128,
        "91c7f86881416d5d3e0ec46aa9c35047",
        "506332adcbded3f2836dd7edc30aea0c",
        "bbbfeed9ad96af5d8cb4e876bbeb07d1",
        "bbbfeed9ad96af5d8cb4e876bbeb07d11b4ea0a9eb42b9e7d2dbc2365f39e1dc",
    ),
    (
        F128,
        "c42bcb3b5a6f331f5cce899253c6d9e2",
        "9ff2b7ead7a04bab1794db8cc659c3b4",
        "a868f1bd5debc12d4c9fad66aabd0a94",
        "a868f1bd5debc12d4c9fad66aabd0a94b546df247be4c457f3d467cdfcfabd39",
    ),
    (
        F128,
        "e1acd07be2b06f36ebc979e81c976e19",
        "a0d54bab090466be7003a0ccc8ac4a69",
        "9f838b251aaa42134dcacec5bc86353e",
        "9f838b251aaa42134dcacec5bc86353ec61b9d6750093b32c343a0d2ed4c7194",
    ),
    (
        F128,
        "e71bbee0a9368fe92e8d9408e44d39f6",
        "caf934395a05fd314df287dc4f4bff20",
        "5b46cdce4e6ad8cc9dd6256cef916adb",
        "5b46cdce4e6ad8cc9dd6256cef916adb20f5f0463b626060d27c46e30cef61a1",
    ),
    (
        F128,
        "8d80faa473fd553ed8703fae9d7d4e00",
        "b3eb5c2b9fc4cbec0d18158b75652c47",
        "8e8c4b38cc698170fe6ed68ae02edcc6",
        "8e8c4b38cc698170fe6ed68ae02edcc62a09eefe5ceb18ea292fa71234f48bae",
    ),
    (
        S192,
        "040266529c1864088925506c20a624a2b6d50cd77c1c6f0d",
        "2841150ae8157512ef34a343ffea77ff7d9e814b45a8b414",
        "64462665f4202886206a8f632267186ca6a1cad08a2b9a86",
        "64462665f4202886206a8f632267186ca6a1cad08a2b9a862c6a7bc4ac4aaa84accef60d529f0311274f205e8da642c9",
    ),
    (
        S192,
        "141d0c84c954285a13c8c199bf7f22ec6f51e6c5e7eea78b",
        "1b4ba2327f37db4e5096b6600f3790846eced8f8f5a92dac",
        "a3b3b889083b105313775b3d983ada8a7f8f658a287bcdd0",
        "a3b3b889083b105313775b3d983ada8a7f8f658a287bcdd051009ec3b18c1c3834ecf8d16984f800df6637e87eea6dcc",
    ),
    (
        S256,
        "fcbf36a9807b30697be063a5105e091b412a391dd39e1326eba23cbd4096ca77",
        "ef4121c08dd71be913572f1f91e57d0acbcd5cec28539ac275832bbaa6c11081",
        "a0b4f5549ebcadb951dc2e512c76b0620d8fb8100b4ee886ef8784780d52a254",
        "a0b4f5549ebcadb951dc2e512c76b0620d8fb8100b4ee886ef8784780d52a2543e57ab494d47068ffee4b8244aad6f19cdf94a2172bd134a15a6b5f298d5a80e",
    ),
    (
        S256,
        "193502da96d50068bb0e6968bbb03cae4f7a3b60efe4a799c40e1a9e438f55ef",
        "97ea77459edbd4478600a2f3b13b94aee3188b798d4f9d53ef269edc89c7fa37",
        "dbaa88c3074140f9952584c745e7f2e7dc418019ca67c1150f73f17465b8cb72",
        "dbaa88c3074140f9952584c745e7f2e7dc418019ca67c1150f73f17465b8cb7273c48f2e66716d43b1817fcab60d079578deb6467ed4eb8c760ec8cb22d8424a",
    ),
];
