//! What was asked for most recently, so many of them.

use std::collections::HashMap;

/// Things by name. When there are too many, the one that was not asked for for the longest time is dropped.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    most: usize,
    /// Counts what is asked.
    turn: u64,
    kept: HashMap<String, (u64, T)>,
}

impl<T: Clone> Recent<T> {
    /// Of at most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            turn: 0,
            kept: HashMap::new(),
        }
    }

    /// The one of a name, made when there is none.
    pub(crate) fn get(&mut self, name: &str, make: impl FnOnce() -> T) -> T {
        self.turn = self.turn.saturating_add(1);
        let now = self.turn;
        if let Some((turn, known)) = self.kept.get_mut(name) {
            *turn = now;
            return known.clone();
        }
        if self.kept.len() >= self.most {
            let oldest = self.kept.iter().min_by_key(|(_, (turn, _))| *turn);
            let oldest = oldest.map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                self.kept.remove(&oldest);
            }
        }
        let made = make();
        self.kept.insert(name.to_owned(), (now, made.clone()));
        made
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_was_not_asked_for_for_the_longest_time_is_dropped() {
        let mut recent = Recent::new(2);
        let a = recent.get("a", || Arc::new("a"));
        let b = Arc::downgrade(&recent.get("b", || Arc::new("b")));
        assert!(Arc::ptr_eq(&a, &recent.get("a", || Arc::new("another"))));
        recent.get("c", || Arc::new("c"));
        assert!(b.upgrade().is_none(), "with what it kept");
        assert!(Arc::ptr_eq(&a, &recent.get("a", || Arc::new("another"))));
        for number in 0..100 {
            recent.get(&number.to_string(), || Arc::new("many"));
        }
        assert_eq!(recent.kept.len(), 2);
    }
}
