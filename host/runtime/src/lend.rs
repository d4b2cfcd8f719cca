//! How values that a call owns are passed to the functions that wasmtime generates: records by reference, enums by copy.
//!
//! One trait instead of a rule at each of some thirty calls, which the `ask!` macro could not tell apart.

use crate::bindings::guest;
use crate::bindings::host::vim_types as wit;

/// How an owned value is passed to a generated function.
pub(crate) trait Lend {
    type Lent<'a>
    where
        Self: 'a;
    fn lend(&self) -> Self::Lent<'_>;
}

macro_rules! lend_by_reference {
    ($($type:ty),* $(,)?) => { $(
        impl Lend for $type {
            type Lent<'a> = &'a Self;
            fn lend(&self) -> &Self {
                self
            }
        }
    )* };
}

macro_rules! lend_by_copy {
    ($($type:ty),* $(,)?) => { $(
        impl Lend for $type {
            type Lent<'a> = Self;
            fn lend(&self) -> Self {
                *self
            }
        }
    )* };
}

lend_by_reference!(
    String,
    wit::Call,
    guest::infrastructure::Filter,
    guest::infrastructure::FlavourData,
    guest::infrastructure::NetworkRequest,
    guest::infrastructure::GroupRequest,
    guest::infrastructure::VolumeRequest,
    guest::infrastructure::ServerRequest,
    guest::connectivity::ServiceRequest,
    guest::stacks::StackRef,
    guest::stacks::StackRequest,
    guest::stacks::StackContent,
);
lend_by_copy!(
    wit::ElementKind,
    guest::operations::PowerAction,
    guest::stacks::UpdateMode,
    u8
);

/// A text that has no name of its own in the contract, unlike an id: generated functions borrow the two differently.
pub(crate) struct Text(pub(crate) String);

impl Lend for Text {
    type Lent<'a> = &'a str;
    fn lend(&self) -> &str {
        &self.0
    }
}

impl<T> Lend for Vec<T> {
    type Lent<'a>
        = &'a Self
    where
        T: 'a;
    fn lend(&self) -> &Self {
        self
    }
}

impl<T: Lend> Lend for Option<T> {
    type Lent<'a>
        = Option<T::Lent<'a>>
    where
        T: 'a;
    fn lend(&self) -> Option<T::Lent<'_>> {
        self.as_ref().map(Lend::lend)
    }
}
