#![doc = include_str!("../README.md")]

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
