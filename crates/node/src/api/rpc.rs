//! JSON-RPC 2.0 over the same answers as REST.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use qcn_crypto::Digest;
use qcn_types::{Address, Epoch, ShardId, TransactionId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::bodies::{BodyKind, JSON, digest, number};
use super::problem::{Problem, ProblemBody};
use super::shared::{Hub, OfShard, Shared, ask};
use super::submit::{submit_one, transaction_from_hex, whole_body};
use super::{accounts, beacon, chain, epochs, node, receipt_proof, search, shards, transactions};

/// The most requests in one batch.
const MAX_REQUESTS: usize = 64;

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
const METHOD_NOT_FOUND: i32 = -32_601;
const INVALID_PARAMS: i32 = -32_602;
/// The answer is a refusal, whose code is in the error's data.
const REFUSED: i32 = -32_000;

/// A request.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RpcRequest {
    /// `2.0`.
    pub jsonrpc: String,
    /// Such as `qcn_status`.
    pub method: String,
    /// By name.
    #[schema(value_type = Option<Object>)]
    pub params: Option<Value>,
    /// Text, number or null; without one nothing is answered.
    #[expect(dead_code, reason = "read before, where a missing one differs from null")]
    #[schema(value_type = Option<Object>)]
    pub id: Option<Value>,
}

/// A response: with a result or an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct RpcResponse {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RpcError>,
    #[schema(value_type = Option<Object>)]
    id: Value,
}

/// Why there is no result.
#[derive(Debug, Serialize, ToSchema)]
pub struct RpcError {
    code: i32,
    message: String,
    /// `code` and `remedy` as REST has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
}

impl RpcError {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

impl From<Problem> for RpcError {
    fn from(problem: Problem) -> Self {
        let code = match problem.code {
            "malformed" => INVALID_PARAMS,
            _ => REFUSED,
        };
        let data = json!({ "code": problem.code, "remedy": problem.remedy });
        Self { code, message: problem.message, data: Some(data) }
    }
}

/// JSON-RPC 2.0: one request or up to 64, with params by name. Once the answers of a batch have 8
/// MiB, the requests after that are not carried out and answered with an error. Methods:
/// `qcn_status`, `qcn_validators`, `qcn_peers`, `qcn_genesis`, `qcn_shards`, `qcn_beacon`,
/// `qcn_epochs{limit, before, resharded}`, `qcn_committee{epoch}`, `qcn_checkpoints{limit, before}`,
/// `qcn_checkpoint{height}`, `qcn_checkpointProof{height}`, `qcn_blocks{epoch, from_round, to_round}`,
/// `qcn_block{digest}`, `qcn_evidence{limit, before}`, `qcn_evidenceProof{digest}`,
/// `qcn_transactions{limit, before}`, `qcn_transaction{id}`, `qcn_transactionProof{id}`,
/// `qcn_receiptProof{id}`, `qcn_account{address}`, `qcn_accountProof{address}`,
/// `qcn_accountTransactions{address, limit, before}`, `qcn_supply`, `qcn_search{q}`,
/// `qcn_submit{transaction}`. Those about a shard take `shard`, too, for another shard of the node
/// than its first; `qcn_peers`, `qcn_genesis`, `qcn_shards`, `qcn_beacon` and `qcn_epochs` are about
/// the node, and are answered where it has no seat in any shard.
#[utoipa::path(post, path = "/rpc", tag = "rpc", request_body = RpcRequest, responses(
    (status = 200, body = RpcResponse), (status = 204, description = "notifications only"),
    (status = 413, body = ProblemBody), (status = 415, body = ProblemBody)))]
pub async fn rpc(
    State(hub): State<Arc<Hub>>,
    of_path: Result<OfShard, Problem>,
    kind: BodyKind,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    if kind != BodyKind::Json {
        return Err(Problem::wrong_media_type(JSON));
    }
    let body = whole_body(body, hub.config.limits.body_bytes)?;
    let asked = Asked { hub, of_path: of_path.map(|OfShard(shared)| shared) };
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        let error = RpcError::new(PARSE_ERROR, "the body is not JSON");
        return Ok(Json(response(Value::Null, Err(error))).into_response());
    };
    let Value::Array(requests) = value else {
        let answer = answer(&asked, value).await;
        return Ok(answer.map_or_else(nothing, |answer| Json(answer).into_response()));
    };
    if requests.is_empty() || requests.len() > MAX_REQUESTS {
        let message = format!("a batch has 1 to {MAX_REQUESTS} requests");
        let error = RpcError::new(INVALID_REQUEST, message);
        return Ok(Json(response(Value::Null, Err(error))).into_response());
    }
    batch(&asked, requests).await
}

/// What a call may be about.
struct Asked {
    hub: Arc<Hub>,
    /// The shard of the path, or why there is none.
    of_path: Result<Arc<Shared>, Problem>,
}

