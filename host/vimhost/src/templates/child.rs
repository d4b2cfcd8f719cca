//! The process that renders: `vimhost render-templates`.
//!
//! It starts itself anew once its bounds are set: what the allocator took before would be outside of them (it reserves a gibibyte before
//! `main`, which it then hands out without asking the system again). Under the bounds it starts with as much less as it is given.
//!
//! It ends with its input, so it does not outlive its host: what it renders then is over after as much work as any template may need. The
//! signal of a parent's death is not asked for: it comes when the *thread* ends that started the child, and the host's threads come and go.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;
use serde_json::Value;
use vimhost_engine::derive::templates::{Failure, InProcess, STACK, Templates as _};

use super::{ARGUMENT, MAX_REQUEST, MEMORY, OWN_PROGRAM, READY, frame};

/// Bytes that the process may write to and shares with nobody: the values of a template and the stack they are made on. The program itself
/// needs a dozen MiB of them.
const DATA: u64 = MEMORY + STACK as u64;

/// Addresses in all, for kernels that do not count the former. The program and what the allocator only reserves are in it.
const SPACE: u64 = 2 << 30;

/// Resident bytes above which the process ends after its answer: it would keep them for nothing.
const KEPT: usize = 64 << 20;

/// What it is asked.
#[derive(Deserialize)]
struct Request {
    template: String,
    variables: Value,
}

/// Answers what comes by the standard input until that ends.
pub fn run(bounded: bool) -> ExitCode {
    let done = if bounded {
        serve(&mut io::stdin().lock(), &mut io::stdout().lock())
    } else {
        start_bounded()
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes the same program under bounds; comes back only when that is not possible.
fn start_bounded() -> io::Result<()> {
    // No picture of the memory at an abort: there are passwords among the variables.
    for (resource, most) in [(Resource::Core, 0), (Resource::Data, DATA), (Resource::As, SPACE)] {
        bound(resource, most)?;
    }
    Err(Command::new(OWN_PROGRAM)
        .arg0("vimhost")
        .args([ARGUMENT, "--bounded"])
        .exec())
}

/// Sets a bound for good. One that is lower already stays.
fn bound(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |set| set.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit).map_err(io::Error::from)
}

fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    frame::write(output, READY)?;
    while let Some(request) = frame::read(input, MAX_REQUEST)? {
        let Request { template, variables } = serde_json::from_slice(&request)?;
        drop(request);
        let rendered = InProcess.render(&template, &variables);
        // That there is no room for a thread is not said of the template: a process that has rendered nothing is to judge.
        if let Err(Failure::Unavailable { reason }) = rendered {
            return Err(io::Error::other(reason));
        }
        frame::write(output, &serde_json::to_vec(&rendered)?)?;
        if resident() > KEPT {
            break;
        }
    }
    Ok(())
}

/// Bytes in memory; 0 where the system does not tell.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0).saturating_mul(rustix::param::page_size())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::templates::{MAX_ANSWER, request};

    fn served(input: &[u8]) -> (io::Result<()>, Vec<Vec<u8>>) {
        let mut output = Vec::new();
        let result = serve(&mut &input[..], &mut output);
        let mut output = &output[..];
        let frames = std::iter::from_fn(|| frame::read(&mut output, MAX_ANSWER).unwrap());
        (result, frames.collect())
    }

    fn asked(template: &str, variables: &Value) -> Vec<u8> {
        let mut input = Vec::new();
        frame::write(&mut input, &request(template, variables).unwrap()).unwrap();
        input
    }

    #[test]
    fn each_request_is_answered_as_it_would_be_in_process() {
        // Beyond what is read exactly without care.
        let floats = [0.1 + 0.2, 1.7e-301, 5e-324, 123_456_789.123_456_78, -0.0, 1e300];
        let variables = json!({"f": floats, "n": null, "i": u64::MAX, "t": "ä\r\n\"\u{1}", "m": {"b": 1, "a": [true]}});
        let templates = [
            "{{ f }} {{ n }} {{ i }}\r\n{{ t }}{{ m }}\n",
            "{{ x.y }}",
            "{{ 1 +",
            "{{ 'x' * 200000 }}",
        ];
        let input: Vec<u8> = templates
            .iter()
            .flat_map(|template| asked(template, &variables))
            .collect();
        let (result, frames) = served(&input);
        result.unwrap();
        assert_eq!(frames[0], READY);
        // A test's own process may be so large that it ends after its first answer.
        assert!(frames.len() > 1);
        for (frame, template) in frames[1..].iter().zip(templates) {
            let answer: Result<String, Failure> = serde_json::from_slice(frame).unwrap();
            assert_eq!(answer, InProcess.render(template, &variables), "{template}");
        }
    }

    #[test]
    fn the_deepest_variables_that_are_taken_can_be_read() {
        let mut deep = json!(1);
        for _ in 0..120 {
            deep = json!([deep]);
        }
        let (result, frames) = served(&asked("{{ x is defined }}", &json!({"x": deep})));
        result.unwrap();
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn what_is_no_request_is_the_end() {
        let mut input = Vec::new();
        frame::write(&mut input, b"{}").unwrap();
        let (result, frames) = served(&input);
        assert!(result.is_err());
        assert_eq!(frames, [READY]);
    }
}
