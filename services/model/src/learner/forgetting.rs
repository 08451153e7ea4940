//! Forgetting users: because they are to be erased, or because they are known by other keys from now on.

use schemas::{Secret, UserKey};

use super::Learner;
use crate::keymap::KeySet;
use crate::version::served::Model;

impl Learner {
    /// Makes users' keys with this secret from now on. True: the version gone on from had them made otherwise, so that
    /// sessions begin anew.
    pub fn set_secret(&mut self, secret: Secret) -> bool {
        let anew = self.knowledge.know_users_by(secret.mark());
        self.changed.whole |= anew;
        self.secret = secret;
        anew
    }

    /// Forgets users: the histories of whoever `is_gone`, and by their keys what else is known of them. The next
    /// version is a snapshot. Sums that their interactions are part of stay as they are.
    pub fn forget(&mut self, keys: &[UserKey], is_gone: impl Fn(&str) -> bool) {
        let gone: KeySet<UserKey> = keys.iter().copied().collect();
        self.histories.forget(is_gone);
        self.replay.forget(&gone);
        self.guarded.forget(&gone);
        self.knowledge.forget_users(|user| gone.contains(&user));
        if let Some((anchor, _)) = &mut self.anchor {
            anchor.forget(keys);
        }
        self.changed.whole = true; // a delta only adds
    }
}

impl Model {
    /// Forgets users, by their keys; where the items' rows are shared with others, those keep theirs.
    pub fn forget(&mut self, keys: &[UserKey]) {
        let gone: KeySet<UserKey> = keys.iter().copied().collect();
        self.knowledge_mut().forget_users(|user| gone.contains(&user));
    }

    /// The key of the user of this id, where the installation has `secret`; nobody's where the version's keys were made
    /// with another.
    #[must_use]
    pub fn user(&self, secret: &Secret, user_id: &str) -> UserKey {
        match self.knowledge().users_known_by() {
            None => Secret::default().key(user_id),
            mark if mark == secret.mark() => secret.key(user_id),
            Some(_) => UserKey::NOBODY,
        }
    }

    /// Whether users' keys are made with this secret, or with none.
    #[must_use]
    pub fn knows_users_by(&self, secret: &Secret) -> bool {
        self.knowledge().users_known_by().is_none_or(|mark| secret.mark() == Some(mark))
    }
}