/// Answers requests one after the other. Their answers are held as the text that is sent, up to a
/// bound; what comes after that is not carried out.
async fn batch(asked: &Asked, requests: Vec<Value>) -> Result<Response, Problem> {
    let limit_bytes = asked.hub.config.limits.rpc_answers_bytes;
    let mut answers = Vec::new();
    for request in requests {
        let answer = if answers.len() < limit_bytes {
            answer(asked, request).await
        } else {
            no_room(&request, limit_bytes)
        };
        let Some(answer) = answer else {
            continue;
        };
        answers.push(if answers.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut answers, &answer).map_err(|_| not_encoded())?;
    }
    if answers.is_empty() {
        return Ok(nothing());
    }
    answers.push(b']');
    Ok(([(header::CONTENT_TYPE, "application/json")], answers).into_response())
}

/// The answer to a request that comes after too much was answered.
fn no_room(request: &Value, limit_bytes: usize) -> Option<RpcResponse> {
    let id = request.get("id")?;
    let id = if is_id(id) { id.clone() } else { Value::Null };
    let message = format!("not carried out: the batch's answers have {limit_bytes} bytes already");
    let remedy = "send fewer calls in a batch: this one and those after it in another";
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_much_asked", message, remedy);
    Some(response(id, Err(problem.into())))
}

fn is_id(id: &Value) -> bool {
    matches!(id, Value::Null | Value::String(_) | Value::Number(_))
}

fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The answer to a request; nothing to a notification.
async fn answer(asked: &Asked, request: Value) -> Option<RpcResponse> {
    // An id that is null is an id, a missing one makes a notification.
    let has_id = request.get("id").is_some();
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    let invalid = |message: &str| {
        let error = RpcError::new(INVALID_REQUEST, message);
        Some(response(Value::Null, Err(error)))
    };
    let Ok(request) = serde_json::from_value::<RpcRequest>(request) else {
        return invalid("the request is not of the form of JSON-RPC 2.0");
    };
    if request.jsonrpc != "2.0" {
        return invalid("jsonrpc must be 2.0");
    }
    if !is_id(&id) {
        return invalid("the id must be text, a number or null");
    }
    let result = match request.params {
        None => call(asked, &request.method, Map::new()).await,
        Some(Value::Object(params)) => call(asked, &request.method, params).await,
        Some(_) => Err(RpcError::new(INVALID_PARAMS, "give the params by name")),
    };
    has_id.then(|| response(id, result))
}

fn response(id: Value, result: Result<Value, RpcError>) -> RpcResponse {
    let (result, error) = match result {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    };
    RpcResponse { jsonrpc: "2.0", result, error, id }
}

async fn call(
    asked: &Asked,
    method: &str,
    mut params: Map<String, Value>,
) -> Result<Value, RpcError> {
    if let Some((_, names, read)) = OF_NODE.iter().find(|(name, ..)| *name == method) {
        check_names(method, names, &params)?;
        let answer = ask(Arc::clone(&asked.hub), move |hub| read(hub, params));
        return Ok(answer.await?);
    }
    if method == "qcn_submit" {
        let shared = of_shard(asked, &mut params)?;
        check_names(method, &["transaction"], &params)?;
        let transaction = transaction_from_hex(&text(&params, "transaction")?)?;
        let id = submit_one(&shared, transaction).await?;
        return Ok(json!({ "id": id.to_string() }));
    }
    let Some((_, names, read)) = OF_SHARD.iter().find(|(name, ..)| *name == method) else {
        return Err(RpcError::new(METHOD_NOT_FOUND, "there is no such method"));
    };
    let shared = of_shard(asked, &mut params)?;
    check_names(method, names, &params)?;
    let answer = ask(shared, move |shared| read(shared, params));
    Ok(answer.await?)
}

fn check_names(method: &str, names: &[&str], params: &Map<String, Value>) -> Result<(), RpcError> {
    if params.keys().all(|name| names.contains(&name.as_str())) {
        return Ok(());
    }
    let message = match names {
        [] => format!("{method} has no such params"),
        _ => format!("the params of {method} are: {}", names.join(", ")),
    };
    Err(RpcError::new(INVALID_PARAMS, message))
}

/// The shard that a call is about: that of its param `shard`, else that of the path.
fn of_shard(asked: &Asked, params: &mut Map<String, Value>) -> Result<Arc<Shared>, RpcError> {
    match params.remove("shard") {
        None => Ok(asked.of_path.clone()?),
        Some(value) => match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Arc::new(asked.hub.of_shard(ShardId(number))?)),
            None => Err(RpcError::new(INVALID_PARAMS, "give the shard as a number")),
        },
    }
}

/// Answers a call that only reads, whose params have the right names.
type Read<Of> = fn(&Of, Map<String, Value>) -> Result<Value, Problem>;

/// The methods about the node, with the params that each takes.
const OF_NODE: &[(&str, &[&str], Read<Hub>)] = &[
    ("qcn_peers", &[], |hub, _| to_value(node::peers_body(hub))),
    ("qcn_genesis", &[], |hub, _| {
        serde_json::from_str(&hub.config.genesis_json).map_err(|_| not_encoded())
    }),
    ("qcn_shards", &[], |hub, _| to_value(shards::shards_body(hub))),
    ("qcn_beacon", &[], |hub, _| to_value(beacon::beacon_body(hub)?)),
    ("qcn_epochs", &["limit", "before", "resharded"], |hub, params| {
        to_value(epochs::epochs_body(hub, &query(params)?)?)
    }),
];

