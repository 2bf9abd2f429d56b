//! Who asks: App tokens (checked to the signature) and installation tokens (issued here).

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::HeaderMap;
use jiff::{Timestamp, ToSpan as _};
use ring::{
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use riscv_runner_core::entity::EntityKind;
use serde::Deserialize;
use serde_json::json;

use super::{
    Shared, installations, locked,
    reply::Reply,
    world::{Granted, World},
};

/// GitHub tolerates clocks that are a little ahead.
const DRIFT: i64 = 60;
/// GitHub refuses App tokens that end later than this.
const LONGEST_LIFE: i64 = 600;

/// The public half of an App's key (DER).
#[derive(Debug, Clone)]
pub(super) struct PublicKey(Vec<u8>);

impl PublicKey {
    pub(super) fn of_private_pem(pem: &str) -> Result<Self, String> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(body).map_err(|error| format!("not PEM: {error}"))?;
        let pair = KeyPair::from_der(&der)
            .or_else(|_| KeyPair::from_pkcs8(&der))
            .map_err(|error| error.to_string())?;
        Ok(Self(pair.public_key().as_ref().to_vec()))
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(message, signature).is_ok()
    }
}

/// Who asks, once it is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    App(i64),
    Installation(i64),
}

impl Asker {
    /// The key of its hourly budget.
    pub(super) const fn payer(self) -> i64 {
        match self {
            Self::App(id) => -id,
            Self::Installation(id) => id,
        }
    }
}

#[derive(Deserialize)]
struct JwtHeader {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: serde_json::Value,
}

/// Proves who asks, or answers 401.
pub(super) fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<Asker, Reply> {
    let refused = |why: &str| Err(Reply::message(401, why));
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("token ")));
    let Some(bearer) = bearer else {
        shared.violation("a request without Authorization");
        return refused("Requires authentication");
    };
    let now = shared.now();
    let world = locked(&shared.world);
    if bearer.matches('.').count() == 2 {
        return app(&world, bearer, now).map(Asker::App).or_else(|why| refused(&why));
    }
    let Some(token) = world.tokens.get(bearer) else { return refused("Bad credentials") };
    if token.expires_at <= now {
        return refused("Bad credentials");
    }
    if world
        .installations
        .get(&token.installation)
        .is_none_or(|installation| installation.suspended_at.is_some())
    {
        return Err(Reply::message(403, "This installation has been suspended"));
    }
    Ok(Asker::Installation(token.installation))
}

fn app(world: &World, jwt: &str, now: Timestamp) -> Result<i64, String> {
    let broken = || "A JSON web token could not be decoded".to_owned();
    let (message, signature) = jwt.rsplit_once('.').ok_or_else(broken)?;
    let (header, claims) = message.split_once('.').ok_or_else(broken)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| broken());
    let header: JwtHeader = serde_json::from_slice(&decode(header)?).map_err(|_| broken())?;
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| broken())?;
    if header.alg != "RS256" {
        return Err("The algorithm must be RS256".into());
    }
    let id = claims.iss.as_i64().or_else(|| claims.iss.as_str()?.parse().ok()).ok_or_else(broken)?;
    let app = world.apps.get(&id).ok_or("Integration not found")?;
    if !app.key.signed(message.as_bytes(), &decode(signature)?) {
        return Err(broken());
    }
    let now = now.as_second();
    if claims.iat > now + DRIFT {
        return Err("'Issued at' claim ('iat') must be an Integer representing a time in the past".into());
    }
    if claims.exp <= now {
        return Err("'Expiration time' claim ('exp') must be a numeric value in the future".into());
    }
    if claims.exp > now + LONGEST_LIFE {
        return Err("'Expiration time' claim ('exp') is too far in the future".into());
    }
    Ok(id)
}

/// `POST /app/installations/{id}/access_tokens`.
pub(super) fn access_token(shared: &Shared, app: i64, installation: i64) -> Reply {
    let now = shared.now();
    let life = i64::try_from(shared.config.token_life.as_millis()).unwrap_or(i64::MAX);
    let mut world = locked(&shared.world);
    let Some(known) = world.installations.get(&installation).filter(|known| known.app == app) else {
        return Reply::message(404, "Not Found");
    };
    if known.suspended_at.is_some() {
        return Reply::message(403, "This installation has been suspended");
    }
    let token = format!("ghs_{:016x}{:020x}", installation, world.next_id());
    // GitHub tells whole seconds.
    let expires_at = now.saturating_add(life.milliseconds()).unwrap_or(Timestamp::MAX);
    world.tokens.insert(token.clone(), super::world::Token { installation, expires_at });
    Reply::json(
        201,
        json!({
            "token": token,
            "expires_at": expires_at.to_string(),
            "permissions": { "actions": "read", "organization_self_hosted_runners": "write" },
            "repository_selection": "all",
        }),
    )
}

/// `GET /app`.
pub(super) fn describe(shared: &Shared, app: i64) -> Reply {
    let (kind, granted) = match locked(&shared.world).apps.get(&app) {
        Some(app) => (app.kind, app.granted.clone()),
        None => (EntityKind::User, None),
    };
    let usual = || Granted {
        permissions: installations::usual_permissions(kind),
        events: vec!["workflow_job".to_owned()],
    };
    let Granted { permissions, events } = granted.unwrap_or_else(usual);
    Reply::json(
        200,
        json!({
            "id": app,
            "slug": format!("double-{app}"),
            "name": format!("Double {app}"),
            "html_url": format!("https://github.com/apps/double-{app}"),
            "permissions": permissions,
            "events": events,
        }),
    )
}
