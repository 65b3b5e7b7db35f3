use super::*;

#[test]
fn an_endpoint_is_a_host_and_a_port() {
    for good in ["a:1", "validator.example:7400", "10.0.0.1:65535", "[::1]:80"] {
        check_endpoint("x", good).unwrap();
    }
    for bad in ["", ":", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "::1:80", "[::1]", "a b:1"] {
        check_endpoint("x", bad).unwrap_err();
    }
}