/// The methods about a shard that only read.
const OF_SHARD: &[(&str, &[&str], Read<Shared>)] = &[
    ("qcn_status", &[], |shared, _| to_value(node::status_body(shared))),
    ("qcn_validators", &[], |shared, _| to_value(node::validators_body(shared))),
    ("qcn_committee", &["epoch"], |shared, params| {
        let epoch = Epoch(number(&text(&params, "epoch")?)?);
        to_value(epochs::committee_body(shared, epoch)?)
    }),
    ("qcn_checkpoints", &["limit", "before"], |shared, params| {
        to_value(chain::checkpoints_body(shared, &query(params)?)?)
    }),
    ("qcn_checkpoint", &["height"], |shared, params| {
        to_value(chain::checkpoint_body(shared, &text(&params, "height")?)?)
    }),
    ("qcn_checkpointProof", &["height"], |shared, params| {
        to_value(chain::checkpoint_document(shared, &text(&params, "height")?)?)
    }),
    ("qcn_blocks", &["epoch", "from_round", "to_round"], |shared, params| {
        to_value(chain::blocks_body(shared, &query(params)?)?)
    }),
    ("qcn_block", &["digest"], |shared, params| {
        to_value(chain::full_block_body(shared, named(&params, "digest")?)?)
    }),
    ("qcn_evidence", &["limit", "before"], |shared, params| {
        to_value(chain::evidences_body(shared, &query(params)?)?)
    }),
    ("qcn_evidenceProof", &["digest"], |shared, params| {
        to_value(chain::evidence_document(shared, named(&params, "digest")?)?)
    }),
    ("qcn_transactions", &["limit", "before"], |shared, params| {
        to_value(transactions::newest_body(shared, &query(params)?)?)
    }),
    ("qcn_transaction", &["id"], |shared, params| {
        let id = TransactionId(named(&params, "id")?);
        to_value(transactions::transaction_body(shared, id)?)
    }),
    ("qcn_transactionProof", &["id"], |shared, params| {
        let id = TransactionId(named(&params, "id")?);
        to_value(transactions::transaction_document(shared, id)?)
    }),
    ("qcn_receiptProof", &["id"], |shared, params| {
        let id = TransactionId(named(&params, "id")?);
        to_value(receipt_proof::receipt_document(shared, id)?)
    }),
    ("qcn_account", &["address"], |shared, params| {
        let address = Address(named(&params, "address")?);
        to_value(accounts::account_body(&shared.of_address(&address)?, address)?)
    }),
    ("qcn_accountProof", &["address"], |shared, params| {
        let address = Address(named(&params, "address")?);
        to_value(accounts::account_document(&shared.of_address(&address)?, address)?)
    }),
    ("qcn_accountTransactions", &["address", "limit", "before"], |shared, mut params| {
        let address = Address(named(&params, "address")?);
        params.remove("address");
        let (shared, query) = (shared.of_address(&address)?, query(params)?);
        to_value(transactions::account_transactions_body(&shared, address, &query)?)
    }),
    ("qcn_supply", &[], |shared, _| to_value(accounts::supply_body(shared)?)),
    ("qcn_search", &["q"], |shared, params| {
        to_value(search::search_body(shared, &text(&params, "q")?)?)
    }),
];

/// A param as text; numbers may be given as such.
fn text(params: &Map<String, Value>, name: &str) -> Result<String, Problem> {
    match params.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(Problem::malformed(format!("the param {name} is missing"), "give it as text")),
    }
}

/// A param that is the name of something: 64 hexadecimal digits.
fn named(params: &Map<String, Value>, name: &str) -> Result<Digest, Problem> {
    text(params, name).and_then(|text| digest(&text))
}

/// Which part of a list is asked for; the names of the params were checked before.
fn query<Query: DeserializeOwned>(params: Map<String, Value>) -> Result<Query, Problem> {
    // A place in a list is text or a number, and may be given as either.
    let otherwise = params.get("before").and_then(|before| match before {
        Value::Number(number) => Some(number.to_string().into()),
        Value::String(text) => Some(text.parse::<u64>().ok()?.into()),
        _ => None,
    });
    let retry = otherwise.map(|before: Value| {
        let mut params = params.clone();
        params.insert("before".to_owned(), before);
        params
    });
    let read = |params| serde_json::from_value(Value::Object(params));
    read(params).or_else(|error| retry.and_then(|it| read(it).ok()).ok_or(error)).map_err(|error| {
        let remedy = "give `limit` and rounds as numbers, and `before` as the answer before has it";
        Problem::malformed(format!("the params are wrong: {error}"), remedy)
    })
}

fn to_value(body: impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(body).map_err(|_| not_encoded())
}

fn not_encoded() -> Problem {
    Problem::unavailable("failed", "encoding failed")
}
