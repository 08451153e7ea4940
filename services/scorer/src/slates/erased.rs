//! Users who are erased: whom we hold goes, and what they did is left out of every micro-batch.

use std::sync::Arc;

use metrics::gauge;
use schemas::Erased;
use tracing::warn;

use super::Slates;
use crate::batch::Positioned;
use crate::error::Error;
use crate::metrics as names;

/// A user, and what they did.
type ByUser = (Arc<str>, Vec<Positioned>);

impl Slates {
    /// Forgets whom we hold of those that are erased, here and in Redis; from now on nothing is made of what they did.
    ///
    /// # Errors
    /// Redis is away and the service drains.
    pub(crate) async fn forget_erased(&mut self, erased: Erased) -> Result<(), Error> {
        let erased = Arc::new(erased);
        self.sources.erased.store(Arc::clone(&erased));
        gauge!(names::ERASURES).set(erased.erasures().len() as f64);
        if erased.erasures().is_empty() {
            return Ok(());
        }
        let gone = self.users.forget_erased(&erased);
        let keys: Vec<String> = gone.iter().flat_map(|user| [self.keys.recs(user), self.keys.user(user)]).collect();
        self.ctx.retry("redis", || self.redis.delete(&keys)).await?;
        Ok(())
    }

    /// With another secret than the trainer's, users' own sessions are not known as theirs: lists are a little worse,
    /// and that is told.
    pub(super) fn look_at_secret(&mut self) {
        let known = self.sources.slot.load().model.knows_users_by(self.sources.erased.load().secret());
        if !known && !std::mem::replace(&mut self.told_secret, true) {
            warn!(
                "the trainer has another privacy.secret: users' own sessions are not known as theirs; set the same one"
            );
        }
    }
}

/// Leaves out what erased users did; how many interactions that were.
pub(super) fn without_erased(mut users: Vec<ByUser>, erased: &Erased) -> (Vec<ByUser>, u64) {
    let mut passed_over = 0;
    if !erased.erasures().is_empty() {
        users.retain_mut(|(user, interactions)| {
            let all = interactions.len();
            interactions.retain(|it| !erased.covers(user, it.interaction.arrived_at));
            passed_over += (all - interactions.len()) as u64;
            !interactions.is_empty()
        });
    }
    (users, passed_over)
}

#[cfg(test)]
mod tests {
    use schemas::{Erasure, Erasures, Interaction, Secret, Source};

    use super::*;

    #[test]
    fn what_an_erased_user_did_is_left_out_and_counted_and_after_a_lift_only_what_came_before_it() {
        let secret = Secret::new("of the installation");
        let word = |lifted| {
            let secret = secret.mark().map(str::to_owned);
            let (by, reason) = ("ann".to_owned(), "asked for it".to_owned());
            Erasure { by, reason, at: 1_700_000_000_000, purge: false, secret, done: None, lifted }
        };
        let mut erasures = Erasures::default();
        for (user, lifted) in [("gone", None), ("back", Some(1_700_000_000_010))] {
            let value = serde_json::to_vec(&word(lifted)).expect("serialises");
            erasures.take(Erasure::key(secret.hash(user)).as_bytes(), Some(&value)).expect("is taken");
        }
        let at = |arrived_at| Positioned {
            interaction: Interaction { arrived_at, ..Interaction::default() },
            source: Source::default(),
            partition: 0,
            offset: 0,
        };
        let of = |user: &str| (Arc::from(user), vec![at(1_700_000_000_010), at(1_700_000_000_011)]);
        let users: Vec<ByUser> = vec![of("gone"), of("back"), of("other")];
        let (left, passed_over) = without_erased(users, &Erased::new(secret.clone(), Arc::new(erasures)));
        let left: Vec<(&str, usize)> = left.iter().map(|(user, did)| (&**user, did.len())).collect();
        assert_eq!((left, passed_over), (vec![("back", 1), ("other", 2)], 3));
    }
}
