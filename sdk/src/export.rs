//! Making a component of a type: [`export_connector!`](crate::export_connector).

/// Exports a type as a component: [`Connector`](crate::Connector) and the capabilities that are named.
///
/// ```
/// use vimhost_sdk::prelude::*;
///
/// struct Empty;
///
/// impl Connector for Empty {
///     fn describe() -> Descriptor {
///         Descriptor { name: "empty".into(), version: "0.1.0".into(), ..Descriptor::default() }
///     }
///     fn check(_: &Account) -> Result<CheckReport, Error> {
///         Ok(CheckReport::default())
///     }
/// }
///
/// impl Infrastructure for Empty {}
///
/// vimhost_sdk::export_connector!(Empty: infrastructure);
/// ```
///
/// Capabilities are `infrastructure`, `operations`, `stacks` and `connectivity`; only those named are in the component. The
/// crate must be a `cdylib`. Natively it makes nothing but checks that the traits are there.
#[macro_export]
macro_rules! export_connector {
    ($connector:ident $(: $($capability:ident),+ $(,)?)?) => {
        const _: () = {
            const fn is_connector<T: $crate::Connector>() {}
            is_connector::<$connector>();
            $($($crate::__check_capability!($capability, $connector);)+)?
        };
        #[cfg(target_family = "wasm")]
        $crate::bindings::base::export_base!($connector with_types_in $crate::bindings::base);
        $($(
            #[cfg(target_family = "wasm")]
            $crate::__export_capability!($capability, $connector);
        )+)?
    };
}

/// A part of [`export_connector!`](crate::export_connector).
#[doc(hidden)]
#[macro_export]
macro_rules! __check_capability {
    (infrastructure, $connector:ident) => {
        const fn is_infrastructure<T: $crate::Infrastructure>() {}
        is_infrastructure::<$connector>();
    };
    (operations, $connector:ident) => {
        const fn is_operations<T: $crate::Operations>() {}
        is_operations::<$connector>();
    };
    (stacks, $connector:ident) => {
        const fn is_stacks<T: $crate::Stacks>() {}
        is_stacks::<$connector>();
    };
    (connectivity, $connector:ident) => {
        const fn is_connectivity<T: $crate::Connectivity>() {}
        is_connectivity::<$connector>();
    };
    ($other:ident, $connector:ident) => {
        compile_error!(concat!(
            "there is no capability `",
            stringify!($other),
            "`; there are infrastructure, operations, stacks and connectivity"
        ));
    };
}

/// A part of [`export_connector!`](crate::export_connector).
#[doc(hidden)]
#[macro_export]
macro_rules! __export_capability {
    (infrastructure, $connector:ident) => {
        $crate::bindings::infrastructure::export_infrastructure!(
            $connector with_types_in $crate::bindings::infrastructure
        );
    };
    (operations, $connector:ident) => {
        $crate::bindings::operations::export_operations!($connector with_types_in $crate::bindings::operations);
    };
    (stacks, $connector:ident) => {
        $crate::bindings::stacks::export_stacks!($connector with_types_in $crate::bindings::stacks);
    };
    (connectivity, $connector:ident) => {
        $crate::bindings::connectivity::export_connectivity!($connector with_types_in $crate::bindings::connectivity);
    };
    ($other:ident, $connector:ident) => {};
}
