//! What a guest finds: our own interfaces, HTTP through our hooks, and as much of WASI as language runtimes need to start.
//!
//! Even a guest that does nothing imports the environment, the terminal, files and sockets, through its standard library. They
//! are linked over an empty context (no files, no environment, no arguments), because panic handlers read the environment before
//! they write; sockets are linked as functions that trap and say what was refused. Anything unknown keeps the plugin from loading.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasData, HasSelf, Linker, Resource, ResourceTable, ResourceType};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};

use crate::bindings::host;
use crate::context::Ctx;
use crate::egress::error_code;
use crate::error::text_of;
use crate::{CONTRACT, Error};

/// The version that wasmtime-wasi-http registers. A function shadowed under another version is shadowed in vain.
const WASI: &str = "0.2.12";

/// Interfaces that are linked for every guest, without their versions.
const LINKED: [&str; 25] = [
    "vimhost:connector/vim-types",
    "vimhost:connector/log",
    "vimhost:connector/journal",
    "vimhost:connector/cache",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:http/types",
    "wasi:http/outgoing-handler",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
    "wasi:random/insecure-seed",
];

/// Marks resources of refused interfaces.
struct Denied;

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// The host's functions, the same for every plugin.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Ctx>, Error> {
    let mut linker = Linker::new(engine);
    link(&mut linker).map_err(|error| Error::Link(text_of(&error)))?;
    Ok(linker)
}

fn link(l: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    host::vim_types::add_to_linker::<_, HasSelf<Ctx>>(l, |ctx| ctx)?;
    host::log::add_to_linker::<_, HasSelf<Ctx>>(l, |ctx| ctx)?;
    host::journal::add_to_linker::<_, HasSelf<Ctx>>(l, |ctx| ctx)?;
    host::cache::add_to_linker::<_, HasSelf<Ctx>>(l, |ctx| ctx)?;

    io::error::add_to_linker::<_, Io>(l, |ctx: &mut Ctx| &mut ctx.table)?;
    io::poll::add_to_linker::<_, Io>(l, |ctx: &mut Ctx| &mut ctx.table)?;
    io::streams::add_to_linker::<_, Io>(l, |ctx: &mut Ctx| &mut ctx.table)?;
    clocks::wall_clock::add_to_linker::<Ctx, WasiClocks>(l, Ctx::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Ctx, WasiClocks>(l, Ctx::clocks)?;
    random::random::add_to_linker::<Ctx, WasiRandom>(l, Ctx::random)?;
    random::insecure_seed::add_to_linker::<Ctx, WasiRandom>(l, Ctx::random)?;
    cli::environment::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::exit::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::stdin::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::stdout::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::stderr::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::terminal_input::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::terminal_output::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::terminal_stdin::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::terminal_stdout::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    cli::terminal_stderr::add_to_linker::<Ctx, WasiCli>(l, Ctx::cli)?;
    filesystem::types::add_to_linker::<Ctx, WasiFilesystem>(l, Ctx::filesystem)?;
    filesystem::preopens::add_to_linker::<Ctx, WasiFilesystem>(l, Ctx::filesystem)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(l)?;
    shadow_error_texts(l)
}

/// Two functions of wasmtime that do the wrong thing here: errors of a body reach the guest without their code, because another
/// type is looked for than is stored; and the debug text of an error holds the host's stack trace under `RUST_BACKTRACE`.
fn shadow_error_texts(l: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    l.allow_shadowing(true);
    l.instance(&format!("wasi:http/types@{WASI}"))?.func_wrap(
        "http-error-code",
        |ctx: StoreContextMut<'_, Ctx>, (error,): (Resource<IoError>,)| {
            let code = ctx
                .data()
                .table
                .get(&error)?
                .downcast_ref::<wasmtime_wasi_http::Error>();
            Ok((code.map(error_code),))
        },
    )?;
    l.instance(&format!("wasi:io/error@{WASI}"))?.func_wrap(
        "[method]error.to-debug-string",
        |ctx: StoreContextMut<'_, Ctx>, (error,): (Resource<IoError>,)| Ok((text_of(ctx.data().table.get(&error)?),)),
    )?;
    l.allow_shadowing(false);
    Ok(())
}

