//! The GitHub adapter of riscv-runner: App authentication, runner registration, job look-up and
//! webhook parsing. It decides nothing, and retries only what GitHub is known to drop.

mod api;
mod app_jwt;
pub mod app_manifest;
mod apps;
mod client;
mod config;
mod deliveries;
mod forge;
mod groups;
mod jobs;
mod observer;
mod runners;
pub mod signature;
mod tls;
mod tokens;
pub mod webhook;

pub use self::{
    app_jwt::KeyError,
    apps::{AppDescription, InstallationDescription},
    client::{Endpoint, Priority},
    config::{AppConfig, ConfigError, GithubConfig},
    forge::GithubForge,
    observer::{Answer, AuthFailure, GithubObserver, Unobserved},
};
