//! What was taken over from another orchestrator.

use vimhost_model::Item;

use super::Subject;
use super::sample::{NOW, commit, create, id, minutes, resource};
use crate::Takeover;

fn takeover(nsr: &str) -> Takeover {
    Takeover {
        nsr_id: id(nsr),
        at: NOW,
    }
}

/// The first note stays, over a restart and when the service is forgotten.
pub async fn a_takeover_is_noted_for_good(subject: &mut dyn Subject) {
    {
        let store = subject.store();
        assert_eq!(store.note_takeover(&takeover("ns")).await.unwrap(), takeover("ns"));
        let later = Takeover {
            at: minutes(5),
            ..takeover("ns")
        };
        assert_eq!(store.note_takeover(&later).await.unwrap(), takeover("ns"));
        let image = resource("image", "a", vec![create("ns", "act", 0, Item::Image)]);
        store.commit_action(commit("ns", "act", 0, vec![image])).await.unwrap();
        store.forget_service(&id("ns")).await.unwrap();
    }
    subject.reopen().await;
    let noted = subject.store().takeovers(None, 10).await.unwrap();
    assert_eq!((noted.entries, noted.next), (vec![takeover("ns")], None));
}

/// By service.
pub async fn takeovers_are_listed_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for nsr in ["c", "a", "b"] {
        store.note_takeover(&takeover(nsr)).await.unwrap();
    }
    let first = store.takeovers(None, 2).await.unwrap();
    assert_eq!(first.entries, [takeover("a"), takeover("b")]);
    let second = store.takeovers(first.next.as_deref(), 2).await.unwrap();
    assert_eq!((second.entries, second.next), (vec![takeover("c")], None));
}
