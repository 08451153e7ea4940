//! What is known of single users: their sessions, and items that one user alone chose. Users are known by keys, which
//! are made with a secret or without; which, a version says.

use schemas::UserKey;

use super::Knowledge;

/// Who alone chose an item, where that user is forgotten.
const FORGOTTEN: UserKey = UserKey::NOBODY;

impl Knowledge {
    /// Tells the secret that users' keys are made with; `None`: with none.
    pub(crate) fn users_known_by(&self) -> Option<&str> {
        self.known_by.as_deref()
    }

    /// Takes over with which secret a version's keys are made.
    pub(crate) fn restore_known_by(&mut self, mark: Option<&str>) {
        self.known_by = mark.map(Into::into);
    }

    /// Has users' keys made with another secret from now on. Whom the present ones name cannot be told then, so all
    /// that is known of single users goes. False: it is the same secret.
    pub(crate) fn know_users_by(&mut self, mark: Option<&str>) -> bool {
        if self.users_known_by() == mark {
            return false;
        }
        self.forget_users(|_| true);
        self.restore_known_by(mark);
        true
    }

    /// Forgets users, by their keys.
    pub(crate) fn forget_users(&mut self, gone: impl Fn(UserKey) -> bool) {
        self.sessions.forget_users(&gone, &self.settings.session_bounds());
        for slot in self.chosen_alone_by(&gone) {
            // It stays one user's alone: the next one proves it.
            self.items.update(slot, |entry| entry.chosen_by = FORGOTTEN);
        }
    }

    /// How many sessions and items name this user.
    #[cfg(test)]
    pub(crate) fn traces_of(&self, user: UserKey) -> (usize, usize) {
        let sessions = self.sessions.iter().filter(|(_, session)| session.user == user).count();
        (sessions, self.chosen_alone_by(&|key| key == user).len())
    }

    /// Slots of items that one of these users alone chose.
    fn chosen_alone_by(&self, users: &impl Fn(UserKey) -> bool) -> Vec<u32> {
        let alone = self
            .items
            .keys()
            .filter(|key| self.items.get(*key).is_some_and(|entry| !entry.is_proven() && users(entry.chosen_by)));
        alone.filter_map(|key| self.items.slot(key)).collect()
    }
}
