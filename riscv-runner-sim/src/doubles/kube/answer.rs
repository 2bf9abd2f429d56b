//! What the API answers: every verb on every kind, with the refusals of a real server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Shared,
    address::Address,
    faults::Verb,
    locked,
    objects::{World, stamp, typed},
    patch::{self, PatchKind},
    pods,
    refusal::Refusal,
    selector::Selector,
    watching::{self, Order},
};

/// A request that was read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) verb: Verb,
    pub(super) address: Address,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Option<Value>,
    pub(super) headers: HeaderMap,
}

impl Ask {
    fn param(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.param(key).parse().ok()
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn name(&self) -> Result<&str, Refusal> {
        self.address.name.as_deref().ok_or_else(|| Refusal::new(405, "this needs the name of an object"))
    }

    fn body(&self) -> Result<&Value, Refusal> {
        self.body.as_ref().ok_or_else(|| Refusal::new(400, "the body is not JSON"))
    }

    fn selector(&self) -> Result<Selector, Refusal> {
        let (labels, fields) = (self.param("labelSelector"), self.param("fieldSelector"));
        Selector::parse(self.address.kind, &self.address.namespace, labels, fields)
    }

    fn stored(&self, world: &World) -> Result<Arc<Value>, Refusal> {
        let name = self.name()?;
        let resource = self.address.kind.resource;
        world.get(resource, &self.address.namespace, name).ok_or_else(|| Refusal::not_found(resource, name))
    }

    fn store(&self, world: &mut World, object: Value) -> Result<Response, Refusal> {
        let name = self.name()?;
        let stored = world.update(self.address.kind.resource, &self.address.namespace, name, object);
        Ok(Json(typed(self.address.kind, &stored)).into_response())
    }
}

/// Does what is asked and wakes the watches.
pub(super) fn answer(shared: &Arc<Shared>, ask: &Ask) -> Result<Response, Refusal> {
    if ask.verb == Verb::Watch {
        return watch(shared, ask);
    }
    let mut world = locked(&shared.world);
    let response = match (ask.verb, ask.address.part.as_deref()) {
        (Verb::List, None) => list(&world, ask),
        (Verb::Get, None) => Ok(Json(typed(ask.address.kind, &*ask.stored(&world)?)).into_response()),
        (Verb::Get, Some("log")) => log(&world, ask),
        (Verb::Create, None) => create(shared, &mut world, ask),
        (Verb::Create, Some("binding")) => bind(&mut world, ask),
        (Verb::Update | Verb::Patch, None | Some("status")) => change(&mut world, ask),
        (Verb::Delete, None) => delete(shared, &mut world, ask),
        _ => Err(Refusal::new(405, "the server does not allow this method on the requested resource")),
    };
    shared.version.send_replace(world.version());
    response
}

fn list(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let kind = ask.address.kind;
    let metadata_only = ask.header(header::ACCEPT).contains("as=PartialObjectMetadataList");
    let objects = world.list(kind, &ask.selector()?);
    let items: Vec<Value> = objects
        .iter()
        .map(
            |object| {
                if metadata_only { json!({ "metadata": object["metadata"] }) } else { (**object).clone() }
            },
        )
        .collect();
    let (kind, version) = if metadata_only {
        ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1")
    } else {
        (kind.kind.to_owned(), "v1")
    };
    Ok(Json(json!({
        "kind": format!("{kind}List"), "apiVersion": version,
        "metadata": { "resourceVersion": world.version().to_string() }, "items": items,
    }))
    .into_response())
}

fn watch(shared: &Arc<Shared>, ask: &Ask) -> Result<Response, Refusal> {
    let order = Order {
        kind: ask.address.kind,
        selector: ask.selector()?,
        version: ask.number("resourceVersion").unwrap_or(0),
        bookmarks: ask.param("allowWatchBookmarks") == "true",
        initial_events: ask.param("sendInitialEvents") == "true",
        timeout: Duration::from_secs(ask.number("timeoutSeconds").unwrap_or(1800)),
    };
    let body = Body::from_stream(watching::lines(Arc::clone(shared), order));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn create(shared: &Shared, world: &mut World, ask: &Ask) -> Result<Response, Refusal> {
    let Address { kind, namespace, .. } = &ask.address;
    let mut object = ask.body()?.clone();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    check_metadata(&object)?;
    if kind.namespaced && world.get("namespaces", "", namespace).is_none() {
        return Err(Refusal::not_found("namespaces", namespace));
    }
    if world.get(kind.resource, namespace, &name).is_some() {
        return Err(Refusal::already_exists(kind.resource, &name));
    }
    match kind.resource {
        "pods" => {
            pods::admit(&mut object)?;
            let exists = |secret: &str| world.get("secrets", namespace, secret).is_some();
            locked(&shared.violations).extend(pods::misuse(&object, exists));
        }
        "secrets" => encode_secret(&mut object),
        _ => {}
    }
    let stored = world.insert(kind.resource, namespace, &name, object);
    Ok((StatusCode::CREATED, Json(typed(kind, &stored))).into_response())
}

fn check_metadata(object: &Value) -> Result<(), Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    if name.is_empty() || name.len() > 253 || !name.bytes().all(fits) {
        return Err(Refusal::invalid("metadata.name", format!("{name:?} is not a valid name")));
    }
    for (key, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or("?!");
        let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let ends = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
        let value_fits = text.len() <= 63 && text.bytes().all(inside);
        if !value_fits || !ends(text.bytes().next()) || !ends(text.bytes().last()) {
            return Err(Refusal::invalid("metadata.labels", format!("{key}: {text:?} is not a valid value")));
        }
    }
    Ok(())
}

/// `stringData` is written, never read.
fn encode_secret(secret: &mut Value) {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|fields| fields.remove("stringData"))
    else {
        return;
    };
    for (key, text) in texts {
        secret["data"][key] = BASE64_STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
}

fn bind(world: &mut World, ask: &Ask) -> Result<Response, Refusal> {
    if ask.address.kind.resource != "pods" {
        return Err(Refusal::new(405, "only pods are bound"));
    }
    let mut pod = (*ask.stored(world)?).clone();
    pods::bind(&mut pod, ask.body()?)?;
    drop(ask.store(world, pod)?);
    Ok((
        StatusCode::CREATED,
        Json(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201 })),
    )
        .into_response())
}

