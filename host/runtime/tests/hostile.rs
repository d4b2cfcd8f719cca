//! Every limit there is, each against a guest that does what the limit is for, beside a connector that wants to be served.

mod support;

use std::time::Duration;

use support::hostile::Stage;
use vimhost_runtime::Limits;

/// A guest that held the only thread would make the bystander wait for the whole of its compute time, twice this. A machine that stands
/// still makes it wait too, which is no guest's fault: for less than this.
const PATIENCE: Duration = Duration::from_secs(4);

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_misbehaviour_fails_its_own_call_with_the_reason_and_nobody_else_waits() {
    let stage = Stage::new(Limits {
        compute: PATIENCE * 2,
        wall: PATIENCE * 5 / 2,
        // Copying is the one thing that nothing interrupts: half of the default, for a machine that is slow and busy.
        host_call_bytes: 32 << 20,
        ..Limits::default()
    })
    .await;
    let mut wrong = vec![];
    for case in stage.cases() {
        let row = stage.run(&case, Duration::ZERO).await;
        let (name, took, longest) = (row.name, row.after, row.meanwhile.longest);
        if !row.stopped_by.contains(&case.expected) {
            let (expected, text) = (&case.expected, &row.stopped_by);
            wrong.push(format!("{name}: '{expected}' is not in '{text}'"));
        }
        if took > case.within + SLACK {
            wrong.push(format!("{name}: it took {took:?}, the limit is {:?}", case.within));
        }
        if longest > PATIENCE {
            wrong.push(format!("{name}: the bystander waited {longest:?}"));
        }
        if row.stopped_by.len() > 8 << 10 {
            wrong.push(format!("{name}: the reason has {} bytes", row.stopped_by.len()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stage.password_left(), 0, "the password went somewhere that is no login");
    let bystander = stage.finish().await;
    assert!(bystander.calls > 100, "{bystander:?}");
}
