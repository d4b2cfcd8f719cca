//! What the settings say of the VNF LCM interface, its subscribers and its operations.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use vimhost_api::RequestLimits;
use vimhost_api::vnf_lcm::{Authentication, Keystone, Options, PageSizes};
use vimhost_engine::LcmConfig;
use vimhost_model::AccountId;
use vimhost_notify::NotifyOptions;

use crate::settings::Settings;

/// Who may use the interface. Without Keystone that is whoever reaches it, so it stays on loopback then.
///
/// # Errors
/// When it listens elsewhere or asks for roles without Keystone, or the settings of Keystone cannot be used.
pub fn authentication(settings: &Settings) -> anyhow::Result<Authentication> {
    let Some(url) = &settings.vnf_lcm_auth_url else {
        if !settings.vnf_lcm_auth_roles.is_empty() {
            bail!("tokens would not be asked for their roles: --vnf-lcm-auth-url names the Keystone that knows them");
        }
        if !settings.vnf_lcm_listen.ip().is_loopback() {
            bail!(
                "the VNF LCM interface would serve everybody who reaches {}: --vnf-lcm-auth-url names the Keystone that \
                 validates tokens, or --vnf-lcm-listen an address of loopback",
                settings.vnf_lcm_listen
            );
        }
        return Ok(Authentication::None);
    };
    let ca = settings
        .vnf_lcm_auth_ca
        .as_ref()
        .map(|file| {
            std::fs::read(file).with_context(|| format!("cannot read the CA of Keystone in {}", file.display()))
        })
        .transpose()?;
    let remembered = Duration::from_secs(settings.vnf_lcm_auth_cache);
    let roles = settings.vnf_lcm_auth_roles.iter();
    let roles = roles.map(|role| role.as_str().to_owned()).collect();
    let keystone = Keystone::new(url.url().as_str(), ca.as_deref(), remembered)?.for_roles(roles);
    Ok(Authentication::Keystone(Arc::new(keystone)))
}

/// The account of instances whose clients name no VIM.
///
/// # Errors
/// When the setting cannot be an id.
pub fn default_vim(settings: &Settings) -> anyhow::Result<Option<AccountId>> {
    settings
        .vnf_lcm_default_vim
        .as_ref()
        .map(|name| AccountId::new(name.as_str()))
        .transpose()
        .context("it is no id of an account")
}

/// What the engine is told of operations on VNF instances.
///
/// # Errors
/// When a setting cannot be used.
pub fn engine_config(settings: &Settings) -> anyhow::Result<LcmConfig> {
    Ok(LcmConfig {
        default_vim: default_vim(settings).context("vnf-lcm-default-vim")?,
        stack_timeout_minutes: u32::try_from(settings.vnf_lcm_stack_timeout_minutes).unwrap_or(u32::MAX),
        rollback_on_failure: settings.vnf_lcm_rollback_on_failure,
    })
}

/// Base of absolute links, given where it listens.
pub fn endpoint(settings: &Settings, listens: SocketAddr) -> String {
    if let Some(url) = &settings.vnf_lcm_endpoint {
        return url.url().as_str().trim_end_matches('/').to_owned();
    }
    let ip = if listens.ip().is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        listens.ip()
    };
    format!("http://{}", SocketAddr::new(ip, listens.port()))
}

/// How the interface serves.
pub fn options(settings: &Settings, endpoint: String, authentication: Authentication) -> Options {
    Options {
        endpoint,
        page_sizes: PageSizes {
            instances: settings.vnf_lcm_instances_page,
            op_occs: settings.vnf_lcm_op_occs_page,
            subscriptions: settings.vnf_lcm_subscriptions_page,
        },
        max_content_length: settings.vnf_lcm_max_content_length.get(),
        limits: RequestLimits::default(),
        authentication,
    }
}

/// How subscribers are told.
pub fn notify_options(settings: &Settings, endpoint: &str) -> NotifyOptions {
    NotifyOptions {
        endpoint: endpoint.to_owned(),
        test_notification: settings.vnf_lcm_test_notification,
        addresses: settings.vnf_lcm_callback_addresses.clone(),
        // Whoever subscribes is on this machine already.
        loopback: settings.vnf_lcm_listen.ip().is_loopback(),
        ..NotifyOptions::default()
    }
}
