//! Every limit on a guest, in one table: name, default, and why that number.
//!
//! A limit protects the host or other plugins, so each has a bound even where a plugin could be trusted: a plugin that loops is
//! as bad by mistake as by intent. Reaching one fails the call that reached it, with the limit's name in the error, and
//! nothing else.

use std::fmt;
use std::time::Duration;

/// A value of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A time.
    Time(Duration),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Bytes(n) if n >= 1 << 20 && n % (1 << 20) == 0 => write!(f, "{} MiB", n >> 20),
            Self::Bytes(n) if n >= 1 << 10 && n % (1 << 10) == 0 => write!(f, "{} KiB", n >> 10),
            Self::Bytes(n) => write!(f, "{n} bytes"),
            Self::Time(t) => write!(f, "{t:?}"),
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Field of [`Limits`].
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Where the default comes from, and what happens above and below it.
    pub reason: &'static str,
}

macro_rules! limits {
    ($($name:ident: $type:ty as $kind:ident = $default:expr, $reason:literal;)*) => {
        /// The limits of every call of every plugin.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $reason] pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// The table, for `status`, the log at start and the documentation.
            #[must_use]
            pub fn table(&self) -> Vec<Limit> {
                vec![$(Limit { name: stringify!($name), value: limits!(@$kind self.$name), reason: $reason },)*]
            }
        }
    };
    (@Count $value:expr) => { Value::Count($value as u64) };
    (@Bytes $value:expr) => { Value::Bytes($value as u64) };
    (@Time $value:expr) => { Value::Time($value) };
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

limits! {
    memory: usize as Bytes = 64 * MIB, "Linear memory of all core instances of a call together: a Rust connector uses 2 MiB, a Python one 13 to 18 MiB. Growth beyond it is refused, which the guest sees as out of memory.";
    table_elements: usize as Count = 20_000, "Elements of one table: Python's interpreter has 5,766. Growth beyond it is refused.";
    compute: Duration as Time = Duration::from_secs(5), "Time a guest computes in one call, waiting not counted: listing 10,000 elements takes a Rust guest below 0.2 s; the rest is for Python and for an overloaded machine, where wall time stands for computing.";
    wall: Duration as Time = Duration::from_secs(120), "Time from the start of a call to its answer: several slow requests of a VIM fit, a connector that polls instead of answering pending does not.";
    queue: Duration as Time = Duration::from_secs(30), "Time a call waits for a free slot: longer means that the slots are too few for the accounts.";
    host_calls: u64 as Count = 200_000, "Calls of host functions in one call: a body of 8 MiB in 4 KiB pieces takes 4,000.";
    host_call_bytes: usize as Bytes = 64 * MIB, "Bytes copied from the guest in one host call or answer.";
    handles: usize as Count = 4_096, "Resources (streams, headers, pollables) a guest holds at once: one request takes about ten.";
    random_bytes: u64 as Bytes = 64 * KIB as u64, "Random bytes in one host call: keys and ids need 64.";
    fields: usize as Bytes = 64 * KIB, "Size of one header section, with bookkeeping: common servers refuse more than 16 KiB on the wire.";
    log_lines_per_second: u32 as Count = 50, "Log lines of an account's connector per second, after a burst of four times as many: the rest is counted and reported once per call.";
    log_bytes: usize as Bytes = 256 * KIB, "Log text of one call: 250 lines of full length.";
    last_words: usize as Bytes = 8 * KIB, "Kept end of stdout and of stderr each: a Python traceback has 2 to 4 KiB and names its exception last.";
    request_body: usize as Bytes = 16 * MIB, "Body of one outgoing request, held in memory to be searched for handles: the largest Heat templates with files have a few MiB. Images are not uploaded through a connector.";
    response_body: u64 as Bytes = 64 * MIB as u64, "Body of one answer: 10,000 servers with details have about 30 MiB.";
    requests: u32 as Count = 1_000, "Requests of one call: a server with twenty ports and volumes takes about a hundred.";
    open_requests: usize as Count = 16, "Requests of one call at the same time; a body that is not read to its end counts.";
    connect: Duration as Time = Duration::from_secs(10), "Look-up and connection of one request: three lost SYNs.";
    first_byte: Duration as Time = Duration::from_secs(60), "Wait for an answer's head: Nova and Neutron take up to half a minute under load.";
    between_bytes: Duration as Time = Duration::from_secs(20), "Wait for the next piece of a body.";
    send_margin: Duration as Time = Duration::from_secs(1), "What must be left of the lease on an account when a request is sent: it has to reach the VIM, whole, before another host takes the account over. Less risks that both hosts are heard at the same time; more costs the end of each lease.";
    idle_connections: usize as Count = 16, "Kept-alive connections per account and origin.";
    journal_entries: usize as Count = 256, "Entries of one task: a server with a hundred ports and a hundred volumes.";
    cache_entries: usize as Count = 256, "Values a connector caches per account.";
    cache_bytes: usize as Bytes = 8 * MIB, "Keys and values a connector caches per account: a service catalogue and versions have below 1 MiB.";
    answer_credentials: usize as Count = 64, "Credentials from answers (tokens) kept per account; the one not used for longest is dropped. As many calls as slots may log in at once.";
    state: usize as Bytes = 64 * KIB, "A pending state or a cursor, as the contract says.";
    answer_items: usize as Count = 20_000, "Items of one list of an answer.";
    answer_json: usize as Bytes = 4 * MIB, "One JSON document of an answer: the details of a server have 5 KiB.";
    answer_text: usize as Bytes = 4 * KIB, "One text of an answer, names and reasons.";
    answer_template: usize as Bytes = 16 * MIB, "A stack's template or one of its files.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_limit_with_value_and_reason() {
        let table = Limits::default().table();
        let memory = table.iter().find(|limit| limit.name == "memory").unwrap();
        assert_eq!(memory.value.to_string(), "64 MiB");
        assert!(table.iter().all(|limit| limit.reason.len() > 20));
    }
}