/// Updates and patches, of the object or of its status.
fn change(world: &mut World, ask: &Ask) -> Result<Response, Refusal> {
    let before = ask.stored(world)?;
    let mut after = if ask.verb == Verb::Patch {
        let Some(kind) = PatchKind::of(ask.header(header::CONTENT_TYPE)) else {
            return Err(Refusal::new(415, "only merge patches and strategic merge patches are taken"));
        };
        let mut after = (*before).clone();
        patch::apply(&mut after, ask.body()?, kind);
        after
    } else {
        ask.body()?.clone()
    };
    check_identity(&before, &mut after)?;
    let status_only = ask.address.part.is_some();
    if status_only {
        let mut kept = (*before).clone();
        kept["status"] = after["status"].take();
        after = kept;
    } else {
        after["status"] = before["status"].clone();
        check_metadata(&after)?;
        match ask.address.kind.resource {
            "pods" => pods::check_update(&before, &after)?,
            "secrets" => encode_secret(&mut after),
            _ => {}
        }
    }
    if after["status"].is_null()
        && let Some(fields) = after.as_object_mut()
    {
        fields.remove("status");
    }
    ask.store(world, after)
}

/// What identifies an object cannot change, and a version that is given must be the current one.
fn check_identity(before: &Value, after: &mut Value) -> Result<(), Refusal> {
    let (old, new) = (&before["metadata"], &mut after["metadata"]);
    let version = &new["resourceVersion"];
    if !version.is_null() && *version != old["resourceVersion"] {
        let message =
            "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refusal::new(409, message));
    }
    for field in ["uid", "name", "namespace", "creationTimestamp"] {
        if new[field].is_null() {
            new[field] = old[field].clone();
        }
        if new[field] != old[field] {
            return Err(Refusal::invalid(&format!("metadata.{field}"), "field is immutable"));
        }
    }
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "namespace"] {
        if old[field].is_null() {
            new.as_object_mut().map(|fields| fields.remove(field));
        } else {
            new[field] = old[field].clone();
        }
    }
    Ok(())
}

fn delete(shared: &Shared, world: &mut World, ask: &Ask) -> Result<Response, Refusal> {
    let object = ask.stored(world)?;
    let (name, resource) = (ask.name()?, ask.address.kind.resource);
    let options = ask.body.clone().unwrap_or_default();
    let wanted = &options["preconditions"];
    for field in ["uid", "resourceVersion"] {
        if !wanted[field].is_null() && wanted[field] != object["metadata"][field] {
            let message = format!("Precondition failed: {field} in precondition: {}", wanted[field]);
            return Err(Refusal::new(409, message));
        }
    }
    if resource == "pods" && wanted["uid"].is_null() {
        locked(&shared.violations).push(format!("pod {name} is deleted whatever its uid"));
    }
    let asked =
        options["gracePeriodSeconds"].as_i64().or_else(|| ask.param("gracePeriodSeconds").parse().ok());
    let grace = if resource == "pods" { pods::grace_seconds(&object, asked) } else { 0 };
    if grace == 0 {
        world.remove(resource, &ask.address.namespace, name);
        let mut last = typed(ask.address.kind, &object);
        if resource == "pods" {
            last["metadata"]["deletionGracePeriodSeconds"] = 0.into();
            last["metadata"]["deletionTimestamp"] = stamp().into();
        }
        return Ok(Json(last).into_response());
    }
    let mut ending = (*object).clone();
    if ending["metadata"]["deletionTimestamp"].is_null() {
        ending["metadata"]["deletionTimestamp"] = stamp().into();
        ending["metadata"]["deletionGracePeriodSeconds"] = grace.into();
    }
    ask.store(world, ending)
}

fn log(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let pod = ask.stored(world)?;
    let container = ask.param("container");
    let statuses = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    let started = statuses.iter().any(|status| {
        let state = &status["state"];
        (container.is_empty() || status["name"] == container)
            && (!state["running"].is_null() || !state["terminated"].is_null())
    });
    if !started {
        let message = format!("container {container:?} in pod {:?} is waiting to start", ask.name()?);
        return Err(Refusal::new(400, message));
    }
    let key = (ask.name()?.to_owned(), container.to_owned());
    let text = world.logs.get(&key).map_or("", String::as_str);
    let n_lines = text.lines().count();
    let skip = ask
        .number("tailLines")
        .map_or(0, |tail| n_lines.saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX)));
    let mut tail: Vec<u8> = text.split_inclusive('\n').skip(skip).collect::<String>().into_bytes();
    if let Some(limit) = ask.number("limitBytes") {
        tail.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(([(header::CONTENT_TYPE, "text/plain")], tail).into_response())
}
