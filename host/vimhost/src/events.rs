//! Server-sent events of the host.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::Response;
use serde_json::Value;

/// Longest event; a longer one is no event of this host.
const MAX_EVENT: usize = 16 << 20;

/// An event.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its data.
    pub data: Value,
}

/// A stream of them.
pub struct Events {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    buffer: Vec<u8>,
    /// How much of the buffer holds no end of an event: a long one comes in many pieces.
    searched: usize,
}

impl Events {
    pub fn of(response: Response) -> Self {
        Self {
            chunks: response.bytes_stream().boxed(),
            buffer: Vec::new(),
            searched: 0,
        }
    }

    /// Where the first event in the buffer ends: behind an empty line.
    fn end(&mut self) -> Option<usize> {
        let rest = self.buffer.get(self.searched..).unwrap_or_default();
        match rest.windows(2).position(|window| window == b"\n\n") {
            Some(at) => Some(self.searched + at + 2),
            None => {
                // The first half of the end may be there already.
                self.searched = self.buffer.len().saturating_sub(1);
                None
            }
        }
    }

    /// The next event; none at the end of the stream.
    ///
    /// # Errors
    /// When the connection breaks, or the host sends what is no event.
    pub async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            while let Some(end) = self.end() {
                let event: Vec<u8> = self.buffer.drain(..end).collect();
                self.searched = 0;
                if let Some(event) = event_of(&event) {
                    return Ok(Some(event));
                }
            }
            let Some(chunk) = self.chunks.next().await else {
                return Ok(None);
            };
            self.buffer
                .extend_from_slice(&chunk.context("the connection to the host broke")?);
            if self.buffer.len() > MAX_EVENT {
                bail!("the host sent an event that is too long");
            }
        }
    }
}

/// An event out of its lines; none where it has no data, as what keeps the connection alive.
fn event_of(lines: &[u8]) -> Option<Event> {
    let lines = std::str::from_utf8(lines).ok()?;
    Some(Event {
        name: field(lines, "event:").join(""),
        data: serde_json::from_str(&field(lines, "data:").join("\n")).ok()?,
    })
}

fn field<'l>(lines: &'l str, name: &str) -> Vec<&'l str> {
    let values = lines.lines().filter_map(|line| line.strip_prefix(name));
    values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_name_and_its_data_lines() {
        let event = event_of(b"id: 3\nevent: state\ndata: {\"status\":\ndata:  \"DONE\"}\n\n").unwrap();
        assert_eq!(
            (event.name.as_str(), &event.data["status"]),
            ("state", &Value::from("DONE"))
        );
        assert_eq!(event_of(b": keep-alive\n\n"), None);
    }
}
