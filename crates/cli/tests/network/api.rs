//! A client for one node that shares nothing with it but the contract.

use std::time::Duration;

use serde_json::Value;

/// Longer than any healthy answer takes on a busy machine, short enough to notice a stopped node.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The API of one node.
#[derive(Clone)]
pub struct Api {
    url: String,
    agent: ureq::Agent,
}

impl Api {
    pub fn new(url: String) -> Self {
        // Nodes are killed and come back at the same address: no connection is kept.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_TIMEOUT))
            .http_status_as_error(false)
            .max_idle_connections(0)
            .build();
        Self { url, agent: config.new_agent() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the node says; an error if it says no or nothing.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        answer(self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// What a node that is up says. A moment of silence is forgiven, a refusal is not.
    pub fn must_get(&self, path: &str) -> Value {
        let mut last = String::new();
        for _ in 0..10 {
            match self.get(path) {
                Ok(found) => return found,
                Err(error) => last = error,
            }
            crate::patience::pause(Duration::from_millis(100));
        }
        panic!("{}{path}: {last}", self.url);
    }

    /// The samples of a counter: their labels as they are written, and their values.
    pub fn samples(&self, counter: &str) -> Vec<(String, u64)> {
        let called = self.agent.get(format!("{}/metrics", self.url)).call();
        let text = called.unwrap().body_mut().read_to_string().unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix(counter)?.split_once('}'));
        let samples = lines.filter_map(|(labels, value)| {
            Some((labels.strip_prefix('{')?.to_owned(), value.trim().parse().ok()?))
        });
        samples.collect()
    }

    /// Hands bytes in; the status and what was answered.
    pub fn post(&self, path: &str, media_type: &str, bytes: &[u8]) -> Result<(u16, Value), String> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let called = request.header("Content-Type", media_type).send(bytes);
        let mut response = called.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        Ok((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
    }

    /// Hands a transaction in; an error names why it was not taken.
    pub fn submit(&self, transaction: &[u8]) -> Result<(), String> {
        match self.post("/v1/transactions", "application/octet-stream", transaction)? {
            (200..=299, _) => Ok(()),
            (status, body) => Err(format!("{status}: {body}")),
        }
    }

    pub fn is_ready(&self) -> bool {
        self.get("/ready").is_ok()
    }

    /// How far the node knows the chain to be final; nothing if it does not answer.
    pub fn certified_height(&self) -> Option<u64> {
        self.get("/v1/status").ok()?["certified_height"].as_u64()
    }
}

fn answer(called: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    let mut response = called.map_err(|error| error.to_string())?;
    let limited = response.body_mut().with_config().limit(64 << 20);
    let body = limited.read_to_string().map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("{}: {body}", response.status()));
    }
    serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))
}
