//! The one write of a user's slate and profile: both or neither, and never over what somebody else has written since.
//! Marks ([`crate::marks`]) are written by the same script.

use std::time::Duration;

use runtime::redis::Script;
use schemas::Keys;
use schemas::mark::MARK_BYTES;
use schemas::profile::HEADER_BYTES;

use crate::fit::Fitted;

/// Both keys have the hash tag `{user}`, so a cluster keeps them on one node. A mark is one key.
///
/// The first bytes of a value tell it from every other (`schemas::profile`, `schemas::mark`). What lies there must be
/// what was read, or nothing where nothing was; or the very value that is being written, for a call may run twice.
const WRITE: &str = r"
local function is_ours(key)
  local held = redis.call('TYPE', key).ok
  return held == 'none' or held == 'string'
end
if not is_ours(KEYS[1]) then
  return redis.error_reply('WRONGTYPE a profile cannot be kept where somebody keeps something else')
end
local function life(key, most)
  if not ARGV[7] then return most end
  local left = redis.call('PTTL', key)
  return (left > 0 and left < tonumber(most)) and left or most
end
local lies = redis.call('GETRANGE', KEYS[1], 0, ARGV[4] - 1)
if lies ~= ARGV[1] and lies ~= string.sub(ARGV[2], 1, ARGV[4]) then
  return 0
end
local most = life(KEYS[1], ARGV[6] or ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', life(KEYS[1], ARGV[3]))
if KEYS[2] and #ARGV[5] > 0 then
  if not is_ours(KEYS[2]) then
    return 2
  end
  if ARGV[7] ~= 'owed' then
    most = life(KEYS[2], most)
  end
  redis.call('SET', KEYS[2], ARGV[5], 'PX', most)
end
return 1
";

/// The script's answer where it refused.
pub(crate) const REFUSED: i64 = 0;
/// The script's answer where the key of the slate holds another type: the profile is written.
pub(crate) const WITHOUT_SLATE: i64 = 2;

/// Keys and arguments of one call.
pub(crate) type Call = (Vec<String>, Vec<Vec<u8>>);

/// The script; it answers 1 when it wrote, [`REFUSED`] or [`WITHOUT_SLATE`].
pub(crate) fn write() -> Script {
    Script::new(WRITE)
}

/// Why a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The user acted.
    Acted,
    /// The user acted before, and gets the list only now: it lives as long as one, within the life of the profile.
    Owed,
    /// What it showed may be shown no more. Neither key lives longer by it: who never comes back expires, however often
    /// a list is made anew.
    Renewed,
}

/// The call that writes what was fitted for `user`, over the profile with the header `read`; empty: over none.
pub(crate) fn call(
    keys: &Keys,
    user: &str,
    read: &[u8],
    fitted: Fitted,
    ttl: (Duration, Duration),
    cause: Cause,
) -> Call {
    let mut arguments = vec![read.to_vec(), fitted.profile, ms(ttl.0), decimal(HEADER_BYTES), fitted.slate, ms(ttl.1)];
    match cause {
        Cause::Acted => {}
        Cause::Owed => arguments.push(b"owed".to_vec()),
        Cause::Renewed => arguments.push(b"renewed".to_vec()),
    }
    (vec![keys.user(user), keys.recs(user)], arguments)
}

/// The call that writes a mark over the one that was `read`; empty: over none.
pub(crate) fn mark(key: String, read: &[u8], value: Vec<u8>, ttl: Duration) -> Call {
    (vec![key], vec![read.to_vec(), value, ms(ttl), decimal(MARK_BYTES)])
}

fn ms(ttl: Duration) -> Vec<u8> {
    ttl.as_millis().to_string().into_bytes()
}

fn decimal(bytes: usize) -> Vec<u8> {
    bytes.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