/// The host's functions for one component: what it imports beyond the common is refused at load or, for sockets, at use.
///
/// # Errors
/// The import nobody serves.
pub(crate) fn linker_for(common: &Linker<Ctx>, engine: &Engine, component: &Component) -> Result<Linker<Ctx>, String> {
    let mut linker = common.clone();
    let mut seen: Vec<ResourceType> = vec![];
    for (name, import) in component.component_type().imports(engine) {
        let (base, version) = name.split_once('@').unwrap_or((name, ""));
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            return Err(format!("it imports '{name}', which is no interface"));
        };
        check_contract(base, version)?;
        let refused = base.starts_with("wasi:sockets/");
        if !refused && !LINKED.contains(&base) {
            return Err(format!(
                "it imports '{name}', which this host does not offer to plugins"
            ));
        }
        for (item, export) in instance.exports(engine) {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "only resources and functions are defined by a linker"
            )]
            let linked = match export.ty {
                // A resource arrives again in each interface that uses it, and is defined once, by the first.
                ComponentItem::Resource(resource) if !seen.contains(&resource) => {
                    seen.push(resource);
                    if refused {
                        deny_resource(&mut linker, name, item)
                    } else {
                        Ok(())
                    }
                }
                ComponentItem::ComponentFunc(_) if refused => deny_function(&mut linker, name, base, item),
                _ => Ok(()),
            };
            linked.map_err(|error| text_of(&error))?;
        }
    }
    Ok(linker)
}

fn deny_resource(linker: &mut Linker<Ctx>, name: &str, item: &str) -> wasmtime::Result<()> {
    linker
        .instance(name)?
        .resource(item, ResourceType::host::<Denied>(), |_, _| Ok(()))
}

fn deny_function(linker: &mut Linker<Ctx>, name: &str, base: &str, item: &str) -> wasmtime::Result<()> {
    let reason = format!("{base}.{item} is not available to plugins");
    linker
        .instance(name)?
        .func_new(item, move |_, _, _, _| Err(wasmtime::Error::msg(reason.clone())))
}

/// Whether an interface of ours is of a version that is served. Below 1.0 the minor number is the line of compatibility.
///
/// # Errors
/// Both versions.
pub(crate) fn check_contract(base: &str, version: &str) -> Result<(), String> {
    let served = version
        .strip_prefix(CONTRACT)
        .is_some_and(|patch| patch.starts_with('.'));
    if base.starts_with("vimhost:connector/") && !served {
        let version = crate::text::safe(version, 32);
        return Err(format!(
            "it is built on contract {version}; this host serves {CONTRACT}.x"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Allocation, Limits};

    #[test]
    fn the_shadowed_functions_are_those_that_wasmtime_registers() {
        let (engine, _) = crate::engine::build(Allocation::OnDemand, &Limits::default(), 1).unwrap();
        let mut plain = Linker::<Ctx>::new(&engine);
        io::error::add_to_linker::<_, Io>(&mut plain, |ctx: &mut Ctx| &mut ctx.table).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut plain).unwrap();
        // Without leave to shadow, defining a function again fails, and only then was there one to shadow.
        let again = |linker: &mut Linker<Ctx>, interface: &str, function: &str| {
            linker
                .instance(&format!("{interface}@{WASI}"))
                .unwrap()
                .func_wrap(function, |_: StoreContextMut<'_, Ctx>, (_,): (Resource<IoError>,)| {
                    Ok((String::new(),))
                })
                .is_err()
        };
        assert!(again(&mut plain, "wasi:http/types", "http-error-code"));
        assert!(again(&mut plain, "wasi:io/error", "[method]error.to-debug-string"));
        assert!(!again(&mut plain, "wasi:io/error", "no-such-function"));
    }

    #[test]
    fn another_contract_is_refused_with_both_versions() {
        assert!(check_contract("vimhost:connector/log", "0.1.7").is_ok());
        assert!(check_contract("wasi:io/poll", "0.2.99").is_ok());
        assert_eq!(
            check_contract("vimhost:connector/log", "0.2.0").unwrap_err(),
            "it is built on contract 0.2.0; this host serves 0.1.x"
        );
        assert!(check_contract("vimhost:connector/log", "0.10.0").is_err());
    }
}
