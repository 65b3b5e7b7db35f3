//! A network namespace for each node, joined by bridges in one more namespace.
//!
//! ```text
//!  node i:  eth0 198.18.0.(i+1) --- bridge `one` (or, cut off, bridge `two`)
//!           api  198.19.R.(i+1) --- bridge `api` --- the test, 198.19.R.254
//! ```
//!
//! Nodes reach one another over the first bridge only, the test reaches them over the other, so
//! that it sees both sides of a partition. R is the test's row of ports, which nobody else uses.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::network::{Ports, VALIDATORS};

const PORT: u16 = 7400;

/// The namespaces of one network. Dropping it deletes them.
pub struct Namespaces {
    row: u16,
}

impl Namespaces {
    /// Makes them; an error says why that is not possible here.
    pub fn create(ports: &Ports) -> Result<Self, String> {
        let made = Self { row: ports.row() };
        // Left by a test that was killed, and ours by the claim of the row.
        made.delete();
        made.build()?;
        Ok(made)
    }

    fn build(&self) -> Result<(), String> {
        let (hub, row) = (self.hub(), self.row);
        ip(&format!("netns add {hub}"))?;
        for bridge in ["one", "two", "api"] {
            ip(&format!("-n {hub} link add {bridge} type bridge"))?;
            ip(&format!("-n {hub} link set {bridge} up"))?;
        }
        ip(&format!("link add qcn{row} type veth peer name test netns {hub}"))?;
        ip(&format!("addr add 198.19.{row}.254/24 dev qcn{row}"))?;
        ip(&format!("link set qcn{row} up"))?;
        ip(&format!("-n {hub} link set test master api up"))?;
        for at in 0..VALIDATORS {
            let node = self.name(at);
            ip(&format!("netns add {node}"))?;
            ip(&format!("-n {node} link set lo up"))?;
            for (link, bridge, address) in [
                ("eth0", "one", format!("198.18.0.{}/24", at + 1)),
                ("api", "api", format!("198.19.{row}.{}/24", at + 1)),
            ] {
                ip(&format!(
                    "-n {hub} link add {link}-{at} type veth peer name {link} netns {node}"
                ))?;
                ip(&format!("-n {hub} link set {link}-{at} master {bridge} up"))?;
                ip(&format!("-n {node} addr add {address} dev {link}"))?;
                ip(&format!("-n {node} link set {link} up"))?;
            }
        }
        Ok(())
    }

    pub fn name(&self, at: usize) -> String {
        format!("qcn{}-{at}", self.row)
    }

    fn hub(&self) -> String {
        format!("qcn{}-hub", self.row)
    }

    /// Where the others reach a node, and where the test does.
    pub fn addresses(&self, at: usize) -> (SocketAddr, SocketAddr) {
        let host = at as u8 + 1;
        let api = Ipv4Addr::new(198, 19, self.row as u8, host);
        ((Ipv4Addr::new(198, 18, 0, host), PORT).into(), (api, PORT).into())
    }

    /// Plugs the second half of the nodes into a bridge of their own, or back.
    pub fn set_cut(&self, is_cut: bool) {
        let bridge = if is_cut { "two" } else { "one" };
        for at in VALIDATORS / 2..VALIDATORS {
            ip(&format!("-n {} link set eth0-{at} master {bridge}", self.hub())).unwrap();
        }
    }

    /// Has the kernel hold every packet between nodes for so long, and lose some.
    pub fn set_delay_and_loss(&self, delay: Duration, lost_per_mille: u64) -> Result<(), String> {
        for at in 0..VALIDATORS {
            let (node, delay) = (self.name(at), delay.as_millis());
            let loss = lost_per_mille as f64 / 10.0;
            run(
                "tc",
                &format!(
                    "-n {node} qdisc replace dev eth0 root netem delay {delay}ms loss {loss}% limit 10000"
                ),
            )?;
        }
        Ok(())
    }

    fn delete(&self) {
        for name in (0..VALIDATORS).map(|at| self.name(at)).chain([self.hub()]) {
            let _ = ip(&format!("netns del {name}"));
        }
        let _ = ip(&format!("link del qcn{}", self.row));
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.delete();
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &str) -> Result<(), String> {
    let ran = Command::new(program).args(arguments.split(' ')).output();
    let output = ran.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
